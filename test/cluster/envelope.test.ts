import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32Of } from '../../src/base/hash.ts';
import {
  type Addressee,
  decodeEnvelope,
  ENVELOPE_BYTES,
  type Envelope,
  type EnvelopeRefusal,
  encodeEnvelope,
  NOBODY,
} from '../../src/cluster/envelope.ts';

const CLUSTER = 'c'.repeat(32);
const SENDER = '5'.repeat(32);
const RECEIVER = '7'.repeat(32);
const KEY = new TextEncoder().encode('a cluster key');

const ENVELOPE: Envelope = {
  channel: 'raft',
  thread: 'consensus',
  group: 0,
  cluster: CLUSTER,
  from: SENDER,
  fromBoot: 3,
  to: RECEIVER,
  toBoot: 9,
  count: 12,
  body: new TextEncoder().encode('hello'),
};
const ADDRESSEE: Addressee = { cluster: CLUSTER, nodeId: RECEIVER, boot: 9, key: KEY };

const ids = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((id) => id !== NOBODY);
const u32 = fc.integer({ min: 1, max: 0xffff_ffff });
const keys = fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ minLength: 1, maxLength: 64 }));
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  channel: fc.constantFrom('raft', 'bulk', 'exec', 'alive', 'leader', 'forward', 'report'),
  thread: fc.constantFrom('main', 'consensus'),
  group: fc.integer({ min: 0, max: 0xffff }),
  cluster: ids,
  from: ids,
  fromBoot: u32,
  to: fc.oneof(ids, fc.constant(NOBODY)),
  toBoot: fc.oneof(fc.constant(0), u32),
  count: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  body: fc.uint8Array({ maxLength: 2_000 }),
});

test('an envelope comes back as it went', () => {
  fc.assert(
    fc.property(envelopes, keys, u32, ids, (envelope, key, anyBoot, anyNode) => {
      const frame = encodeEnvelope(envelope, key);
      const decoded = decodeEnvelope(frame, envelope.channel, {
        cluster: envelope.cluster,
        nodeId: envelope.to === NOBODY ? anyNode : envelope.to,
        boot: envelope.toBoot === 0 ? anyBoot : envelope.toBoot,
        key,
      });

      assert.equal(frame.byteLength, envelope.body.byteLength + ENVELOPE_BYTES);
      assert.ok(decoded.type === 'envelope');
      assert.deepEqual(plain(decoded.envelope), plain(envelope));
    }),
  );
});

