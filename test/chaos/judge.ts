/** After everything has healed: waits until the cluster is at rest, then looks whether all was kept that was promised. */
import { setTimeout as pause } from 'node:timers/promises';
import { describeFires, type Fire } from '../helpers/fires.ts';
import { checkLinearizability } from '../linearizability/checker.ts';
import type { Operation } from '../linearizability/history.ts';
import { checkSessions } from '../linearizability/sessions.ts';
import type { ChaosCluster } from './chaos-cluster.ts';
import type { HandRuns } from './hand-runs.ts';
import { call, type HttpReply } from './http.ts';
import { judgeFires, judgeStarts } from './judge-fires.ts';
import type { NodeProcess } from './node-process.ts';
import { isHeldLinearizable } from './promises.ts';
import type { RegisterLoad } from './register-load.ts';
import { HAND_JOB, type Schedules, type Start } from './schedules.ts';

export interface Judged {
  readonly violations: readonly string[];
  /** Outcomes with their reasons, over all scheduled jobs. */
  readonly outcomes: string;
  readonly fires: number;
  readonly starts: number;
  /** States of the runs by hand. */
  readonly handRuns: Readonly<Record<string, number>>;
  readonly checkerWork: number;
}

export interface JudgeOptions {
  readonly cluster: ChaosCluster;
  readonly load: RegisterLoad;
  readonly handRuns: HandRuns;
  readonly schedules: Schedules;
  readonly operations: () => readonly Operation[];
  readonly tell: (what: string) => void;
}

/** Generous: machines differ. What takes longer is a violation in itself, since all faults are gone. */
const REST_MS_MAX = 120_000;
const ON_TIME_MS = 3_000;
const QUIET_MS = 1_500;

