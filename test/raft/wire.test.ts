import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConfiguration, encodeConfiguration } from '../../src/raft/configuration.ts';
import { decodeHead, decodeNote, EMPTY_HEAD, encodeHead, encodeNote } from '../../src/raft/log-head.ts';
import { BlockEncoder, clusterHash, decodeBlock, encodeBlock } from '../../src/raft/log-record.ts';
import type { Message } from '../../src/raft/types.ts';
import {
  decodeMessage,
  decodeTransfer,
  encodeMessage,
  encodeTransfer,
  type SnapshotAnswer,
  type SnapshotChunk,
} from '../../src/raft/wire.ts';
import { entriesOf } from './core-node.ts';

const RUNS = { seed: 20261125, numRuns: 400 };
const CLUSTER = clusterHash('a');
const number = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const id = fc.record({ index: number, term: number });
const chain = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const head = { from: fc.constant('x'), to: fc.constant('y'), term: number };

const position = fc.oneof(fc.constant(0), number);
const node = fc.string({ minLength: 1, maxLength: 12 });
const nodes = fc.uniqueArray(node, { maxLength: 7 }).map((names) => names.sort());
const configuration = fc.record({
  voters: nodes,
  outgoing: nodes,
  learners: fc
    .uniqueArray(fc.record({ node, becomesVoter: fc.boolean(), replaces: fc.oneof(fc.constant(null), node) }), {
      maxLength: 7,
      selector: (learner) => learner.node,
    })
    .map((learners) => learners.sort((left, right) => (left.node < right.node ? -1 : 1))),
});

function maybeWounded<Answer extends object>(answer: Answer): fc.Arbitrary<Answer & { isWounded?: true }> {
  return fc.constantFrom(answer, { ...answer, isWounded: true as const });
}

const message: fc.Arbitrary<Message> = fc.oneof(
  fc
    .record({
      ...head,
      index: fc.nat(1e9),
      previousTerm: number,
      chain,
      terms: fc.array(fc.nat(9), { maxLength: 5 }),
      commit: number,
    })
    .map(({ from, to, term, index, previousTerm, chain: before, terms, commit }) => ({
      type: 'append' as const,
      from,
      to,
      term,
      previous: { index, term: previousTerm, chain: before },
      entries: entriesOf(terms, index + 1, before),
      commit,
    })),
  fc
    .record({
      type: fc.constant('append-answer' as const),
      ...head,
      index: number,
      isRejected: fc.boolean(),
      hint: id,
    })
    .chain(maybeWounded),
  fc.record({ type: fc.constant('vote-request' as const), ...head, isPreVote: fc.boolean(), last: id }),
  fc.record({
    type: fc.constant('vote-request' as const),
    ...head,
    isPreVote: fc.constant(false),
    last: id,
    isTransfer: fc.constant(true as const),
  }),
  fc.record({ type: fc.constant('vote-answer' as const), ...head, isPreVote: fc.boolean(), isGranted: fc.boolean() }),
  fc.record({ type: fc.constant('heartbeat' as const), ...head, commit: number, position }),
  fc.record({ type: fc.constant('heartbeat-answer' as const), ...head, position }).chain(maybeWounded),
  fc.record({ type: fc.constant('read-request' as const), ...head, id: number }).chain(maybeWounded),
  fc.record({ type: fc.constant('read-answer' as const), ...head, id: number, index: number }),
  fc.record({ type: fc.constantFrom('timeout-now' as const, 'probe' as const), ...head }),
);

const transfer: fc.Arbitrary<SnapshotChunk | SnapshotAnswer> = fc.oneof(
  fc.record({
    type: fc.constant('snapshot-chunk' as const),
    term: number,
    point: fc.record({ index: number, term: number, chain }),
    transfer: number,
    offset: number,
    isLast: fc.boolean(),
    configuration: fc.oneof(fc.constant(null), fc.record({ configuration, index: number })),
    data: fc.uint8Array({ maxLength: 100 }),
  }),
  fc.record({
    type: fc.constant('snapshot-answer' as const),
    term: number,
    index: number,
    transfer: number,
    offset: number,
    outcome: fc.constantFrom('next' as const, 'done' as const, 'failed' as const),
  }),
);

function encode(value: Message): Buffer {
  return encodeMessage(value, new BlockEncoder(CLUSTER));
}

function decode(bytes: Uint8Array): Message | undefined {
  return decodeMessage(bytes, 'x', 'y', CLUSTER);
}

