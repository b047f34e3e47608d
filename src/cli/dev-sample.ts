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
      // The next full second, where an interval would count a whole one from here.
      schedule: '* * * * * *',
      command: 'echo "hello from $CARILLON_JOB, due at $CARILLON_SCHEDULED_AT"',
      targets: 1,
    }),
  });
  if (!response.ok) {
    throw new CodedError('internal', `the sample job was refused: ${response.status} ${await response.text()}`);
  }
}
