import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { encodeEnvelope, NOBODY } from '../../src/cluster/envelope.ts';
import { type AttachOptions, MemoryNetwork, type MemoryNetworkOptions } from '../../src/cluster/memory-transport.ts';
import type { Transport } from '../../src/cluster/transport.ts';
import { transportSuite } from '../suites/transport.ts';
import { memoryWorld } from './memory-world.ts';

transportSuite('memory transport', async () => memoryWorld());

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string];

function setup(options: Partial<MemoryNetworkOptions> = {}) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, ...options });
  const arrived: string[] = [];
  const attach = (nodeId: string, boot = 1, attachOptions: AttachOptions = {}): Transport => {
    const transport = network.attach(nodeId, boot, attachOptions);
    transport.onArrival(({ channel, from, fromBoot, body }) => {
      arrived.push(
        `${clock.monotonic()} ${from[0]}${fromBoot}>${nodeId[0]} ${channel} ${new TextDecoder().decode(body)}`,
      );
    });
    return transport;
  };
  return { clock, network, arrived, attach };
}

const say = (text: string): Uint8Array => new TextEncoder().encode(text);

test('frames at one instant arrive in the order sent', () => {
  const { clock, arrived, attach } = setup();
  const sender = attach(A);
  attach(B);
  for (const text of ['1', '2', '3']) sender.send(B, 'exec', say(text));

  clock.advance(0);

  assert.deepEqual(arrived, ['0 a1>b exec 1', '0 a1>b exec 2', '0 a1>b exec 3']);
});

test('a verdict delays, drops and doubles each frame', () => {
  const verdicts = [[30], [], [5, 40]];
  const { clock, network, arrived, attach } = setup({ judge: () => verdicts.shift() ?? [] });
  const sender = attach(A);
  attach(B);
  for (const text of ['late', 'lost', 'twice']) sender.send(B, 'raft', say(text));

  clock.advance(100);

  assert.deepEqual(arrived, ['5 a1>b raft twice', '30 a1>b raft late', '40 a1>b raft twice']);
  assert.deepEqual([network.counts.sent, network.counts.arrived, network.counts.lost], [3, 3, 1]);
});

test('a doubled verdict is the sender saying it twice; the network may double nothing', () => {
  const { clock, network, arrived, attach } = setup({ judge: () => [5, 10] });
  const sender = attach(A);
  attach(B);
  sender.send(B, 'forward', say('twice'));
  clock.advance(100);
  assert.deepEqual(arrived, ['5 a1>b forward twice', '10 a1>b forward twice']);
  assert.equal(network.counts.refused.replay, 0);

  const fields = { channel: 'forward', thread: 'main', group: 0, cluster: NOBODY, from: A, fromBoot: 1 } as const;
  const caught = { ...fields, to: B, toBoot: 0, count: 1, body: say('twice') };
  network.inject('forward', B, encodeEnvelope(caught, new Uint8Array(0)));
  clock.advance(100);

  assert.equal(arrived.length, 2);
  // The stranger's frame is doubled as well.
  assert.equal(network.counts.refused.replay, 2);
});

test('a verdict sees who sends what to whom, but not what a node sends to itself', () => {
  const seen: string[] = [];
  const { clock, arrived, attach } = setup({
    judge: ({ from, to, channel, sizeBytes }) => {
      seen.push(`${from[0]}>${to[0]} ${channel} ${sizeBytes}`);
      return [];
    },
  });
  const sender = attach(A);
  attach(B);
  sender.send(A, 'raft', say('self'));
  sender.send(B, 'bulk', say('12345'));

  clock.advance(0);

  assert.deepEqual(seen, ['a>b bulk 93']);
  assert.deepEqual(arrived, ['0 a1>a raft self']);
});

test('a cut holds in one direction, also for frames on their way, until it is healed', () => {
  const { clock, network, arrived, attach } = setup({ judge: () => [10] });
  const [left, right] = [attach(A), attach(B)];
  left.send(B, 'raft', say('on its way'));
  network.cut(A, B);
  left.send(B, 'raft', say('cut'));
  right.send(A, 'raft', say('other direction'));
  clock.advance(10);
  assert.deepEqual(arrived, ['10 b1>a raft other direction']);

  network.heal();
  left.send(B, 'raft', say('healed'));
  clock.advance(10);

  assert.deepEqual(arrived.slice(1), ['20 a1>b raft healed']);
});

