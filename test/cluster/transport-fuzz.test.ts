import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, randomInteger } from '../../src/base/random.ts';
import { NOBODY } from '../../src/cluster/envelope.ts';
import type { Channel } from '../../src/cluster/transport.ts';
import { pick, printedRandom } from '../jobs/seed.ts';
import { A, B, CLUSTER, seal } from '../suites/strange-frames.ts';
import { NatsWorld } from './nats-world.ts';

const CHANNELS: readonly Channel[] = ['raft', 'bulk', 'exec', 'report', 'forward', 'leader', 'alive'];
const ROUNDS = 300;

test('rubbish on every internal subject changes nothing, is counted, and stops nobody', async () => {
  const { random } = printedRandom('rubbish');
  const world = await NatsWorld.start();
  try {
    const heard: string[] = [];
    const [node, peer] = [await world.open({ nodeId: B, boot: 2 }), await world.open({ nodeId: A, boot: 1 })];
    node.onArrival(({ channel, body }) => void heard.push(`${channel} ${new TextDecoder().decode(body)}`));
    node.onUnreachable((nodeId) => void heard.push(`unreachable ${nodeId}`));
    const hall = await world.enter({ nodeId: B, boot: 2 });
    hall.onWord(({ body }) => void heard.push(`word ${new TextDecoder().decode(body)}`));
    await world.settle();

    for (let round = 0; round < ROUNDS; round += 1) {
      for (const channel of CHANNELS) await world.inject(channel, B, rubbish(random, channel));
    }
    await world.publish(`carillon.demo.unheard.x.${A}`, new Uint8Array(3));
    await world.settle();
    assert.deepEqual(heard, []);
    const refused = Object.values(world.refused()).reduce((sum, count) => sum + count, 0);
    // The peer hears the beacon's subject too.
    assert.equal(refused, ROUNDS * (CHANNELS.length + 1));

    for (const channel of CHANNELS)
      if (channel !== 'alive' && channel !== 'leader') peer.send(B, channel, say(channel));
    peer.broadcast('leader', say('leader'));
    hall.say(say('alive'));
    await world.settle();
    const words = CHANNELS.map((channel) => (channel === 'alive' ? 'word alive' : `${channel} ${channel}`));
    assert.deepEqual(heard.sort(), words.sort());
  } finally {
    await world.dispose();
  }
});

/** Random bytes, or a good frame of the channel that was harmed in one way or another. */
function rubbish(random: Random, channel: Channel): Uint8Array {
  const to = channel === 'alive' || channel === 'leader' ? NOBODY : B;
  const cluster = channel === 'alive' ? NOBODY : CLUSTER;
  const body = bytes(random, randomInteger(random, 0, 200));
  const good = Buffer.from(seal({ channel, to, cluster, body }));
  const others = CHANNELS.filter((other) => other !== channel);
  return pick<() => Uint8Array>(random, [
    () => bytes(random, randomInteger(random, 0, 400)),
    () => new Uint8Array(randomInteger(random, 0, 400)),
    () => good.subarray(0, randomInteger(random, 0, good.length - 1)),
    () => good.subarray(randomInteger(random, 1, good.length)),
    () => Buffer.concat([good, bytes(random, randomInteger(random, 1, 20))]),
    () => Buffer.concat([good, good]),
    () => flipped(random, good),
    () => seal({ channel, to, cluster, body }, bytes(random, randomInteger(random, 0, 32))),
    () => seal({ channel: pick(random, others), to, cluster, body }),
    () => seal({ channel, to: 'e'.repeat(32), cluster, body }),
    () => seal({ channel, to, cluster: 'f'.repeat(32), body }),
    () => seal({ channel, to, cluster, toBoot: 1 + 2 * randomInteger(random, 1, 1_000), body }),
  ])();
}

function flipped(random: Random, frame: Buffer): Buffer {
  const at = randomInteger(random, 0, frame.length - 1);
  frame[at] = (frame[at] ?? 0) ^ randomInteger(random, 1, 255);
  return frame;
}

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => randomInteger(random, 0, 255));
}

function say(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}
