import { CodedError } from '../base/errors.ts';

export const SAMPLE_JOB = 'hello';

/** A job to look at: it fires every second. Put by HTTP, as anybody would. */
export async function putSampleJob(url: string, token: string | null): Promise<void> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: token === null ? {} : { Authorization: `Bearer ${token}` },
    body: JSON.stringify({
      name: SAMPLE_JOB,
      displayname: 'Says hello every second',
      schedule: '@every 1s',
      command: 'echo "hello from $CARILLON_JOB, due at $CARILLON_SCHEDULED_AT"',
      targets: 1,
    }),
  });
  if (!response.ok) {
    throw new CodedError('internal', `the sample job was refused: ${response.status} ${await response.text()}`);
  }
}
