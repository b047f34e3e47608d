import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ActorRef, AskOutcome } from '../../src/actors/actor.ts';
import type { LinkBatch, LinkPort } from '../../src/actors/link-protocol.ts';
import { ThreadLink } from '../../src/actors/thread-link.ts';
import { setup } from './harness.ts';

/** A pair of ports in one thread. Batches wait until `carry` is called, so a test decides when they arrive. */
class FakePort implements LinkPort {
  readonly posted: LinkBatch[] = [];
  peer: FakePort | undefined;
  #listener: ((batch: LinkBatch) => void) | undefined;
  #waiting: LinkBatch[] = [];

  postMessage(batch: LinkBatch): void {
    this.posted.push(batch);
    const peer = this.peer;
    if (peer !== undefined) peer.#waiting.push(structuredClone(batch));
  }

  on(_event: 'message', listener: (batch: LinkBatch) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.peer = undefined;
  }

  carry(): boolean {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const batch of waiting) this.#listener?.(batch);
    return waiting.length > 0;
  }
}

function setupPair(options: { readonly creditMax?: number } = {}) {
  const left = setup({ thread: 'left' });
  const right = setup({ thread: 'right' });
  const credit = options.creditMax === undefined ? {} : { creditMax: options.creditMax };
  const leftLink = new ThreadLink({ system: left.system, peer: 'right', ...credit });
  const rightLink = new ThreadLink({ system: right.system, peer: 'left', ...credit });
  const connect = () => {
    const ports = { left: new FakePort(), right: new FakePort() };
    ports.left.peer = ports.right;
    ports.right.peer = ports.left;
    leftLink.attach(ports.left);
    rightLink.attach(ports.right);
    leftLink.listen();
    rightLink.listen();
    return ports;
  };
  const settle = (ports: ReturnType<typeof connect>) => {
    do {
      left.settle();
      right.settle();
    } while ([ports.left.carry(), ports.right.carry()].includes(true));
  };
  return { left, right, leftLink, rightLink, connect, settle };
}

test('all that is said in a turn goes in one batch', () => {
  const { left, right, leftLink, connect } = setupPair();
  const ports = connect();
  right.system.spawn<number>({ name: 'sink', supervision: { type: 'stop' }, create: () => ({ receive() {} }) });
  const sink: ActorRef<number> = leftLink.ref('sink');

  for (let value = 0; value < 100; value++) sink.send(value);
  left.settle();

  assert.deepEqual(
    ports.left.posted.map((batch) => batch.messages.length),
    [100],
  );
});

test('sends arrive in order and exactly once, or are dead letters, whatever the credit and the turns', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(8), { maxLength: 40 }), (creditMax, bursts) => {
      const { left, right, leftLink, connect, settle } = setupPair({ creditMax });
      const ports = connect();
      const got: number[] = [];
      right.system.spawn<number>({
        name: 'sink',
        supervision: { type: 'stop' },
        create: () => ({ receive: (value) => got.push(value) }),
      });
      const sink: ActorRef<number> = leftLink.ref('sink');
      let sent = 0;

      for (const burst of bursts) {
        for (let count = 0; count < burst; count++) sink.send(sent++);
        if (burst % 3 === 0) settle(ports);
        else left.settle();
      }
      settle(ports);

      const lost = left.deadLetters.map((letter) => letter.message as number);
      assert.deepEqual(
        [...got, ...lost].sort((a, b) => a - b),
        Array.from({ length: sent }, (_, value) => value),
      );
      assert.deepEqual(
        got,
        [...got].sort((a, b) => a - b),
      );
      // All credit is back when nothing is under way.
      for (let count = 0; count < creditMax; count++) sink.send(sent++);
      assert.equal(left.deadLetters.length, lost.length);
    }),
  );
});

test('an answer to a thread that has died is not given to the thread that came after it', () => {
  const { left, right, leftLink, connect, settle } = setupPair();
  const answers: ((answer: string) => void)[] = [];
  right.system.spawn<string, string>({
    name: 'slow',
    supervision: { type: 'stop' },
    create: () => ({ receive: (_message, reply) => answers.push(reply) }),
  });
  const slow: ActorRef<string, string> = leftLink.ref('slow');
  const outcomes: AskOutcome<string>[] = [];
  const before = connect();
  slow.ask('to the first', 10_000, (outcome) => outcomes.push(outcome));
  settle(before);

  const after = connect();
  slow.ask('to the second', 10_000, (outcome) => outcomes.push(outcome));
  settle(after);
  answers[0]?.('late');
  answers[1]?.('in time');
  settle(after);

  assert.deepEqual(
    outcomes.map((outcome) => (outcome.type === 'answer' ? outcome.answer : outcome.code)),
    ['thread-died', 'in time'],
  );
  assert.equal(left.system.asks.pendingCount, 0);
});

test('a watch that ended says nothing, and one over a lost link says it once', () => {
  const { left, right, leftLink, connect, settle } = setupPair();
  const ports = connect();
  right.system.spawn({ name: 'mortal', supervision: { type: 'stop' }, create: () => ({ receive() {} }) });
  const got: string[] = [];
  const spawnWatcher = (name: string) =>
    left.system.spawn<string>({
      name,
      supervision: { type: 'stop' },
      create: (context) => {
        context.watch(leftLink.ref('mortal'), 'gone');
        return { receive: (message) => got.push(`${name}: ${message}`) };
      },
    });
  spawnWatcher('one');
  spawnWatcher('two');
  settle(ports);

  left.system.stop('one');
  settle(ports);
  leftLink.detach('thread right ended');
  right.system.stop('mortal');
  settle(ports);

  assert.deepEqual(got, ['two: gone']);
});

test('the deadline of an ask runs in the thread of the one who asks, also when the other is silent', () => {
  const { left, leftLink, connect } = setupPair();
  connect();
  const outcomes: AskOutcome<string>[] = [];

  leftLink.ref<string, string>('anyone').ask('?', 500, (outcome) => outcomes.push(outcome));
  left.advance(500);
  left.settle();

  assert.deepEqual(
    outcomes.map((outcome) => (outcome.type === 'failed' ? outcome.code : 'answer')),
    ['deadline'],
  );
});