/** Equal but for the class of the bytes: a decoder gives views of the frame. */
function isSame(left: unknown, right: unknown): void {
  assert.deepEqual(plain(left), plain(right));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

test('every message comes back as it was sent', () => {
  fc.assert(
    fc.property(message, (value) => isSame(decode(encode(value)), value)),
    RUNS,
  );
});

test('every part of a snapshot transfer comes back as it was sent', () => {
  fc.assert(
    fc.property(transfer, (value) => isSame(decodeTransfer(encodeTransfer(value)), value)),
    RUNS,
  );
});

test('truncated and extended frames are refused', () => {
  const extra = fc.uint8Array({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(message, transfer, fc.nat(), extra, (value, part, cut, more) => {
      const bytes = encode(value);
      const shorter = bytes.subarray(0, cut % bytes.length);
      // Cut exactly before its block, an append is a whole empty one: the envelope's CRC guards the rest.
      if (!(value.type === 'append' && shorter.length === 32)) assert.equal(decode(shorter), undefined);
      if (!(value.type === 'append' && value.entries.length === 0)) {
        assert.equal(decode(Buffer.concat([bytes, more])), undefined);
      }
      const chunk = encodeTransfer(part);
      assert.equal(decodeTransfer(chunk.subarray(0, cut % chunk.length)), undefined);
      assert.equal(decodeTransfer(Buffer.concat([chunk, more])), undefined);
    }),
    RUNS,
  );
});

test('a flipped bit never crashes a decoder, and never passes in entries, chunks, heads and notes', () => {
  fc.assert(
    fc.property(message, transfer, fc.nat(), fc.nat(7), (value, part, at, bit) => {
      const bytes = encode(value);
      flip(bytes, at, bit);
      const decoded = decode(bytes);
      if (value.type === 'append' && decoded?.type === 'append') isSame(decoded.entries, value.entries);
      const chunk = encodeTransfer(part);
      flip(chunk, at, bit);
      const decodedChunk = decodeTransfer(chunk);
      if (part.type === 'snapshot-chunk' && decodedChunk?.type === 'snapshot-chunk')
        isSame(decodedChunk.data, part.data);
      const point = { index: 3, term: 2, chain: 1 };
      const headBytes = encodeHead(CLUSTER, {
        ...EMPTY_HEAD,
        term: 5,
        vote: 'n1',
        commit: 3,
        base: point,
        durable: point,
      });
      flip(headBytes, at, bit);
      assert.equal(decodeHead(CLUSTER, headBytes), undefined);
      const note = encodeNote({ point, configuration: EMPTY_HEAD.configuration });
      flip(note, at, bit);
      assert.equal(decodeNote(note), undefined);
    }),
    RUNS,
  );
});

function flip(bytes: Buffer, at: number, bit: number): void {
  const index = at % bytes.length;
  bytes[index] = (bytes[index] as number) ^ (1 << bit);
}

test('noise is refused or read, but never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(9), (noise, type) => {
      const bytes = Buffer.concat([Buffer.from([1, 0, 0, type]), noise]);
      decode(noise);
      decode(bytes);
      decodeTransfer(bytes);
      decodeBlock(CLUSTER, bytes);
      decodeHead(CLUSTER, bytes);
      decodeConfiguration(bytes);
    }),
    { ...RUNS, numRuns: 2_000 },
  );
});

test('a vote request that claims to be a pre-vote and a transfer is refused', () => {
  const last = { index: 3, term: 2 };
  const bytes = encode({ type: 'vote-request', from: 'x', to: 'y', term: 5, isPreVote: false, last, isTransfer: true });
  assert.equal(decode(bytes)?.type, 'vote-request');

  bytes[10] = 3;

  assert.equal(decode(bytes), undefined);
});

test('a block of another cluster is refused', () => {
  assert.equal(decodeBlock(clusterHash('b'), encodeBlock(CLUSTER, 0, entriesOf([1]))), undefined);
});

test('a batch is encoded once for the disk and all followers', () => {
  const encoder = new BlockEncoder(CLUSTER);
  const entries = entriesOf([1, 1]);

  assert.equal(encoder.encode(0, entries), encoder.encode(0, [...entries]));
  assert.notEqual(encoder.encode(0, entries), encoder.encode(0, entriesOf([1, 2])));
});

test('voters in any order give the same bytes, as they did before there were learners', () => {
  const plain = (voters: readonly string[]) => ({ voters, outgoing: [], learners: [] });

  assert.deepEqual(encodeConfiguration(plain(['b', 'a'])), Buffer.from([1, 2, 1, 0x61, 1, 0x62]));
  assert.deepEqual(decodeConfiguration(encodeConfiguration(plain(['b', 'a']))), plain(['a', 'b']));
});

test('a configuration comes back from its bytes', () => {
  const learners = [
    { node: 'd', becomesVoter: true, replaces: 'a' },
    { node: 'e', becomesVoter: false, replaces: null },
  ];
  const configuration = { voters: ['a', 'b'], outgoing: ['a', 'c'], learners };

  assert.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration);
});
