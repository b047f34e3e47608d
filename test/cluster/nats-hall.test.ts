import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerBoots } from '../../src/cluster/peer-boots.ts';
import { hallSuite } from '../suites/hall.ts';
import { A, B } from '../suites/strange-frames.ts';
import { NatsWorld, natsBinaries } from './nats-world.ts';

for (const [version, binary] of await natsBinaries()) hallSuite(version, () => NatsWorld.start(binary));

test('a word tells the transport beside it which life a peer is in', async () => {
  const world = await NatsWorld.start();
  try {
    const boots = new PeerBoots();
    await world.enter({ nodeId: A, boot: 1 }, boots);
    const peer = await world.enter({ nodeId: B, boot: 7 });
    await world.settle();

    peer.say(new Uint8Array(0));
    await world.settle();

    assert.equal(boots.of(B), 7);
  } finally {
    await world.dispose();
  }
});