test('a partition leaves each group to itself', () => {
  const { clock, network, arrived, attach } = setup();
  const transports = [attach(A), attach(B), attach(C)];
  network.partition([[A, B], [C]]);

  for (const transport of transports) transport.broadcast('leader', say('x'));
  clock.advance(0);

  assert.deepEqual(arrived, [
    '0 a1>a leader x',
    '0 a1>b leader x',
    '0 b1>a leader x',
    '0 b1>b leader x',
    '0 c1>c leader x',
  ]);
});

test('a node that crashed gets nothing more and sends nothing more', () => {
  const { clock, network, arrived, attach } = setup({ judge: () => [10] });
  const [left, right] = [attach(A), attach(B)];
  left.send(B, 'raft', say('too late'));
  network.detach(B);
  right.send(A, 'raft', say('from the dead'));

  clock.advance(10);

  assert.deepEqual(arrived, []);
});

test('what was meant for one life of a node does not reach its next', () => {
  const { clock, network, arrived, attach } = setup({ judge: () => [10] });
  const [left, right] = [attach(A), attach(B, 1)];
  right.send(A, 'raft', say('I am in boot 1'));
  clock.advance(10);
  left.send(B, 'raft', say('for boot 1'));
  network.detach(B);
  const next = attach(B, 2);
  clock.advance(10);
  next.send(A, 'raft', say('I am in boot 2'));
  clock.advance(10);

  left.send(B, 'raft', say('for boot 2'));
  clock.advance(10);

  assert.deepEqual(arrived, ['10 b1>a raft I am in boot 1', '30 b2>a raft I am in boot 2', '40 a1>b raft for boot 2']);
  assert.equal(network.counts.refused.boot, 1);
});

test('a word in the hall passes verdicts and cuts like a frame, and dies with its node', () => {
  const { clock, network } = setup({ judge: ({ channel }) => (channel === 'alive' ? [10] : []) });
  const heard: string[] = [];
  const [left, right, late] = [A, B, C].map((nodeId) => {
    const hall = network.enterHall(nodeId, 1);
    hall.onWord(({ from, body }) => {
      heard.push(`${clock.monotonic()} ${from[0]}>${nodeId[0]} ${new TextDecoder().decode(body)}`);
    });
    return hall;
  });
  network.cut(A, B);
  left?.say(say('one'));
  network.detach(C);
  late?.say(say('from the dead'));
  clock.advance(10);

  right?.say(say('two'));
  clock.advance(10);

  assert.deepEqual(heard, ['0 a>a one', '10 b>b two', '20 b>a two']);
});

test('a hint comes a moment after the frame would have arrived, and not through a cut', () => {
  const { clock, network, attach } = setup({ judge: () => [10] });
  const hints: string[] = [];
  const sender = attach(A);
  sender.onUnreachable((nodeId) => void hints.push(`${clock.monotonic()} ${nodeId[0]}`));
  attach(C);
  network.cut(A, C);

  sender.send(B, 'raft', say('nobody is there'));
  sender.send(C, 'raft', say('cut off'));
  clock.advance(100);

  assert.deepEqual(hints, ['11 b']);
});

test('what is on its way when the network goes down is lost, even if it is up again by then', () => {
  const { clock, network, arrived, attach } = setup({ judge: () => [10] });
  const sender = attach(A);
  attach(B);
  sender.send(B, 'raft', say('lost'));
  network.goDown();
  network.comeUp();
  sender.send(B, 'raft', say('there'));

  clock.advance(10);

  assert.deepEqual(arrived, ['10 a1>b raft there']);
  assert.equal(network.counts.lost, 1);
});

test('a frame that is too large is counted and goes nowhere', () => {
  const { clock, network, arrived, attach } = setup({ frameBytesMax: 100 });
  const sender = attach(A);
  attach(B);

  sender.send(B, 'raft', new Uint8Array(20));
  clock.advance(0);

  assert.deepEqual(arrived, []);
  assert.equal(network.counts.oversized, 1);
});

test('the same seed gives the same story', () => {
  const story = (): string[] => {
    const random = seededRandom(42);
    const { clock, arrived, attach } = setup({
      judge: () => (random() < 0.2 ? [] : random() < 0.2 ? [random() * 20, random() * 20] : [random() * 20]),
    });
    const transports = [attach(A), attach(B), attach(C)];
    for (let round = 0; round < 50; round += 1) {
      for (const transport of transports) transport.broadcast('leader', say(String(round)));
      clock.advance(random() * 10);
    }
    return arrived;
  };

  assert.deepEqual(story(), story());
});
