/** What a cluster that is well does about its leader: it ignores wrong hints, and obeys an order to hand over. */

import type { SubmitAnswer } from '../../src/scheduler/submission-actor.ts';
import type { Operator } from './operator.ts';
import { check } from './violation.ts';
import { PLAIN_JOB, type Workload } from './workload.ts';
import type { World } from './world.ts';

const HINT_ROUNDS = 20;
/** Not a multiple of a heartbeat, so that hints fall everywhere between two. */
const HINT_EVERY_MS = 73;
const HAND_OVER_MS = 500;
/** Ten election timeouts. */
const LEADER_MS = 12_000;
const ORDERS_MAX = 4;

/** A leader that speaks stays, whatever the transport says of it. */
export async function heedNoWrongHint(world: World): Promise<void> {
  const { elections } = world.invariants;
  for (let round = 0; round < HINT_ROUNDS; round += 1) {
    world.hints.tellWrong();
    await world.runFor(HINT_EVERY_MS);
  }
  const fresh = world.invariants.elections - elections;
  check(fresh === 0, () => `hints about servers that were well led to ${fresh} elections`);
}

/**
 * The order comes while a write is on its way to the followers: the one that takes over must get it first. Nothing goes
 * wrong, so it succeeds by one election, and the write is answered. An order may fail where the one that is to take
 * over has not heard others since they started anew: what it asks is addressed to their lives before. The next succeeds.
 */
export async function handOver(world: World, workload: Workload, operator: Operator): Promise<void> {
  // Nobody could take over.
  if (world.servers.length === 1) return;
  for (let order = 1; !(await isHandedOver(world, workload, operator)); order += 1) {
    check(order < ORDERS_MAX, () => `${ORDERS_MAX} orders to hand over, and nobody took over`);
    // Whoever stands for election now is heard by all.
    await world.runFor(LEADER_MS);
  }
}

async function isHandedOver(world: World, workload: Workload, operator: Operator): Promise<boolean> {
  const { elections } = world.invariants;
  const before = world.steadyLeader;
  let written: SubmitAnswer | null | undefined;
  const job = { ...PLAIN_JOB, name: 'handed-over' };
  workload.submit(before, workload.make({ type: 'put-job', job, runOnCreate: false }), (answer) => {
    written = answer;
  });
  // As far as the leader's own log, and no frame has arrived.
  await world.runFor(0);
  let next: string | null | undefined;
  operator.transfer(before, (leader) => {
    next = leader;
  });
  const untilMs = world.clock.monotonic() + HAND_OVER_MS;
  await world.run(() => (next !== undefined && world.leader?.id === next) || world.clock.monotonic() > untilMs);
  const isDone = next != null && world.leader?.id === next;
  await world.runUntil(
    () => written?.type === 'done',
    LEADER_MS,
    () => 'an answer to a write that was on its way when leadership was handed over',
  );
  if (!isDone) return false;
  const fresh = world.invariants.elections - elections;
  check(fresh === 1, () => `one order to hand over led to ${fresh} elections`);
  return true;
}
