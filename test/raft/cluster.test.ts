/**
 * Random clusters from seeds: messages lost, doubled, late and out of order, servers cut off, crashed (any subset of
 * the unsynced writes kept) and started again, disks that hang, hints that somebody is gone (true or not), leadership
 * handed over. Invariants are checked on the way (`world.ts`), and at the end, with all faults gone, everybody must
 * agree and work on.
 *
 * `SEEDS=1000 FROM=1 node --test dist/test/raft/cluster.test.js` runs more; a failure names its seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomInteger, seededRandom } from '../../src/base/random.ts';
import { World } from './world.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 40);
const FROM = Number(process.env['FROM'] ?? 1);
const STEPS = 150;

for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
  test(`a cluster under faults keeps its promises, seed ${seed}`, async () => {
    await runStory(seed);
  });
}

test('the same seed gives the same frames, byte for byte', async () => {
  const digests = [await runStory(7), await runStory(7)];

  assert.equal(digests[0], digests[1]);
});

async function runStory(seed: number): Promise<string> {
  const random = seededRandom(seed * 7919);
  const chance = (probability: number): boolean => random() < probability;
  const world = new World({
    seed,
    voters: [1, 2, 3, 3, 3, 5, 5, 7][randomInteger(random, 0, 7)] as number,
    network: { loss: random() * 0.3, duplicate: random() * 0.3, delayMsMax: random() * 300 },
    writeDelayMsMax: random() * 60,
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

  for (let step = 0; step < STEPS; step += 1) {
    const node = world.nodes[randomInteger(random, 0, world.nodes.length - 1)];
    assert(node !== undefined);
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
      node.ask({ type: 'transfer' });
    }
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
  const isAtEnd = (): boolean => {
    const first = world.node(1).state;
    const isSame = world.nodes.every((node) => node.state.meta.index === first.meta.index);
    return isSame && first.commands.at(-1) === 'the end' && first.meta.index === world.history.size;
  };
  for (let attempt = 0; attempt < 5 && !isAtEnd(); attempt += 1) {
    world.advance(3_000);
    if (!isAtEnd()) world.electLeader().propose('the end');
  }
  world.advanceUntil(isAtEnd, 'everybody has the last command');
  world.checkLogs();
  for (const node of world.nodes) assert.deepEqual(node.state.commands, world.nodes[0]?.state.commands);
  return `${world.frames}/${world.digest}/${world.history.size}/${acknowledged.size}`;
}
