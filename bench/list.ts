/** How long does a page of the list of jobs take when there are many? */
import { echoJob, putJobs } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import {
  type BenchContext,
  bestOf,
  clientsText,
  closedLoop,
  connectTo,
  countFromZero,
  warmUp,
  watchCosts,
} from './harness.ts';
import { expectStatus, type HttpConnection } from './http-client.ts';

const PAGE = 25;
const PUT_CONNECTIONS = 32;
const CLIENT_COUNTS = [1, 8];

export async function list(context: BenchContext): Promise<Figure[]> {
  const { scale, progress } = context;
  const target = await context.open();
  const figures: Figure[] = [];
  try {
    progress.step(`list: putting ${scale.listJobs} jobs`);
    const connections = connectTo(target, PUT_CONNECTIONS);
    await putJobs(connections, scale.listJobs, (number) => echoJob(`bench-list-${number}`, '@every 24h'));
    for (const connection of connections) connection.close();
    const pages = Math.max(1, Math.floor(scale.listJobs / PAGE));
    const nextNumber = countFromZero();
    const call = async (client: HttpConnection) => {
      // All pages in turn, in strides, so that near ones do not follow each other.
      const start = ((nextNumber() * STRIDE) % pages) * PAGE;
      const path = `/v1/jobs?_start=${start}&_end=${start + PAGE}`;
      expectStatus(await client.call('GET', path), 200, path);
    };
    progress.step('list: warm-up');
    await warmUp(context, target, call);
    for (const clients of CLIENT_COUNTS) {
      const label = `a page of ${PAGE}, ${clientsText(clients)}`;
      progress.step(`list: ${label}`);
      const measures = await bestOf(scale.bestOf, () => closedLoop({ target, clients, seconds: scale.seconds, call }));
      figures.push({ question: 'list', label, measures, note: `of ${scale.listJobs} jobs, in the order of names` });
    }
    progress.step('list: all jobs at once');
    const [connection] = connectTo(target, 1);
    if (connection === undefined) throw new Error('no connection');
    const costs = watchCosts(target);
    const beganMs = performance.now();
    const answer = await connection.call('GET', '/v1/jobs');
    const tookMs = performance.now() - beganMs;
    expectStatus(answer, 200, 'the whole list');
    connection.close();
    figures.push({
      question: 'list',
      label: 'the whole list, once',
      measures: { maxMs: tookMs, count: 1, megabytes: answer.body.length / 1e6, ...costs(1) },
      note: `of ${scale.listJobs} jobs; megabytes are the answer's`,
    });
    return figures;
  } finally {
    await target.close();
  }
}

/** A prime, so that every page has its turn. */
const STRIDE = 7_919;
