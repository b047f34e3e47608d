import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Envelope, NOBODY } from '../../src/cluster/envelope.ts';
import { LATE_MS, SENDERS_MAX, SeenFrames } from '../../src/cluster/seen-frames.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)] as const;

function setup() {
  const seen = new SeenFrames();
  return {
    hear(count: number, { nowMs = 0, ...fields }: Partial<Envelope> & { readonly nowMs?: number } = {}): boolean {
      const envelope: Envelope = {
        channel: 'raft',
        thread: 'main',
        group: 0,
        cluster: NOBODY,
        from: A,
        fromBoot: 1,
        to: B,
        toBoot: 1,
        count,
        body: new Uint8Array(0),
      };
      return seen.take({ ...envelope, ...fields }, nowMs);
    },
  };
}

test('a frame is taken once; one without a count never', () => {
  const { hear } = setup();

  assert.deepEqual(
    [1, 2, 2, 1, 0].map((count) => hear(count)),
    [true, true, false, false, false],
  );
});

test('nodes, threads and lives count for themselves', () => {
  const { hear } = setup();

  assert.equal(hear(1), true);
  assert.equal(hear(1, { from: B }), true);
  assert.equal(hear(1, { thread: 'consensus' }), true);
  assert.equal(hear(1, { fromBoot: 2 }), true);
  assert.equal(hear(2, { fromBoot: 1 }), false, 'its earlier life is over');
});

test('one channel may be far ahead of another', () => {
  const { hear } = setup();
  for (let count = 2; count <= 10_000; count += 1) hear(count);

  assert.equal(hear(1, { channel: 'bulk' }), true);
  assert.equal(hear(1), false);
});

test('what was sent before something that was heard a minute ago is refused, on every channel', () => {
  const { hear } = setup();
  hear(10);
  for (let nowMs = 1_000; nowMs < 2 * LATE_MS; nowMs += 1_000) hear(10 + nowMs / 1_000, { nowMs });

  assert.equal(hear(9, { channel: 'forward', nowMs: 2 * LATE_MS - 1 }), true, 'lost till now, and not too late');
  assert.equal(hear(8, { channel: 'forward', nowMs: 2 * LATE_MS }), false);
  assert.equal(hear(38, { channel: 'forward', nowMs: 2 * LATE_MS }), false);
  assert.equal(hear(60, { channel: 'forward', nowMs: 2 * LATE_MS }), true);
});

test('it is refused too when nothing else was heard since', () => {
  const { hear } = setup();
  hear(10, { nowMs: 500 });

  assert.equal(hear(9, { channel: 'forward', nowMs: 500 + 2 * LATE_MS }), false);
  assert.equal(hear(11, { channel: 'forward', nowMs: 500 + 2 * LATE_MS }), true);
});

test('another thread of the sender makes nothing late', () => {
  const { hear } = setup();
  for (let nowMs = 0; nowMs < 4 * LATE_MS; nowMs += 1_000) hear(1_000 + nowMs, { nowMs });

  assert.equal(hear(1, { thread: 'consensus', nowMs: 4 * LATE_MS }), true);
});

test('ten thousand senders are remembered; one more, and the one that was silent longest is forgotten', () => {
  const { hear } = setup();
  for (let node = 0; node < SENDERS_MAX; node += 1) hear(1, { from: `node ${node}` });
  hear(2, { from: 'node 0', nowMs: LATE_MS });

  hear(1, { from: 'one more', nowMs: LATE_MS });

  assert.deepEqual(
    ['node 0', 'node 2', 'one more', 'node 1'].map((from) => hear(1, { from, nowMs: LATE_MS })),
    [false, false, false, true],
  );
});
