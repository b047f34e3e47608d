/**
 * When all faults are over a cluster must heal by itself, within bounds: one leader, equal states, fresh writes and
 * fires in time, and everything that was begun decided.
 */
import { parseExecutionId, parseRunId } from '../../src/jobs/ids.ts';
import { type JobRow, keys, type NodeRow, type StatusRow } from '../../src/scheduler/rows.ts';
import type { State } from '../../src/scheduler/state.ts';
import { chance, pick, SOURCES, sourceFor } from './draw.ts';
import { handOver, heedNoWrongHint } from './leadership.ts';
import type { Membership } from './membership.ts';
import type { Operator } from './operator.ts';
import type { Reads } from './reads.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import { PLAIN_JOB, type Workload } from './workload.ts';
import type { World } from './world.ts';

/** Ten election timeouts at their longest. */
const LEADER_MS = 12_000;
const SESSIONS_MS = 20_000;
/** Transfer, drain and what the disk has yet to write. */
const STOP_MS = 15_000;
const WRITE_MS = 5_000;
const WRITES = 100;
const CORE_WRITES = 20;
const FIRES = 5;
/** Longest `start_within`, run, retries with their delays, and the silence after which a node is given up. */
const SETTLE_MS = 900_000;
const EQUAL_MS = 30_000;
const OUTBOX_MS = 35_000;

/** All who took part, for what they must see through now. */
export interface Cast {
  readonly world: World;
  readonly workload: Workload;
  readonly operator: Operator;
  readonly membership: Membership;
  readonly reads: Reads;
}

export async function recover({ world, workload, operator, membership, reads }: Cast): Promise<void> {
  if (world.plan.isCoreFirst) await serveWithCoreAlone(world, workload);
  await comeUp(world, world.nodes);
  if (world.plan.spares > 0 || world.invariants.voters.changes > 0) await membership.settle();
  const { elections } = world.invariants;
  await writeOnEveryServer(world, workload, 'fresh', WRITES);
  await readOnEveryServer(world, reads);
  await fireOnTime(world, workload, 'tick');
  await comeToRest(world, workload);
  await becomeEqual(world);
  world.invariants.checkRows(world);
  checkWork(world);
  const fresh = world.invariants.elections - elections;
  check(fresh === 0, () => `${fresh} elections while nothing went wrong`);
  await heedNoWrongHint(world);
  await handOver(world, workload, operator);
}

/** A majority that can talk, whichever it is, needs nobody else: the others are dead, for all it will ever know. */
async function serveWithCoreAlone(world: World, workload: Workload): Promise<void> {
  const random = sourceFor(world.seed, SOURCES.core);
  const core: SimNode[] = [];
  while (2 * core.length <= world.servers.length) {
    core.push(
      pick(
        random,
        world.servers.filter((server) => !core.includes(server)),
      ),
    );
  }
  const alive = world.nodes.filter((node) => core.includes(node) || (!node.config.isServer && chance(random, 0.5)));
  world.trace.add('world', `leaves alive only ${alive.map((node) => node.name).join()}`);
  for (const node of world.nodes) {
    if (alive.includes(node)) continue;
    node.isDead = true;
    node.crash(random, 'any-subset');
  }
  await comeUp(world, alive);
  await writeOnEveryServer(world, workload, 'core', CORE_WRITES);
  await fireOnTime(world, workload, 'core-tick');
  for (const node of world.nodes) node.isDead = false;
  world.trace.add('world', 'lets the others come back');
}

async function comeUp(world: World, nodes: readonly SimNode[]): Promise<void> {
  await world.runUntil(
    () => !nodes.some((node) => node.isStopping || node.isInPromises),
    STOP_MS,
    () => 'every node that was told to stop, or to hand over',
  );
  for (const node of nodes) node.start();
  // One that all follow: another one may be about to lose what it has.
  await world.runUntil(
    () => nodes.every((node) => !world.invariants.voters.now.voters.includes(node.id) || isLed(world, node)),
    LEADER_MS,
    () => 'a leader of all',
  );
  await world.runUntil(
    () => nodes.every((node) => hasSession(world, node)),
    SESSIONS_MS,
    () => 'a session of every node',
  );
}

/** On all servers that are up at the same time; on each one after the other, as they are about one job. */
async function writeOnEveryServer(world: World, workload: Workload, name: string, writes: number): Promise<void> {
  const servers = world.servers.filter((server) => server.running !== undefined);
  let asked = 0;
  let answered = 0;
  const write = (server: SimNode): void => {
    if (asked === writes) return;
    asked += 1;
    const job = { ...PLAIN_JOB, name: `${name}-${server.name}`, displayName: String(asked) };
    workload.submit(server, workload.make({ type: 'put-job', job, runOnCreate: false }), (answer) => {
      if (answer?.type === 'done' && answer.result.type === 'job') answered += 1;
      write(server);
    });
  };
  for (const server of servers) write(server);
  await world.runUntil(
    () => answered === writes,
    WRITE_MS,
    () => `${writes} fresh writes on ${servers.length} servers (${answered} answered)`,
  );
}

async function readOnEveryServer(world: World, reads: Reads): Promise<void> {
  let answered = 0;
  for (let count = 0; count < WRITES; count += 1) {
    reads.ask(world.servers[count % world.servers.length] as SimNode, (isAnswered) => {
      if (isAnswered) answered += 1;
    });
  }
  await world.runUntil(
    () => answered === WRITES,
    WRITE_MS,
    () => `${WRITES} reads (${answered} answered)`,
  );
}

async function fireOnTime(world: World, workload: Workload, name: string): Promise<void> {
  const job = { ...PLAIN_JOB, name, schedule: '@every 1s', tags: { my_role: 'web:1' } };
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
  await emptyOutboxes(world);
}

/** Acknowledged finishes are let go within a few beats. */
async function emptyOutboxes(world: World): Promise<void> {
  const untilMs = world.clock.monotonic() + OUTBOX_MS;
  for (let sizes = await outboxSizes(world); sizes.some((size) => size > 0); sizes = await outboxSizes(world)) {
    check(world.clock.monotonic() < untilMs, () => `outboxes hold ${sizes.join(' ')} finishes`);
    await world.runFor(1_000);
  }
}

async function outboxSizes(world: World): Promise<readonly number[]> {
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

function isLed({ leader }: World, server: SimNode): boolean {
  const progress = server.running?.progress();
  const term = leader?.running?.progress()?.term;
  return progress != null && leader !== undefined && progress.leader === leader.id && progress.term === term;
}

function hasSession({ leader }: World, node: SimNode): boolean {
  if (leader === undefined) return false;
  const row = stateOf(leader).get<NodeRow>(keys.node(node.id));
  return row?.isOpen === true && row.boot === node.running?.self.boot;
}

/** Of a server that is up. */
function stateOf(node: SimNode): State {
  const state = node.running?.consensus?.state;
  check(state != null, () => `${node.name} has no state`);
  return state;
}
