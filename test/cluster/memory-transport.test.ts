import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { type AttachOptions, MemoryNetwork, type MemoryNetworkOptions } from '../../src/cluster/memory-transport.ts';
import type { Transport } from '../../src/cluster/transport.ts';

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

test('a frame arrives once, with its sender, never within send', () => {
  const { clock, arrived, attach } = setup();
  const sender = attach(A, 4);
  attach(B);

  sender.send(B, 'raft', say('vote'));
  assert.deepEqual(arrived, []);
  clock.advance(0);

  assert.deepEqual(arrived, ['0 a4>b raft vote']);
});

test('frames at one instant arrive in the order sent', () => {
  const { clock, arrived, attach } = setup();
  const sender = attach(A);
  attach(B);
  for (const text of ['1', '2', '3']) sender.send(B, 'exec', say(text));

  clock.advance(0);

  assert.deepEqual(arrived, ['0 a1>b exec 1', '0 a1>b exec 2', '0 a1>b exec 3']);
});

test('a broadcast reaches everybody who listens, its sender too; only servers hear alive', () => {
  const { clock, arrived, attach } = setup();
  const sender = attach(A);
  attach(B);
  attach(C, 1, { isServer: false });

  sender.broadcast('leader', say('here'));
  sender.broadcast('alive', say('beat'));
  clock.advance(0);

  assert.deepEqual(arrived, [
    '0 a1>a leader here',
    '0 a1>b leader here',
    '0 a1>c leader here',
    '0 a1>a alive beat',
    '0 a1>b alive beat',
  ]);
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

  assert.deepEqual(seen, ['a>b bulk 86']);
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

test('nodes of another cluster or without the key are refused, and counted', () => {
  const key = say('key');
  const { clock, network, arrived, attach } = setup({ cluster: '1'.repeat(32), key });
  attach(A);
  const foreign = attach(B, 1, { cluster: '2'.repeat(32) });
  const keyless = attach(C, 1, { key: say('') });

  foreign.send(A, 'raft', say('hello'));
  keyless.send(A, 'raft', say('hello'));
  clock.advance(0);

  assert.deepEqual(arrived, []);
  assert.deepEqual([network.counts.refused.cluster, network.counts.refused.mac], [1, 1]);
});

test('a closed transport is silent, and its node may attach again', async () => {
  const { clock, arrived, attach } = setup();
  const transport = attach(A);
  await transport.close();
  transport.send(A, 'raft', say('closed'));
  transport.broadcast('leader', say('closed'));

  attach(A, 2).send(A, 'raft', say('open'));
  clock.advance(0);

  assert.deepEqual(arrived, ['0 a2>a raft open']);
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
