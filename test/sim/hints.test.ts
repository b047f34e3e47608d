import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUIET } from './plan.ts';
import { World } from './world.ts';

const SEEDS = 8;
const LEADER_MS = 15_000;

test('a leader that crashes is replaced sooner where hints reach raft than where all are lost', async () => {
  const withHints = await meanGapMs(0);
  const withoutHints = await meanGapMs(1);

  assert(withHints < 600, `with hints the next leader took ${withHints} ms`);
  assert(withoutHints > 1.5 * withHints, `${withHints} ms with hints, ${withoutHints} ms without`);
});

test('a hint about a leader that is well, told to all again and again, deposes nobody', async () => {
  const world = await worldWithLeader(1, { wrongHintEveryMs: 50 });
  const { elections } = world.invariants;

  for (let round = 0; round < 200; round += 1) {
    world.hints.tellWrong();
    await world.runFor(50);
  }

  assert(world.hints.counts.wrong > 200);
  assert.equal(world.invariants.elections, elections);
});

/** From the crash of a leader to the next, in virtual time. */
async function meanGapMs(hintLossShare: number): Promise<number> {
  let sumMs = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const world = await worldWithLeader(seed, { hintLossShare });
    const crashedMs = world.clock.monotonic();
    world.leader?.crash(() => 0.5, 'prefix');
    await untilLeader(world);
    sumMs += world.clock.monotonic() - crashedMs;
  }
  return sumMs / SEEDS;
}

async function worldWithLeader(seed: number, plan: Partial<typeof QUIET>): Promise<World> {
  const world = new World({ seed, plan: { ...QUIET, ...plan } });
  for (const node of world.nodes) node.start();
  await untilLeader(world);
  await world.runFor(1_000);
  return world;
}

function untilLeader(world: World): Promise<void> {
  return world.runUntil(
    () => world.leader !== undefined,
    LEADER_MS,
    () => 'a leader',
  );
}