/** What cannot be judged is a violation too; the rest is judged all the same. */
export async function judge(options: JudgeOptions): Promise<Judged> {
  const { cluster, load, handRuns, schedules, operations, tell } = options;
  const violations: string[] = [];
  const attempt = async (what: string, act: () => Promise<void>): Promise<void> => {
    tell(what);
    try {
      await act();
    } catch (error) {
      violations.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const [server] = cluster.servers;
  if (server === undefined) throw new Error('no server');
  let pausedAtMs: ReadonlyMap<string, number> = new Map();
  await attempt('waiting until all nodes hear each other and jobs fire on time', async () => {
    await cluster.untilComplete(REST_MS_MAX);
    await until('jobs fire on time', () => isOnTime(server, schedules));
    pausedAtMs = await schedules.pause();
    await until('no run is open', () => hasNothingOpen(server, schedules));
  });
  await attempt('waiting until all servers have applied the same', async () => {
    await untilQuiet(cluster);
    violations.push(...(await judgeAgreement(cluster, schedules)));
  });

  let checkerWork = 0;
  await attempt('reading all that was written, at each server', async () => {
    await load.readAll(load.keys);
    checkerWork = judgeOperations(operations(), violations);
  });

  const all: Fire[] = [];
  let starts: readonly Start[] = [];
  let states: Record<string, number> = {};
  await attempt('counting nominal times, starts and runs', async () => {
    starts = await schedules.starts();
    violations.push(...judgeStarts(starts));
    for (const job of schedules.jobs) {
      const fires = await readFires(server, job.name);
      all.push(...fires);
      const untilMs = (pausedAtMs.get(job.name) ?? 0) - ON_TIME_MS - job.everyMs;
      const ofJob = starts.filter((start) => start.job === job.name);
      violations.push(...judgeFires({ job, fires, starts: ofJob, untilMs }));
    }
    states = await judgeHandRuns(server, handRuns, starts, violations);
  });
  return {
    violations,
    outcomes: describeFires(all),
    fires: all.reduce((sum, { count = 1 }) => sum + count, 0),
    starts: starts.length,
    handRuns: states,
    checkerWork,
  };
}

/** How much work it was. */
function judgeOperations(operations: readonly Operation[], violations: string[]): number {
  const verdict = checkLinearizability(operations.filter(isHeldLinearizable));
  if (verdict.type === 'violation') violations.push(`not linearizable: ${verdict.key}: ${verdict.explanation}`);
  if (verdict.type === 'unknown') violations.push(`linearizability of ${verdict.key} is unknown: too much to search`);
  violations.push(...checkSessions(operations));
  return verdict.work;
}

async function isOnTime(server: NodeProcess, schedules: Schedules): Promise<boolean> {
  for (const { name, everyMs } of schedules.jobs) {
    const fires = await readFires(server, name);
    const newest = fires.findLast(({ outcome }) => outcome === 'ran');
    if (newest === undefined || Date.parse(String(newest.scheduled_at)) < Date.now() - everyMs - ON_TIME_MS)
      return false;
  }
  return true;
}

async function hasNothingOpen(server: NodeProcess, schedules: Schedules): Promise<boolean> {
  const busy = await read(server, '/v1/busy');
  if ((busy.json as readonly unknown[]).length > 0) return false;
  for (const { name } of schedules.jobs) {
    if ((await readFires(server, name)).some(({ outcome }) => outcome === 'open')) return false;
  }
  return true;
}

/** All have applied the same, and no more comes for a while. */
async function untilQuiet(cluster: ChaosCluster): Promise<void> {
  let last = '';
  let sinceMs = performance.now();
  await until('all servers have applied the same', async () => {
    const indexes = await Promise.all(cluster.servers.map((server) => appliedIndex(server)));
    const seen = indexes.join(' ');
    if (seen !== last || new Set(indexes).size > 1) sinceMs = performance.now();
    last = seen;
    return performance.now() - sinceMs >= QUIET_MS;
  });
}

async function judgeAgreement(cluster: ChaosCluster, schedules: Schedules): Promise<readonly string[]> {
  const violations: string[] = [];
  const paths = ['/v1/jobs', ...schedules.jobs.map(({ name }) => `/v1/jobs/${name}/runs`), `/v1/jobs/${HAND_JOB}/runs`];
  paths.push(...schedules.jobs.map(({ name }) => firesPath(name)));
  for (const path of paths) {
    const answers = await Promise.all(cluster.servers.map(async (server) => (await read(server, path)).text));
    for (const [number, text] of answers.entries()) {
      if (text !== answers[0])
        violations.push(`s1 and s${number + 1} differ: ${path}: ${difference(answers[0] ?? '', text)}`);
    }
  }
  const leading = await Promise.all(cluster.servers.map((server) => call(server, 'GET', '/v1/isleader')));
  const leaders = leading.filter((reply) => reply?.status === 200).length;
  if (leaders !== 1) violations.push(`${leaders} servers lead`);
  return violations;
}

async function judgeHandRuns(
  server: NodeProcess,
  handRuns: HandRuns,
  starts: readonly Start[],
  violations: string[],
): Promise<Record<string, number>> {
  const states: Record<string, number> = {};
  for (const run of handRuns.acknowledged.values()) {
    const reply = await call(server, 'GET', `/v1/jobs/${HAND_JOB}/runs/${run}`);
    if (reply?.status !== 200) {
      violations.push(`run ${run} was acknowledged and is not there: ${reply?.status} ${reply?.text}`);
      continue;
    }
    const { state } = reply.json as { readonly state: string };
    states[state] = (states[state] ?? 0) + 1;
    const begun = starts.filter(({ execution }) => execution.startsWith(`${run}-`)).length;
    if (!FINISHED.has(state)) violations.push(`run ${run} is ${state} in a cluster at rest`);
    if (begun > 1) violations.push(`run ${run} was started ${begun} times`);
    if (state === 'succeeded' && begun !== 1) violations.push(`run ${run} succeeded and was never started`);
  }
  return states;
}

const FINISHED = new Set(['succeeded', 'partially-failed', 'failed', 'cancelled', 'missed']);

async function readFires(server: NodeProcess, job: string): Promise<readonly Fire[]> {
  const fires: Fire[] = [];
  let cursor = '';
  do {
    const page = (await read(server, `${firesPath(job)}&cursor=${cursor}`)).json as {
      readonly items: readonly Fire[];
      readonly next: string | null;
    };
    fires.push(...page.items);
    cursor = page.next ?? '';
  } while (cursor !== '');
  return fires.toReversed();
}

/** No wall clock of a server has a say in it. */
function firesPath(job: string): string {
  return `/v1/jobs/${job}/fires?limit=1000&from=0&to=4000000000000`;
}

async function read(server: NodeProcess, path: string): Promise<HttpReply> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const reply = await call(server, 'GET', path);
    if (reply?.status === 200) return reply;
    if (performance.now() > endMs) throw new Error(`${server.name} answers ${reply?.status ?? 'nothing'} to ${path}`);
    await pause(200);
  }
}

export async function appliedIndex(server: NodeProcess): Promise<number> {
  const reply = await call(server, 'GET', '/health');
  return Number((reply?.json as { readonly applied_index?: number } | undefined)?.applied_index ?? Number.NaN);
}

async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + REST_MS_MAX;
  while (!(await probe())) {
    if (performance.now() > endMs) throw new Error(`not within ${REST_MS_MAX / 1_000} s of rest: ${what}`);
    await pause(200);
  }
}

/** Where two texts part, with what is around it. */
function difference(left: string, right: string): string {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at += 1;
  const from = Math.max(0, at - 80);
  return `…${left.slice(from, at + 80)}… and …${right.slice(from, at + 80)}…`;
}
