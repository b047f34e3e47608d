/** What happens when very many jobs fall due at the same instant, again and again? */
import { noopJob, putJobs } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, connectTo, pause, type Target, watchCosts } from './harness.ts';
import { callJson, type HttpConnection } from './http-client.ts';
import { Latencies } from './latencies.ts';
import { processTree } from './processes.ts';

interface Fire {
  readonly scheduled_at?: string;
  readonly outcome: 'ran' | 'open' | 'skipped' | 'missed';
  readonly count?: number;
}

interface Execution {
  readonly scheduled_at: string | null;
  readonly started_at: string;
  readonly finished_at: string;
  readonly success: boolean;
}

const CONNECTIONS = 8;
const SAMPLE_MS = 200;
const SETTLE_MS_MAX = 30_000;

export async function herd(context: BenchContext): Promise<Figure[]> {
  const { scale, progress } = context;
  const { herdJobs, herdEverySeconds, herdSeconds } = scale;
  const target = await context.open();
  const connections = connectTo(target, CONNECTIONS);
  try {
    progress.step(`herd: putting ${herdJobs} jobs`);
    const line = herdEverySeconds === 1 ? '* * * * * *' : `*/${herdEverySeconds} * * * * *`;
    await putJobs(connections, herdJobs, (number) => noopJob(nameOf(number), line));
    const everyMs = 1_000 * herdEverySeconds;
    // One whole round before it counts: the host has started, the code is warm.
    const firstMs = everyMs * (Math.floor(Date.now() / everyMs) + 2);
    const instants = Math.max(1, Math.round(herdSeconds / herdEverySeconds));
    const lastMs = firstMs + (instants - 1) * everyMs;
    progress.step(`herd: ${herdJobs} jobs, ${instants} instants`);
    await pause(firstMs - everyMs / 2 - Date.now());
    const termBefore = await termOf(connections[0]);
    const costs = watchCosts(target);
    const memory = watchMemory(target);
    // So that no further instant is due while the last one is read.
    while (Date.now() < lastMs + everyMs / 2) {
      progress.detail(`${Math.max(0, Math.ceil((lastMs - Date.now()) / 1_000))} s to go`);
      await pause(Math.min(SAMPLE_MS, everyMs / 4));
    }
    const spent = costs(herdJobs * instants);
    const peaks = memory();
    const elections = (await termOf(connections[0])) - termBefore;
    progress.step('herd: reading the outcomes');
    await settle(connections[0], herdJobs, lastMs);
    const found = await readAll(connections, herdJobs, firstMs, lastMs);
    const expected = herdJobs * instants;
    const note = `${expected} nominal times: ${found.ran} ran, ${found.open} open, ${found.skipped} skipped, ${found.missed} missed, ${expected - found.ran - found.open - found.skipped - found.missed} without an outcome; ${found.failed} runs failed; ${elections} elections meanwhile`;
    const share = { sharePercent: (100 * (found.ran - found.failed)) / expected, count: expected };
    return [
      {
        question: 'herd',
        label: 'no-op function, nominal to start',
        measures: { ...found.lateness.measures(), ...share, ...spent },
        note,
      },
      {
        question: 'herd',
        label: 'an instant until its last run is finished',
        measures: { ...found.drain.measures(), count: found.drain.count },
        note: `of ${herdJobs} runs each`,
      },
      ...peaks.map(({ label, bytes }) => ({ question: 'herd', label, measures: { megabytes: bytes / 1e6 } })),
    ];
  } finally {
    for (const connection of connections) connection.close();
    await target.close();
  }
}

function nameOf(number: number): string {
  return `bench-herd-${number}`;
}

async function termOf(connection: HttpConnection | undefined): Promise<number> {
  if (connection === undefined) throw new Error('no connection');
  const { body } = await connection.call('GET', '/metrics');
  return Number(/^carillon_raft_term\S* ([0-9]+)$/m.exec(body.toString('utf8'))?.[1] ?? 0);
}

/** Waits until the last instant's run of the last job is no longer open. */
async function settle(connection: HttpConnection | undefined, jobs: number, lastMs: number): Promise<void> {
  if (connection === undefined) throw new Error('no connection');
  const endMs = performance.now() + SETTLE_MS_MAX;
  for (let job = jobs - 1; job >= 0 && performance.now() < endMs; ) {
    const fires = await firesOf(connection, nameOf(job), lastMs, lastMs);
    if (fires.length > 0 && fires.every(({ outcome }) => outcome !== 'open')) job -= Math.max(1, Math.floor(jobs / 20));
    else await pause(SAMPLE_MS);
  }
}

async function readAll(connections: readonly HttpConnection[], jobs: number, firstMs: number, lastMs: number) {
  const found = {
    ran: 0,
    open: 0,
    skipped: 0,
    missed: 0,
    failed: 0,
    lateness: new Latencies(),
    drain: new Latencies(),
  };
  const lastEndMs = new Map<number, number>();
  let next = 0;
  const lane = async (connection: HttpConnection) => {
    while (next < jobs) {
      const name = nameOf(next++);
      for (const { outcome, count = 1 } of await firesOf(connection, name, firstMs, lastMs)) found[outcome] += count;
      const executions = await callJson(connection, {
        method: 'GET',
        path: `/v1/jobs/${name}/executions?output_size_limit=0`,
        status: 200,
      });
      for (const execution of executions as readonly Execution[]) {
        const nominalMs = Date.parse(execution.scheduled_at ?? '');
        if (!(nominalMs >= firstMs && nominalMs <= lastMs)) continue;
        if (!execution.success) found.failed += 1;
        found.lateness.add(Math.max(0, Date.parse(execution.started_at) - nominalMs));
        const tookMs = Date.parse(execution.finished_at) - nominalMs;
        lastEndMs.set(nominalMs, Math.max(lastEndMs.get(nominalMs) ?? 0, tookMs));
      }
    }
  };
  await Promise.all(connections.map(lane));
  for (const tookMs of lastEndMs.values()) found.drain.add(tookMs);
  return found;
}

async function firesOf(
  connection: HttpConnection,
  name: string,
  fromMs: number,
  toMs: number,
): Promise<readonly Fire[]> {
  const path = `/v1/jobs/${name}/fires?from=${fromMs}&to=${toMs}`;
  const body = await callJson(connection, { method: 'GET', path, status: 200 });
  const list = Array.isArray(body)
    ? body
    : ((body as { readonly fires?: unknown; readonly items?: unknown }).items ?? []);
  return list as readonly Fire[];
}

/** The most resident memory seen so far: of each process, and of its hosts together. */
function watchMemory(target: Target): () => readonly { readonly label: string; readonly bytes: number }[] {
  const peaks = target.processes.map(({ name, pid }) => ({ name, pid, bytes: 0, hostBytes: 0 }));
  const sample = () => {
    for (const peak of peaks) {
      const [node, ...others] = processTree(peak.pid);
      const hostBytes = others.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
      peak.bytes = Math.max(peak.bytes, node?.residentBytes ?? 0);
      peak.hostBytes = Math.max(peak.hostBytes, hostBytes);
    }
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    sample();
    return peaks.flatMap(({ name, bytes, hostBytes }) => [
      { label: `resident at most, ${name}`, bytes },
      ...(hostBytes === 0 ? [] : [{ label: `resident at most, run hosts of ${name}`, bytes: hostBytes }]),
    ]);
  };
}
