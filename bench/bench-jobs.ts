/** The jobs that are measured. All run once, on a node with the tag `my_role=web`. */
import { callJson, type HttpConnection } from './http-client.ts';

export interface BenchJob {
  readonly name: string;
  readonly schedule: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly executor: string;
  readonly executor_config: Readonly<Record<string, string>>;
}

const TAGS = { my_role: 'web:1' };

/** `/bin/sh -c 'echo hello'`, as `command` at the top level would make it. */
export function echoJob(name: string, schedule = '@manually'): BenchJob {
  return { name, schedule, tags: TAGS, executor: 'shell', executor_config: { command: 'echo hello', shell: 'true' } };
}

/** Calls the function that does nothing. */
export function noopJob(name: string, schedule = '@manually'): BenchJob {
  return { name, schedule, tags: TAGS, executor: 'function', executor_config: { module: 'noop.js', export: 'noop' } };
}

export async function putJob(connection: HttpConnection, job: BenchJob): Promise<void> {
  await callJson(connection, { method: 'POST', path: '/v1/jobs', body: job, status: 201 });
}

/** Puts so many, a few at a time on each connection. */
export async function putJobs(
  connections: readonly HttpConnection[],
  count: number,
  job: (number: number) => BenchJob,
): Promise<void> {
  let number = 0;
  const lane = async (connection: HttpConnection) => {
    while (number < count) await putJob(connection, job(number++));
  };
  await Promise.all(connections.map(lane));
}
