/** One run: a cluster is formed, loaded and hurt; everything heals; the judge looks. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { History, writeHistory } from '../linearizability/history.ts';
import { sourceFor } from '../sim/draw.ts';
import { ChaosCluster } from './chaos-cluster.ts';
import { Faults } from './faults.ts';
import { HandRuns } from './hand-runs.ts';
import { call } from './http.ts';
import { judge } from './judge.ts';
import { lookAround, missingFaults } from './machine.ts';
import type { ChaosOptions } from './options.ts';
import { FAULT_KINDS, planFaults } from './plan.ts';
import { CLIENTS, RegisterLoad } from './register-load.ts';
import type { ChaosReport } from './report.ts';
import { HAND_JOB, Schedules } from './schedules.ts';

export interface RunContext {
  readonly directory: string;
  readonly commit: string;
  readonly tell: (what: string) => void;
}

/** Draws for the load; those for faults have a source of their own. */
const LOAD_PURPOSE = 110;

export async function runChaos(options: ChaosOptions, { directory, commit, tell }: RunContext): Promise<ChaosReport> {
  const machine = await lookAround();
  const missing = missingFaults(machine, options.natsServers);
  const wanted = options.faults ?? FAULT_KINDS;
  const loadMs = options.minutes * 60_000;
  // All kinds are drawn, so that a seed means the same where some cannot be had.
  const plan = planFaults({ seed: options.seed, loadMs, kinds: wanted }).filter(({ kind }) => !missing.has(kind));
  const violations: string[] = [];
  let loadBeganMs = performance.now();
  const elapsedMs = (): number => performance.now() - loadBeganMs;
  const violate = (text: string): void => {
    violations.push(`at ${(elapsedMs() / 1_000).toFixed(1)} s: ${text}`);
    tell(`VIOLATION ${text}`);
  };

  tell(`forming ${options.servers} servers`);
  const cluster = await ChaosCluster.start({
    machine,
    servers: options.servers,
    natsServers: options.natsServers,
    directory,
    onUnexpectedEnd: (node, { code, signal }) =>
      violate(`${node} ended with ${signal ?? `exit code ${code}`}, unasked`),
  });
  const { servers } = cluster;
  const schedules = new Schedules(directory, servers);
  await schedules.put();
  const termBefore = await highestTerm(cluster);

  tell(`load for ${options.minutes} minutes, ${plan.length} faults`);
  loadBeganMs = performance.now();
  const history = new History(elapsedMs);
  const shouldStop = (): boolean => elapsedMs() >= loadMs;
  const randomOf = (client: number) => sourceFor(options.seed, LOAD_PURPOSE + client);
  const load = new RegisterLoad({ servers, history, randomOf, shouldStop });
  const handRuns = new HandRuns({
    servers,
    job: HAND_JOB,
    random: randomOf(CLIENTS + 1),
    shouldStop,
    onViolation: violate,
  });
  const faults = new Faults({ cluster, strace: machine.strace, directory, elapsedMs, onViolation: violate });
  await Promise.all([
    load.run(),
    handRuns.run(),
    ...plan.map(async (fault) => {
      await pause(fault.atMs);
      tell(`${(elapsedMs() / 1_000).toFixed(1)} s: ${fault.kind}`);
      await faults.carryOut(fault);
    }),
  ]);

  const operations = () => history.operations();
  const judged = await judge({ cluster, load, handRuns, schedules, operations, tell });
  const terms = (await highestTerm(cluster)) - termBefore;
  await writeFile(join(directory, 'history.jsonl'), writeHistory(operations()));
  await cluster.close();
  return {
    options,
    commit,
    loadMs,
    faults: faults.records,
    leftOut: Object.fromEntries([...missing].filter(([kind]) => wanted.includes(kind))),
    registers: load.counts,
    handRuns: {
      acknowledged: handRuns.acknowledged.size,
      unknown: handRuns.unknown,
      states: judged.handRuns,
    },
    fires: { count: judged.fires, outcomes: judged.outcomes, starts: judged.starts },
    terms,
    checkerWork: judged.checkerWork,
    violations: [...violations, ...judged.violations],
  };
}

async function highestTerm(cluster: ChaosCluster): Promise<number> {
  const terms = await Promise.all(
    cluster.servers.map(async (server) => {
      const reply = await call(server, 'GET', '/health', { timeoutMs: 2_000 });
      return Number((reply?.json as { readonly term?: number } | undefined)?.term ?? 0);
    }),
  );
  return Math.max(...terms);
}
