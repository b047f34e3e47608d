/**
 * Where the load goes: a real node, started as a process of its own from the same compiled tree, on a free port, with a
 * data directory of its own; or a running cluster, by its URLs. And how the load is made: clients that each have one
 * connection and make one call after another.
 *
 *   question ──► context.open() ──► target (urls, pid) ──► closedLoop(…) ──► figure
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Figure } from './figure.ts';
import { HttpConnection } from './http-client.ts';
import { Latencies } from './latencies.ts';
import { machineTime, treeCpuMs } from './processes.ts';
import type { Progress } from './progress.ts';

/** How much of everything; tests take little. */
export interface Scale {
  /** Of each timed figure. */
  readonly seconds: number;
  /**
   * Before the first timed figure of a node it gets so many calls, or as many as fit into the seconds: V8 compiles the
   * hot paths over the first thousands, and a node runs for months.
   */
  readonly warmUpCalls: number;
  readonly warmUpSeconds: number;
  /** A timed figure is measured so often and the best is kept, with a note: for machines that do other things too. */
  readonly bestOf: number;
  readonly clientCounts: readonly number[];
  readonly bulkInFlight: number;
  readonly herdJobs: number;
  readonly herdEverySeconds: number;
  readonly herdSeconds: number;
  readonly putClients: number;
  readonly listJobs: number;
  readonly idleSettleMs: number;
  readonly commitsInFlight: readonly number[];
  /** How often the leader is killed, and as often halted. */
  readonly kills: number;
  /** How often each side of a comparison is measured, in turns. */
  readonly rounds: number;
  /** Of each timed figure in them. */
  readonly roundSeconds: number;
}

export const FULL_SCALE: Scale = {
  seconds: 5,
  warmUpCalls: 10_000,
  warmUpSeconds: 15,
  bestOf: 1,
  clientCounts: [1, 8, 32],
  bulkInFlight: 2_000,
  herdJobs: 1_000,
  herdEverySeconds: 5,
  herdSeconds: 60,
  putClients: 32,
  listJobs: 10_000,
  idleSettleMs: 5_000,
  commitsInFlight: [1, 64, 256, 1_024],
  kills: 10,
  rounds: 3,
  roundSeconds: 2,
};

export interface Target {
  /** Clients spread over them. */
  readonly urls: readonly string[];
  /** That serve the load, as far as they are ours to look at: of one node, or of a whole cluster. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
  close(): Promise<void>;
}

export interface BenchContext {
  readonly scale: Scale;
  readonly progress: Progress;
  /** A fresh node, so that no question leaves anything to the next; of a running cluster always the same. */
  open(): Promise<Target>;
  /** A fresh node even where a running cluster is measured; null where there can be none. */
  readonly startNode: ((options?: NodeOptions) => Promise<NodeProcess>) | null;
}

export type Question = (context: BenchContext) => Promise<readonly Figure[]>;

export interface NodeOptions {
  readonly args?: readonly string[];
}

export interface NodeProcess extends Target {
  readonly pid: number;
  /** From the start of the process to the first answer on `/livez`. */
  readonly firstAnswerMs: number;
  /** When the process was started, `performance.now()`. */
  readonly startedAtMs: number;
}

export const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url));
export const FUNCTIONS = fileURLToPath(new URL('./functions', import.meta.url));
const START_MS_MAX = 30_000;
const STOP_MS_MAX = 15_000;
const POLL_MS = 2;
const WARM_UP_CLIENTS = 32;