const REFUSALS: readonly {
  readonly title: string;
  readonly reason: EnvelopeRefusal;
  readonly envelope?: Partial<Envelope>;
  readonly addressee?: Partial<Addressee>;
  readonly key?: Uint8Array;
  readonly damage?: (frame: Buffer) => Uint8Array;
}[] = [
  { title: 'another cluster', reason: 'cluster', envelope: { cluster: 'd'.repeat(32) } },
  { title: 'a cluster before its genesis', reason: 'cluster', envelope: { cluster: NOBODY } },
  { title: 'another channel', reason: 'channel', envelope: { channel: 'exec' } },
  { title: 'another node', reason: 'addressee', envelope: { to: SENDER } },
  { title: 'an earlier life of the node', reason: 'boot', envelope: { toBoot: 8 } },
  { title: 'a later life of the node', reason: 'boot', envelope: { toBoot: 10 } },
  { title: 'another cluster key', reason: 'mac', key: new TextEncoder().encode('another key') },
  { title: 'a sender without the key', reason: 'mac', key: new Uint8Array(0) },
  { title: 'a receiver without the key', reason: 'mac', addressee: { key: new Uint8Array(0) } },
  { title: 'a forged body under a right CRC', reason: 'mac', damage: (frame) => withCrc(flip(frame, 69)) },
  { title: 'a forged sender under a right CRC', reason: 'mac', damage: (frame) => withCrc(flip(frame, 25)) },
  { title: 'another count under a right CRC', reason: 'mac', damage: (frame) => withCrc(flip(frame, 67)) },
  { title: 'another thread under a right CRC', reason: 'mac', damage: (frame) => withCrc(flip(frame, 3)) },
  { title: 'a flipped bit in the body', reason: 'crc', damage: (frame) => flip(frame, 69) },
  { title: 'a flipped bit in the MAC', reason: 'crc', damage: (frame) => flip(frame, frame.length - 10) },
  { title: 'a flipped bit in the CRC', reason: 'crc', damage: (frame) => flip(frame, frame.length - 1) },
  { title: 'a frame that was cut', reason: 'crc', damage: (frame) => frame.subarray(0, frame.length - 1) },
  { title: 'a frame with something behind it', reason: 'crc', damage: (frame) => Buffer.concat([frame, Buffer.of(0)]) },
  { title: 'a frame without room for its header', reason: 'short', damage: (frame) => frame.subarray(0, 87) },
  { title: 'an empty frame', reason: 'short', damage: (frame) => frame.subarray(0, 0) },
  { title: 'a later version', reason: 'version', damage: (frame) => withByte(frame, 0, 3) },
  { title: 'an earlier version, without counts', reason: 'version', damage: (frame) => withByte(frame, 0, 1) },
  { title: 'a short frame of a later version', reason: 'version', damage: () => Buffer.of(3, 0) },
  { title: 'an unknown flag', reason: 'version', damage: (frame) => withCrc(withByte(frame, 1, 1)) },
  { title: 'an unknown channel', reason: 'version', damage: (frame) => withCrc(withByte(frame, 2, 250)) },
  { title: 'an unknown thread', reason: 'version', damage: (frame) => withCrc(withByte(frame, 3, 2)) },
];

for (const { title, reason, envelope, addressee, key = KEY, damage } of REFUSALS) {
  test(`refused as ${reason}: ${title}`, () => {
    const frame = Buffer.from(encodeEnvelope({ ...ENVELOPE, ...envelope }, key));

    const decoded = decodeEnvelope(damage?.(frame) ?? frame, 'raft', { ...ADDRESSEE, ...addressee });

    assert.deepEqual(decoded, { type: 'refused', reason });
  });
}

test('no bytes make decoding throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(decodeEnvelope(bytes, 'raft', ADDRESSEE).type, 'refused');
    }),
    { numRuns: 2_000 },
  );
});

test('no damage to a frame goes unnoticed, at any offset', () => {
  const whole = encodeEnvelope(ENVELOPE, KEY);
  fc.assert(
    fc.property(fc.nat(whole.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const frame = Buffer.from(whole);
      frame[at] = (frame[at] ?? 0) ^ mask;

      assert.equal(decodeEnvelope(frame, 'raft', ADDRESSEE).type, 'refused');
    }),
    { numRuns: 1_000 },
  );
});

test('a frame may lie within a larger buffer', () => {
  const frame = encodeEnvelope(ENVELOPE, KEY);
  const larger = new Uint8Array(frame.byteLength + 20);
  larger.set(frame, 7);

  assert.equal(decodeEnvelope(larger.subarray(7, 7 + frame.byteLength), 'raft', ADDRESSEE).type, 'envelope');
});

test('an id that is not 32 hex characters is our own bug', () => {
  for (const to of ['', 'abc', 'g'.repeat(32), '7'.repeat(34)]) {
    assert.throws(() => encodeEnvelope({ ...ENVELOPE, to }, KEY), { name: 'AssertionError' });
  }
});

function plain(envelope: Envelope): object {
  return { ...envelope, body: [...envelope.body] };
}

function flip(frame: Buffer, at: number): Buffer {
  return withByte(frame, at, (frame[at] ?? 0) ^ 1);
}

function withByte(frame: Buffer, at: number, value: number): Buffer {
  frame[at] = value;
  return frame;
}

function withCrc(frame: Buffer): Buffer {
  frame.writeUInt32BE(crc32Of(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}
