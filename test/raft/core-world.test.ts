/**
 * Random stories of cores, from seeds: membership changes, reads, transfers, crashes, wounds, compaction. At the end all
 * faults are gone, and the members must settle on one leader, one configuration and one log.
 *
 * `SEEDS=1000 FROM=1 node --test dist/test/raft/core-world.test.js` runs more; a failure names its seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomInteger } from '../../src/base/random.ts';
import type { ConfigurationChange } from '../../src/raft/raft-protocol.ts';
import type { CoreNode } from './core-node.ts';
import { CoreWorld } from './core-world.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 150);
const FROM = Number(process.env['FROM'] ?? 1);
const STEPS = 5_000;
const totals = new Map<string, number>();

for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
  test(`cores under faults keep their promises, seed ${seed}`, () => {
    const world = runStory(seed);
    for (const [name, count] of Object.entries(world.counts)) totals.set(name, (totals.get(name) ?? 0) + count);
  });
}

test('the stories see all that they are about', () => {
  if (process.env['VERBOSE'] === '1') console.log(totals);
  for (const [name, count] of totals) assert(count > SEEDS / 10, `${count} ${name} in ${SEEDS} stories`);
});

function runStory(seed: number): CoreWorld {
  const random = (low: number, high: number): number => randomInteger(world.random, low, high);
  const chance = (probability: number): boolean => world.random() < probability;
  const world = new CoreWorld({
    seed,
    voters: [1, 2, 3, 3, 3, 4, 5][seed % 7] as number,
    joiners: seed % 3,
    loss: (seed % 4) * 0.08,
    duplicate: (seed % 5) * 0.08,
    limits: seed % 2 === 0 ? { appendEntriesMax: 1, inflightMessagesMax: 1 + (seed % 4) } : { appendEntriesMax: 3 },
  });
  const faults = (seed % 6) * 0.2;
  /** They do nothing for a while, and what comes for them waits. */
  const paused = new Set<CoreNode>();

  for (let step = 0; step < STEPS; step += 1) {
    const node = world.pick();
    const dice = world.random();
    if (paused.has(node) && dice < 0.9) continue;
    if (dice < 0.4) world.deliver(chance(0.6));
    else if (dice < 0.7) world.ready(node);
    else if (dice < 0.84) while (world.persist(node) && chance(0.7));
    else if (dice < 0.9) world.tick(node);
    else if (dice < 0.92) world.leader?.raft.propose([Buffer.from(`${step}`)]);
    else if (dice < 0.95) world.read((chance(0.5) ? world.leaders.at(-1) : undefined) ?? node);
    else if (dice < 0.967) world.configure(world.leader ?? node, drawChange(world));
    else if (dice < 0.972) silence(world);
    else if (dice < 0.975) node.raft.transfer(chance(0.5) ? world.pick().id : null);
    else if (dice < 0.98) compact(node);
    else if (chance(faults)) {
      const fault = random(0, 5);
      const victim = (chance(0.5) ? world.leader : undefined) ?? node;
      if (fault === 0) wound(world, node, random);
      else if (fault === 1) world.restart(victim);
      else if (fault === 2) toggle(paused, victim);
      else toggle(world.isolated, victim.id);
      if (chance(0.7)) silence(world);
    }
  }

  world.isolated.clear();
  world.loss = 0;
  world.duplicate = 0;
  for (let round = 0; round < 400 && !isSettled(world); round += 1) runRound(world);
  assert(isSettled(world) || needsWounded(world), `never settled: ${describe(world)}`);
  return world;
}

/** Time passes, and nobody has heard a leader for a while. */
function silence(world: CoreWorld): void {
  for (const node of world.nodes.values()) {
    for (let tick = randomInteger(world.random, 0, 9); tick > 0 && node !== world.leader; tick -= 1) world.tick(node);
  }
}

/** One at a time, so that the others can go on. */
function toggle<Item>(set: Set<Item>, item: Item): void {
  if (set.size > 0) set.clear();
  else set.add(item);
}

function drawChange(world: CoreWorld): ConfigurationChange {
  const { id: node } = world.pick();
  const type = (['add', 'add', 'promote', 'remove'] as const)[randomInteger(world.random, 0, 3)] ?? 'add';
  if (type !== 'add') return { type, node };
  const isReplacing = world.random() < 0.3;
  return {
    type,
    node,
    becomesVoter: isReplacing || world.random() < 0.7,
    replaces: isReplacing ? world.pick().id : null,
  };
}

function compact(node: CoreNode): void {
  const { log } = node.state;
  const index = Math.min(log.applied, log.stableIndex);
  if (index > log.base.index && log.unstable.snapshot === null) node.log.compact(index);
}

/** One at a time, and only where the others are a majority: so that every entry lies safely with them. */
function wound(world: CoreWorld, node: CoreNode, random: (low: number, high: number) => number): void {
  const isOther = [...world.nodes.values()].some(({ state }) => state.isWounded);
  const isTooFew = [...world.nodes.values()].some(({ state }) => {
    const { voters, outgoing } = state.electorate;
    return [voters, outgoing].some(({ length }) => length === 1 || length === 2);
  });
  if (isOther || isTooFew || node.log.lastIndex === node.log.base.index) return;
  world.restart(node, random(node.log.base.index, node.log.lastIndex - 1));
}

function runRound(world: CoreWorld): void {
  for (const node of world.nodes.values()) world.tick(node);
  for (let isMoving = true; isMoving; ) {
    isMoving = false;
    for (const node of world.nodes.values()) {
      while (world.ready(node)) isMoving = true;
      while (world.persist(node)) isMoving = true;
    }
    while (world.deliver(true)) isMoving = true;
  }
  const { leader } = world;
  if (leader !== undefined && leader.state.log.committed === leader.state.log.lastIndex) {
    leader.raft.propose([Buffer.from('the end')]);
  }
}

function isSettled(world: CoreWorld): boolean {
  const { leader } = world;
  if (leader === undefined) return false;
  const { log, isConfigurationCommitted, transfer } = leader.state;
  const { configuration } = log.configurations.latest;
  const willVote = configuration.learners.some(({ becomesVoter }) => becomesVoter);
  if (configuration.outgoing.length > 0 || !isConfigurationCommitted || willVote || transfer !== null) return false;
  const members = log.configurations.members.map((id) => world.node(id));
  const isOne = members.every(
    ({ state }) => state.log.committed === world.history.length && state.term === leader.state.term && !state.isWounded,
  );
  return isOne && log.term(log.committed) === leader.state.term;
}

/** Nobody can be asked to go on where a change made a wounded server indispensable before the leader knew of it. */
function needsWounded(world: CoreWorld): boolean {
  const isWounded = (id: string): boolean => world.node(id).state.isWounded;
  return [...world.nodes.values()].some(({ state }) => {
    const { voters, outgoing } = state.electorate;
    return [voters, outgoing].some((side) => side.some(isWounded) && side.length <= 2);
  });
}

function describe(world: CoreWorld): string {
  return [...world.nodes.values()]
    .map(({ id, state }) => {
      const { role, term, leader, log, isWounded } = state;
      const { configuration, index } = log.configurations.latest;
      return `${id} ${role} ${term} ${leader} ${log.committed}/${log.lastIndex} ${isWounded} ${index} ${JSON.stringify(configuration)} from ${log.firstIndex}`;
    })
    .join('\n');
}