export async function startNode(options: NodeOptions = {}): Promise<NodeProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-bench-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['--http-addr', `127.0.0.1:${port}`, '--data-dir', directory, '--functions-dir', FUNCTIONS];
  const startedAtMs = performance.now();
  // Extra flags for Node's own profiler; and a PATH without a nats-server, which `dev` would start.
  const flags = nodeFlags();
  const child = spawn(
    process.execPath,
    [...flags, MAIN, 'dev', ...args, '--tag', 'my_role=web', '--log-level', 'warn', ...(options.args ?? [])],
    { env: { PATH: '/usr/bin:/bin', HOME: process.env['HOME'] ?? '' }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const words = lastWordsOf(child);
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const close = async () => {
    process.off('exit', killWithUs);
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const firstAnswerMs = await firstAnswer(url, child, startedAtMs);
    const pid = child.pid ?? 0;
    return { urls: [url], pid, processes: [{ name: 'node process', pid }], startedAtMs, firstAnswerMs, close };
  } catch (error) {
    await close();
    throw new Error(`the node did not start: ${error instanceof Error ? error.message : error}\n${words()}`);
  }
}

export function runningCluster(urls: readonly string[]): Target {
  return { urls, processes: [], close: () => Promise.resolve() };
}

/** One connection for each client, spread over the target's URLs. */
export function connectTo(target: Target, clients: number): readonly HttpConnection[] {
  return Array.from({ length: clients }, (_none, client) => {
    return new HttpConnection(target.urls[client % target.urls.length] ?? '');
  });
}

export interface Load {
  readonly target: Target;
  readonly clients: number;
  readonly seconds: number;
  /** One call; throws when the answer is not what it should be. */
  readonly call: (connection: HttpConnection) => Promise<void>;
}

/**
 * Each client makes one call after another until the time is over; what runs then is waited for and counted. Before the
 * time begins there is a settling of a tenth of it that is not counted.
 */
export async function closedLoop(
  load: Load,
): Promise<Figure['measures'] & { readonly count: number; readonly perSecond: number }> {
  const { target, clients, seconds } = load;
  const connections = connectTo(target, clients);
  try {
    await callFor(load, connections, { milliseconds: seconds * 100, callsMax: Number.POSITIVE_INFINITY });
    const costs = watchCosts(target);
    const beganMs = performance.now();
    const latencies = await callFor(load, connections, {
      milliseconds: seconds * 1_000,
      callsMax: Number.POSITIVE_INFINITY,
    });
    const tookMs = performance.now() - beganMs;
    const { count } = latencies;
    return { perSecond: (1_000 * count) / tookMs, ...latencies.measures(), count, ...costs(count) };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** See `Scale.warmUpCalls`. */
export async function warmUp(context: BenchContext, target: Target, call: Load['call']): Promise<void> {
  const { warmUpCalls, warmUpSeconds } = context.scale;
  const connections = connectTo(target, WARM_UP_CLIENTS);
  try {
    await callFor({ call }, connections, { milliseconds: warmUpSeconds * 1_000, callsMax: warmUpCalls });
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function callFor(
  { call }: Pick<Load, 'call'>,
  connections: readonly HttpConnection[],
  until: { readonly milliseconds: number; readonly callsMax: number },
): Promise<Latencies> {
  const latencies = new Latencies();
  const endMs = performance.now() + until.milliseconds;
  let begun = 0;
  const client = async (connection: HttpConnection) => {
    for (let beganMs = performance.now(); beganMs < endMs && begun < until.callsMax; ) {
      begun += 1;
      await call(connection);
      const nowMs = performance.now();
      latencies.add(nowMs - beganMs);
      beganMs = nowMs;
    }
  };
  await Promise.all(connections.map(client));
  return latencies;
}

/** Numbers for what must not be repeated. */
export function countFromZero(): () => number {
  let number = 0;
  return () => number++;
}

/** Call the result to learn what was spent since, for each of so many calls. */
export function watchCosts(
  target: Target,
): (calls: number) => Pick<Figure['measures'], 'nodeCpuUs' | 'clientCpuUs' | 'othersCpuPercent'> {
  const machine = machineTime();
  const client = process.cpuUsage();
  const spentMs = () => target.processes.reduce((sum, { pid }) => sum + treeCpuMs(pid), 0);
  const isOurs = target.processes.length > 0;
  const nodeMs = spentMs();
  return (calls) => {
    const { user, system } = process.cpuUsage(client);
    const clientMs = (user + system) / 1_000;
    const usedMs = spentMs() - nodeMs;
    const now = machineTime();
    const othersMs = Math.max(0, now.busyMs - machine.busyMs - clientMs - usedMs);
    return {
      ...(!isOurs ? {} : { nodeCpuUs: (1_000 * usedMs) / calls }),
      clientCpuUs: (1_000 * clientMs) / calls,
      othersCpuPercent: (100 * othersMs) / Math.max(1, now.totalMs - machine.totalMs),
    };
  };
}

/** Measures `scale.bestOf` times and keeps what is best by throughput. */
export async function bestOf<Measured extends { readonly perSecond?: number }>(
  times: number,
  measure: (attempt: number) => Promise<Measured>,
): Promise<Measured> {
  let best = await measure(0);
  for (let attempt = 1; attempt < times; attempt += 1) {
    const next = await measure(attempt);
    if ((next.perSecond ?? 0) > (best.perSecond ?? 0)) best = next;
  }
  return best;
}

/** The rest of a label: `8 clients`. */
export function clientsText(clients: number): string {
  return clients === 1 ? '1 client' : `${clients} clients`;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function firstAnswer(url: string, child: ChildProcess, startedAtMs: number): Promise<number> {
  for (;;) {
    const elapsedMs = performance.now() - startedAtMs;
    if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
    if (elapsedMs > START_MS_MAX) throw new Error(`no answer within ${START_MS_MAX / 1_000} s`);
    const connection = new HttpConnection(url);
    try {
      // It leads, so a put would be taken.
      const { status } = await connection.call('GET', '/v1/leader');
      if (status === 200) return performance.now() - startedAtMs;
    } catch {
      // It does not listen yet.
    } finally {
      connection.close();
    }
    await pause(POLL_MS);
  }
}

export function lastWordsOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4_000);
  });
  return () => text;
}

/** Free at this moment; another program could take it before the node does, which then says so. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}

/** For each node's own runtime, such as those of a profiler. */
export function nodeFlags(): readonly string[] {
  return (process.env['CARILLON_BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
}
