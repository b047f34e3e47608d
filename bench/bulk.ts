/** How many runs a second go through, when nobody waits for any single one? */
import { noopJob, putJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, bestOf, connectTo, pause, type Target, watchCosts } from './harness.ts';
import { callJson, expectStatus, type HttpConnection } from './http-client.ts';

const CLIENTS = 32;
const POLL_MS = 20;
const DRAIN_MS_MAX = 60_000;
const JOB = 'bench-bulk';

/**
 * Submits for so many seconds, never more than `bulkInFlight` ahead of what has finished, then waits for the rest. The
 * clock stops when the job's own counters say that every submitted run has succeeded; all of them count, over all of
 * the time, the draining included.
 */
export async function bulk(context: BenchContext): Promise<Figure[]> {
  const { scale, progress } = context;
  const target = await context.open();
  try {
    const [watcher] = connectTo(target, 1);
    if (watcher === undefined) throw new Error('no connection');
    await putJob(watcher, noopJob(JOB));
    progress.step('bulk: warm-up');
    await submitFor(target, watcher, scale.bulkInFlight, scale.warmUpSeconds * 1_000);
    progress.step('bulk: no-op function runs');
    const measures = await bestOf(scale.bestOf, async () => {
      const costs = watchCosts(target);
      const beganMs = performance.now();
      const count = await submitFor(target, watcher, scale.bulkInFlight, scale.seconds * 1_000);
      const tookMs = performance.now() - beganMs;
      return { perSecond: (1_000 * count) / tookMs, count, ...costs(count) };
    });
    watcher.close();
    const note = `${CLIENTS} connections submit with ?wait=false, at most ${scale.bulkInFlight} runs ahead`;
    return [{ question: 'bulk', label: 'no-op function runs', measures, note }];
  } finally {
    await target.close();
  }
}

/** Submits for so long and waits for all; gives how many. */
async function submitFor(
  target: Target,
  watcher: HttpConnection,
  inFlightMax: number,
  milliseconds: number,
): Promise<number> {
  const before = await finishedRuns(watcher);
  const endMs = performance.now() + milliseconds;
  let submitted = 0;
  let finished = 0;
  const connections = connectTo(target, CLIENTS);
  const submit = async (connection: HttpConnection) => {
    while (performance.now() < endMs) {
      if (submitted - finished >= inFlightMax) {
        await pause(POLL_MS / 4);
        continue;
      }
      submitted += 1;
      expectStatus(await connection.call('POST', `/v1/jobs/${JOB}/run?wait=false`), 202, 'run');
    }
  };
  const watch = async () => {
    while (performance.now() < endMs || finished < submitted) {
      if (performance.now() > endMs + DRAIN_MS_MAX) throw new Error(`${submitted - finished} runs did not finish`);
      finished = (await finishedRuns(watcher)) - before;
      if (finished < submitted || performance.now() < endMs) await pause(POLL_MS);
    }
  };
  try {
    await Promise.all([watch(), ...connections.map(submit)]);
  } finally {
    for (const connection of connections) connection.close();
  }
  return submitted;
}

async function finishedRuns(connection: HttpConnection): Promise<number> {
  const job = await callJson(connection, { method: 'GET', path: `/v1/jobs/${JOB}`, status: 200 });
  const { success_count, error_count } = job as { readonly success_count: number; readonly error_count: number };
  if (error_count > 0) throw new Error(`${error_count} runs failed`);
  return success_count;
}
