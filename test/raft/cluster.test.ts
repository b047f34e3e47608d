/**
 * Random clusters from seeds: messages lost, doubled, late and out of order, servers cut off, crashed (any subset of
 * the unsynced writes kept) and started again, disks that hang, hints that somebody is gone (true or not), leadership
 * handed over, servers added, replaced and removed, linearizable reads anywhere. Invariants are checked on the way (`world.ts`), and at the end, with all faults gone, everybody must
 * agree and work on.
 *
 * `SEEDS=1000 FROM=1 node --test dist/test/raft/cluster.test.js` runs more; a failure names its seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';
import type { Configuration, ConfigurationChange, RaftAnswer } from '../../src/raft/raft-protocol.ts';
import { type Node, World } from './world.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 40);
const FROM = Number(process.env['FROM'] ?? 1);
const STEPS = 150;
/** How often the answers were of each kind, over all stories. */
const answers = new Map<string, number>();

for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
  test(`a cluster under faults keeps its promises, seed ${seed}`, async () => {
    await runStory(seed);
  });
}

test('the same seed gives the same frames, byte for byte', async () => {
  const digests = [await runStory(7), await runStory(7)];

  assert.equal(digests[0], digests[1]);
});

test('the stories see changes of membership and reads, done and refused', () => {
  for (const type of ['configured', 'configure-refused', 'read', 'read-refused']) assert((answers.get(type) ?? 0) > 20);
});

async function runStory(seed: number): Promise<string> {
  const random = seededRandom(seed * 7919);
  const chance = (probability: number): boolean => random() < probability;
  const world = new World({
    seed,
    voters: [1, 2, 3, 3, 3, 5, 5, 7][randomInteger(random, 0, 7)] as number,
    network: { loss: random() * 0.3, duplicate: random() * 0.3, delayMsMax: random() * 300 },
    writeDelayMsMax: random() * 60,
    joiners: seed % 3,
    stateLag: randomInteger(random, 0, 20),
    ...(seed % 2 === 0 ? { hintDelayMsMax: 50 } : {}),
    actor: {
      ...(chance(0.5) ? { keepEntries: randomInteger(random, 0, 16), logBytesMax: chance(0.5) ? 1 : 10_000 } : {}),
      // Often one entry a message and few messages in flight, so that much is under way when a fault comes.
      limits: chance(0.5) ? { appendBytesMax: 60, inflightMessagesMax: randomInteger(random, 1, 4) } : {},
    },
  });
  await world.start();
  const acknowledged = new Map<number, number>();
  const asked: { answer?: RaftAnswer }[] = [];

  const pick = (): Node => world.nodes[randomInteger(random, 0, world.nodes.length - 1)] as Node;

  for (let step = 0; step < STEPS; step += 1) {
    const node = pick();
    const fault = random();
    if (fault < 0.05) {
      if (node.isUp) node.crash(chance(0.5) ? 'prefix' : 'any-subset');
      else await node.start();
    } else if (fault < 0.1) {
      if (!world.cut.delete(node.name)) world.cut.add(node.name);
    } else if (fault < 0.12 && node.isUp) {
      node.database.freeze();
      world.clock.after(randomInteger(random, 10, 2_000), () => node.database.thaw());
    } else if (fault < 0.16) {
      // Right or wrong, to everybody: that this node is gone.
      for (const other of world.nodes) other.ref?.send({ type: 'unreachable', node: node.name });
    } else if (fault < 0.2) {
      node.ask(chance(0.5) ? { type: 'transfer' } : { type: 'transfer', to: pick().name });
    } else if (fault < 0.26) {
      asked.push((world.leader ?? node).configure(drawChange(random, pick)));
    }
    if (chance(0.5)) asked.push(node.read());
    for (let count = randomInteger(random, 0, 4); count > 0; count -= 1) {
      const box = node.propose(`${seed}/${step}/${count}`);
      world.clock.after(1, () => {
        if (box.answer?.type === 'accepted') acknowledged.set(box.answer.index, box.answer.term);
      });
    }
    world.advance(random() * 120);
    world.checkLogs();
    for (const { name, stops } of world.nodes) assert.deepEqual(stops, [], `${name} stopped itself`);
  }

  world.cut.clear();
  for (const node of world.nodes) {
    node.database.thaw();
    if (!node.isUp) await node.start();
  }
  Object.assign(world.options.network ?? {}, { loss: 0, duplicate: 0, delayMsMax: 5 });
  world.electLeader().propose('the end');
  // Who was removed, or never added, need not hear of it.
  const members = (): Node[] => {
    const { voters, outgoing, learners } = world.leader?.configuration?.configuration ?? NOBODY;
    const names = [...voters, ...outgoing, ...learners.map((learner) => learner.node)];
    return world.nodes.filter(({ name }) => names.includes(name));
  };
  const isAtEnd = (): boolean => {
    const { configuration, isCommitted } = world.leader?.configuration ?? { configuration: NOBODY, isCommitted: false };
    const isSettled = isCommitted && configuration.outgoing.length === 0 && configuration.voters.length > 0;
    const isSame = members().every(({ state }) => state.meta.index === world.history.size);
    return isSettled && isSame && members()[0]?.state.commands.at(-1) === 'the end';
  };
  for (let attempt = 0; attempt < 5 && !isAtEnd(); attempt += 1) {
    world.advance(3_000);
    if (!isAtEnd()) world.electLeader().propose('the end');
  }
  world.advanceUntil(isAtEnd, 'everybody has the last command');
  world.checkLogs();
  for (const node of members()) assert.deepEqual(node.state.commands, world.leader?.state.commands);
  for (const { answer } of asked) {
    if (answer !== undefined) answers.set(answer.type, (answers.get(answer.type) ?? 0) + 1);
  }
  return `${world.frames}/${world.digest}/${world.history.size}/${acknowledged.size}`;
}

function drawChange(random: Random, pick: () => Node): ConfigurationChange {
  const node = pick().name;
  const kind = random();
  if (kind < 0.2) return { type: 'promote', node };
  if (kind < 0.5) return { type: 'remove', node };
  if (kind < 0.7) return { type: 'add', node, becomesVoter: true, replaces: pick().name };
  return { type: 'add', node, becomesVoter: random() < 0.7, replaces: null };
}

const NOBODY: Configuration = { voters: [], outgoing: [], learners: [] };
