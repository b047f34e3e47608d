/**
 * When all faults are over a cluster must heal by itself, within bounds: one leader, equal states, fresh writes and
 * fires in time, and everything that was begun decided.
 */
import { parseExecutionId, parseRunId } from '../../src/jobs/ids.ts';
import { type JobRow, keys, type NodeRow, type StatusRow } from '../../src/scheduler/rows.ts';
import type { State } from '../../src/scheduler/state.ts';
import { handOver, heedNoWrongHint } from './leadership.ts';
import type { Operator } from './operator.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import { PLAIN_JOB, type Workload } from './workload.ts';
import type { World } from './world.ts';

const LEADER_MS = 15_000;
const SESSIONS_MS = 20_000;
/** Transfer, drain and what the disk has yet to write. */
const STOP_MS = 15_000;
const WRITE_MS = 5_000;
const FIRES = 5;
/** Longest `start_within`, run, retries with their delays, and the silence after which a node is given up. */
const SETTLE_MS = 900_000;
const EQUAL_MS = 30_000;

export async function recover(world: World, workload: Workload, operator: Operator): Promise<void> {
  await world.runUntil(
    () => !world.nodes.some((node) => node.isStopping),
    STOP_MS,
    () => 'every node that was told to stop',
  );
  for (const node of world.nodes) node.start();
  await world.runUntil(
    () => world.leader !== undefined,
    LEADER_MS,
    () => 'a leader',
  );
  await world.runUntil(
    () => openSessions(world) === world.nodes.length,
    SESSIONS_MS,
    () => 'a session of every node',
  );
  await writeOnEveryServer(world, workload);
  await fireOnTime(world, workload);
  await comeToRest(world, workload);
  await becomeEqual(world);
  world.invariants.checkRows(world);
  checkWork(world);
  await heedNoWrongHint(world);
  await handOver(world, workload, operator);
}

async function writeOnEveryServer(world: World, workload: Workload): Promise<void> {
  let answered = 0;
  for (const server of world.servers) {
    const submission = workload.make({
      type: 'put-job',
      job: { ...PLAIN_JOB, name: `fresh-${server.name}` },
      runOnCreate: false,
    });
    workload.submit(server, submission, (answer) => {
      if (answer?.type === 'done' && answer.result.type === 'job') answered += 1;
    });
  }
  await world.runUntil(
    () => answered === world.servers.length,
    WRITE_MS,
    () => `fresh writes on all servers (${answered} answered)`,
  );
}

async function fireOnTime(world: World, workload: Workload): Promise<void> {
  const job = { ...PLAIN_JOB, name: 'tick', schedule: '@every 1s', tags: { my_role: 'web:1' } };
  let uid = '';
  workload.submit(world.steadyLeader, workload.make({ type: 'put-job', job, runOnCreate: false }), (answer) => {
    if (answer?.type === 'done' && answer.result.type === 'job') uid = answer.result.job.uid;
  });
  await world.runUntil(
    () => uid !== '',
    WRITE_MS,
    () => 'a put of the job that ticks',
  );
  const { ledger } = world.invariants;
  const decided = (): number => ledger.decidedCount(uid) + ledger.openCount(uid);
  await world.runUntil(
    () => decided() >= FIRES,
    (FIRES + 1.5) * 1_000,
    () => `${FIRES} fires in time (${decided()} came)`,
  );
}

/** No new work: everything that is scheduled is paused, and what runs or waits ends. */
async function comeToRest(world: World, workload: Workload): Promise<void> {
  const state = stateOf(world.steadyLeader);
  for (const uid of [...world.invariants.ledger.uids]) {
    const row = state.get<JobRow>(keys.job(uid));
    if (row === undefined || row.job.disabled) continue;
    let isDone = false;
    const submission = workload.make({ type: 'toggle-job', name: row.job.name });
    workload.submit(world.steadyLeader, submission, (answer) => {
      isDone = answer?.type === 'done';
    });
    await world.runUntil(
      () => isDone,
      WRITE_MS,
      () => `'${row.job.name}' paused`,
    );
  }
  await world.runUntil(
    () => openWork(world) === '',
    SETTLE_MS,
    () => `all runs decided: ${openWork(world)}`,
  );
}

function openWork(world: World): string {
  const state = stateOf(world.steadyLeader);
  for (const uid of world.invariants.ledger.uids) {
    const open = state.get<StatusRow>(keys.status(uid))?.openRuns ?? 0;
    if (open > 0) return `${state.get<JobRow>(keys.job(uid))?.job.name} has ${open} open runs`;
    const fires = world.invariants.ledger.openCount(uid);
    if (fires > 0) return `${state.get<JobRow>(keys.job(uid))?.job.name} has ${fires} open fires`;
  }
  return state.meta.waits > 0 ? `${state.meta.waits} wait` : '';
}

async function becomeEqual(world: World): Promise<void> {
  const isEqual = (): boolean =>
    world.servers.every((node) => {
      const progress = node.running?.progress();
      return progress?.appliedIndex === world.invariants.lastIndex && progress.storedIndex === progress.appliedIndex;
    });
  await world.runUntil(isEqual, EQUAL_MS, () => 'equal and stored states');
  const hashes = world.servers.map((node) => stateOf(node).rowHash());
  check(new Set(hashes).size === 1, () => `the servers' row hashes differ: ${hashes.join(' ')}`);
  const outboxes = await outboxSizes(world);
  check(
    outboxes.every((size) => size === 0),
    () => `outboxes hold ${outboxes.join(' ')} finishes`,
  );
}

async function outboxSizes(world: World): Promise<number[]> {
  // Acknowledged finishes are let go within a few beats.
  await world.runFor(35_000);
  const sizes: number[] = [];
  for (const node of world.nodes) {
    node.running?.work.executor.ask({ type: 'inspect' }, 1_000, (outcome) => {
      if (outcome.type === 'answer' && outcome.answer.type === 'state') sizes.push(outcome.answer.outbox);
    });
  }
  await world.runFor(100);
  check(sizes.length === world.nodes.length, () => `${sizes.length} executor actors answer`);
  return sizes;
}

/** Each attempt that was started has an outcome, unless its job is gone. */
function checkWork(world: World): void {
  const { starts, finished, lateFinishes, deletedJobs } = world.invariants;
  for (const execution of starts.keys()) {
    if (finished.has(execution) || lateFinishes.has(execution)) continue;
    const uid = parseRunId(parseExecutionId(execution)?.run ?? '')?.uid;
    check(uid !== undefined && deletedJobs.has(uid), () => `${execution} was started, and nobody knows how it ended`);
  }
}

function openSessions(world: World): number {
  const { leader } = world;
  if (leader === undefined) return 0;
  const state = stateOf(leader);
  return world.nodes.filter((node) => {
    const row = state.get<NodeRow>(keys.node(node.id));
    return row?.isOpen === true && row.boot === node.running?.self.boot;
  }).length;
}

/** Of a server that is up. */
function stateOf(node: SimNode): State {
  const state = node.running?.consensus?.state;
  check(state != null, () => `${node.name} has no state`);
  return state;
}
