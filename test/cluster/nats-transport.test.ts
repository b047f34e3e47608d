import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { A, B } from '../suites/strange-frames.ts';
import { transportSuite } from '../suites/transport.ts';
import { NatsWorld, natsBinaries } from './nats-world.ts';

for (const [version, binary] of await natsBinaries()) transportSuite(version, () => NatsWorld.start(binary));

test('a peer whose process is killed is hinted at by the next frames to it', async () => {
  const world = await NatsWorld.start();
  try {
    const transport = await world.open({ nodeId: A, boot: 1 });
    const peer = await startPeer(world, B);
    const hints: string[] = [];
    transport.onUnreachable((nodeId) => void hints.push(nodeId));
    transport.send(B, 'raft', new Uint8Array(100));
    await world.settle();
    assert.deepEqual(hints, []);

    const killedMs = performance.now();
    peer.kill('SIGKILL');
    while (hints.length === 0) {
      transport.send(B, 'raft', new Uint8Array(100));
      await world.settle();
    }

    console.log(`from the kill to the hint: ${(performance.now() - killedMs).toFixed(1)} ms`);
    assert.equal(hints[0], B);
  } finally {
    await world.dispose();
  }
});

test('a listener that throws ends its process; it does not go deaf', async () => {
  const world = await NatsWorld.start();
  try {
    const transport = await world.open({ nodeId: A, boot: 1 });
    const peer = await startPeer(world, B);
    const exited = once(peer, 'exit');
    let errors = '';
    peer.stderr?.on('data', (part) => {
      errors += String(part);
    });

    transport.send(B, 'raft', new TextEncoder().encode('throw'));

    assert.deepEqual(await exited, [1, null]);
    assert.match(errors, /a bug of ours/);
  } finally {
    await world.dispose();
  }
});

test('its frames may be caught by anyone who may listen, but nothing is lost by it', async () => {
  const world = await NatsWorld.start();
  try {
    const [left, right] = [await world.open({ nodeId: A, boot: 1 }), await world.open({ nodeId: B, boot: 1 })];
    let heard = 0;
    right.onArrival(() => {
      heard += 1;
    });
    const hints: string[] = [];
    left.onUnreachable((nodeId) => void hints.push(nodeId));
    await world.settle();

    // Whoever answers in the place of NATS, but without its status, gives no hint.
    const caught = await world.wiretap('carillon.demo.raft.>');
    left.send(B, 'raft', new Uint8Array(1));
    await world.settle();
    await world.publish(caught[0]?.reply ?? '', new Uint8Array(0));
    await world.settle();

    assert.equal(heard, 1);
    assert.equal(caught.length, 1);
    assert.deepEqual(hints, []);
  } finally {
    await world.dispose();
  }
});

test('frames that somebody recorded and sends again are refused and counted, and the next ones arrive', async () => {
  const world = await NatsWorld.start();
  try {
    const [left, right] = [await world.open({ nodeId: A, boot: 1 }), await world.open({ nodeId: B, boot: 1 })];
    const heard: string[] = [];
    right.onArrival(({ channel, body }) => void heard.push(`${channel} ${new TextDecoder().decode(body)}`));
    await world.settle();
    const caught = await world.wiretap('carillon.demo.>');
    const say = (text: string) => new TextEncoder().encode(text);
    for (const channel of ['raft', 'bulk', 'exec', 'report', 'forward'] as const) left.send(B, channel, say('once'));
    left.broadcast('leader', say('once'));
    await world.settle();
    assert.deepEqual([heard.length, caught.length], [6, 6]);

    for (const { subject, frame } of [...caught]) await world.publish(subject, frame);
    await world.settle();
    left.send(B, 'forward', say('next'));
    await world.settle();

    assert.deepEqual(heard.slice(6), ['forward next']);
    // The beacon came back to its sender as well.
    assert.deepEqual(world.refused(), { replay: 7 });
  } finally {
    await world.dispose();
  }
});

async function startPeer({ server }: NatsWorld, nodeId: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./fixtures/nats-peer.js', import.meta.url));
  const peer = spawn(process.execPath, [script, String(server.port), server.token, nodeId], { stdio: 'pipe' });
  process.once('exit', () => peer.kill('SIGKILL'));
  const [line] = (await once(peer.stdout, 'data')) as [Buffer];
  assert.equal(String(line), 'ready\n');
  return peer;
}
