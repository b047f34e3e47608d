/** How long does it take to run a job by hand and have its result? */
import { type BenchJob, echoJob, noopJob, putJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, bestOf, clientsText, closedLoop, connectTo, warmUp } from './harness.ts';
import { expectStatus, type HttpConnection } from './http-client.ts';

const SUCCEEDED = '"state":"succeeded"';

export async function runAndWait(context: BenchContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [what, job] of [
    ['shell echo', echoJob('bench-echo')],
    ['no-op function', noopJob('bench-noop')],
  ] as const) {
    figures.push(...(await measure(context, what, job)));
  }
  return figures;
}

async function measure(context: BenchContext, what: string, job: BenchJob): Promise<Figure[]> {
  const { scale, progress } = context;
  const target = await context.open();
  const path = `/v1/jobs/${job.name}/run`;
  const figures: Figure[] = [];
  try {
    const [connection] = connectTo(target, 1);
    if (connection === undefined) throw new Error('no connection');
    await putJob(connection, job);
    connection.close();
    const call = async (client: HttpConnection) => {
      const answer = await client.call('POST', path);
      expectStatus(answer, 200, path);
      if (!answer.body.includes(SUCCEEDED)) throw new Error(`a run did not succeed: ${answer.body.toString()}`);
    };
    progress.step(`run-and-wait: ${what}, warm-up`);
    await warmUp(context, target, call);
    for (const clients of scale.clientCounts) {
      const label = `${what}, ${clientsText(clients)}`;
      progress.step(`run-and-wait: ${label}`);
      const measures = await bestOf(scale.bestOf, () => closedLoop({ target, clients, seconds: scale.seconds, call }));
      figures.push({ question: 'run-and-wait', label, measures });
    }
  } finally {
    await target.close();
  }
  return figures;
}
