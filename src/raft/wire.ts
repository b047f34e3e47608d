/**
 * Messages between raft actors in bytes: `u8 version │ u16 group │ u8 type │ u48 term │ …`. Who sent it, to whom, and
 * whether it is whole and genuine, is the envelope's business (cluster/). A decoder gives undefined for whatever it
 * does not know exactly: an unknown version or type, a wrong length, a broken block.
 */
import { crc32 } from 'node:zlib';
import { decodeConfiguration, encodeConfiguration, type PlacedConfiguration } from './configuration.ts';
import { type BlockEncoder, decodeBlock } from './log-record.ts';
import type { LogPoint, Message } from './types.ts';

/** A piece of a snapshot, stop-and-wait. `offset` counts bytes from the start of the snapshot. */
export interface SnapshotChunk {
  readonly type: 'snapshot-chunk';
  readonly term: number;
  readonly point: LogPoint;
  /** Tells this attempt of the sender from its earlier ones. */
  readonly transfer: number;
  readonly offset: number;
  readonly isLast: boolean;
  /** In force at `point`; with the first chunk only. */
  readonly configuration: PlacedConfiguration | null;
  readonly data: Uint8Array;
}

/** `next`: send from `offset` on. `done`: installed, or not needed. `failed`: give up this attempt. */
export interface SnapshotAnswer {
  readonly type: 'snapshot-answer';
  readonly term: number;
  readonly index: number;
  readonly transfer: number;
  readonly offset: number;
  readonly outcome: 'next' | 'done' | 'failed';
}

export function encodeMessage(message: Message, blocks: BlockEncoder): Buffer {
  switch (message.type) {
    case 'append': {
      const { previous, entries, commit } = message;
      const block = entries.length === 0 ? NOTHING : blocks.encode(previous.chain, entries);
      const bytes = start(TYPE.append, message.term, 22 + block.length);
      writePoint(bytes, HEADER, previous);
      bytes.writeUIntBE(commit, HEADER + 16, 6);
      bytes.set(block, HEADER + 22);
      return bytes;
    }
    case 'append-answer': {
      const bytes = start(TYPE.appendAnswer, message.term, 19);
      bytes[HEADER] = (message.isRejected ? REJECTED : 0) | (message.isWounded ? WOUNDED : 0);
      bytes.writeUIntBE(message.index, HEADER + 1, 6);
      bytes.writeUIntBE(message.hint.index, HEADER + 7, 6);
      bytes.writeUIntBE(message.hint.term, HEADER + 13, 6);
      return bytes;
    }
    case 'vote-request': {
      const bytes = start(TYPE.voteRequest, message.term, 13);
      bytes[HEADER] = message.isPreVote ? 1 : message.isTransfer ? 2 : 0;
      bytes.writeUIntBE(message.last.index, HEADER + 1, 6);
      bytes.writeUIntBE(message.last.term, HEADER + 7, 6);
      return bytes;
    }
    case 'vote-answer': {
      const bytes = start(TYPE.voteAnswer, message.term, 1);
      bytes[HEADER] = (message.isPreVote ? 1 : 0) | (message.isGranted ? 2 : 0);
      return bytes;
    }
    case 'heartbeat': {
      // In the form of old while nobody reads: servers of earlier builds know no other.
      const { commit, position } = message;
      const bytes =
        position === 0 ? start(TYPE.heartbeat, message.term, 6) : start(TYPE.roundHeartbeat, message.term, 12);
      bytes.writeUIntBE(commit, HEADER, 6);
      if (position > 0) bytes.writeUIntBE(position, HEADER + 6, 6);
      return bytes;
    }
    case 'heartbeat-answer': {
      const { position, isWounded } = message;
      if (position === 0 && !isWounded) return start(TYPE.heartbeatAnswer, message.term, 0);
      const bytes = start(TYPE.roundHeartbeatAnswer, message.term, 7);
      bytes[HEADER] = isWounded ? WOUNDED : 0;
      bytes.writeUIntBE(position, HEADER + 1, 6);
      return bytes;
    }
    case 'read-request': {
      const bytes = start(TYPE.readRequest, message.term, 7);
      bytes[HEADER] = message.isWounded ? WOUNDED : 0;
      bytes.writeUIntBE(message.id, HEADER + 1, 6);
      return bytes;
    }
    case 'read-answer': {
      const bytes = start(TYPE.readAnswer, message.term, 12);
      bytes.writeUIntBE(message.id, HEADER, 6);
      bytes.writeUIntBE(message.index, HEADER + 6, 6);
      return bytes;
    }
    case 'timeout-now':
      return start(TYPE.timeoutNow, message.term, 0);
    case 'probe':
      return start(TYPE.probe, message.term, 0);
  }
}

/** `from` and `to` are the envelope's. */
export function decodeMessage(bytes: Uint8Array, from: string, to: string, cluster: number): Message | undefined {
  const buffer = open(bytes);
  if (buffer === undefined) return undefined;
  const term = buffer.readUIntBE(4, 6);
  const length = buffer.length - HEADER;
  const flags = length > 0 ? (buffer[HEADER] as number) : 0;
  switch (buffer[3]) {
    case TYPE.append: {
      if (length < 22) return undefined;
      const previous = readPoint(buffer, HEADER);
      const commit = buffer.readUIntBE(HEADER + 16, 6);
      if (length === 22) return { type: 'append', from, to, term, previous, entries: [], commit };
      const block = decodeBlock(cluster, buffer, HEADER + 22);
      if (block === undefined || block.end !== buffer.length) return undefined;
      if (block.entries[0]?.index !== previous.index + 1 || block.chainBefore !== previous.chain) return undefined;
      return { type: 'append', from, to, term, previous, entries: block.entries, commit };
    }
    case TYPE.appendAnswer: {
      if (length !== 19 || flags > (REJECTED | WOUNDED)) return undefined;
      const hint = { index: buffer.readUIntBE(HEADER + 7, 6), term: buffer.readUIntBE(HEADER + 13, 6) };
      const index = buffer.readUIntBE(HEADER + 1, 6);
      const isRejected = (flags & REJECTED) !== 0;
      return { type: 'append-answer', from, to, term, index, isRejected, hint, ...woundOf(flags) };
    }
    case TYPE.voteRequest: {
      if (length !== 13 || flags > 2) return undefined;
      const last = { index: buffer.readUIntBE(HEADER + 1, 6), term: buffer.readUIntBE(HEADER + 7, 6) };
      const request = { type: 'vote-request', from, to, term, isPreVote: flags === 1, last } as const;
      return flags === 2 ? { ...request, isTransfer: true } : request;
    }
    case TYPE.voteAnswer:
      if (length !== 1 || flags > 3) return undefined;
      return { type: 'vote-answer', from, to, term, isPreVote: (flags & 1) === 1, isGranted: (flags & 2) === 2 };
    case TYPE.heartbeat:
      if (length !== 6) return undefined;
      return { type: 'heartbeat', from, to, term, commit: buffer.readUIntBE(HEADER, 6), position: 0 };
    case TYPE.roundHeartbeat: {
      if (length !== 12) return undefined;
      const position = buffer.readUIntBE(HEADER + 6, 6);
      return { type: 'heartbeat', from, to, term, commit: buffer.readUIntBE(HEADER, 6), position };
    }
    case TYPE.heartbeatAnswer:
      return length === 0 ? { type: 'heartbeat-answer', from, to, term, position: 0 } : undefined;
    case TYPE.roundHeartbeatAnswer: {
      if (length !== 7 || (flags !== 0 && flags !== WOUNDED)) return undefined;
      const position = buffer.readUIntBE(HEADER + 1, 6);
      return { type: 'heartbeat-answer', from, to, term, position, ...woundOf(flags) };
    }
    case TYPE.readRequest:
      if (length !== 7 || (flags !== 0 && flags !== WOUNDED)) return undefined;
      return { type: 'read-request', from, to, term, id: buffer.readUIntBE(HEADER + 1, 6), ...woundOf(flags) };
    case TYPE.readAnswer: {
      if (length !== 12) return undefined;
      const index = buffer.readUIntBE(HEADER + 6, 6);
      return { type: 'read-answer', from, to, term, id: buffer.readUIntBE(HEADER, 6), index };
    }
    case TYPE.timeoutNow:
      return length === 0 ? { type: 'timeout-now', from, to, term } : undefined;
    case TYPE.probe:
      return length === 0 ? { type: 'probe', from, to, term } : undefined;
    default:
      return undefined;
  }
}

export function encodeTransfer(message: SnapshotChunk | SnapshotAnswer): Buffer {
  if (message.type === 'snapshot-answer') {
    const bytes = start(TYPE.snapshotAnswer, message.term, 19);
    bytes.writeUIntBE(message.index, HEADER, 6);
    bytes.writeUIntBE(message.transfer, HEADER + 6, 6);
    bytes.writeUIntBE(message.offset, HEADER + 12, 6);
    bytes[HEADER + 18] = OUTCOMES.indexOf(message.outcome);
    return bytes;
  }
  const placed = message.configuration === null ? NOTHING : encodePlaced(message.configuration);
  const dataStart = HEADER + 33 + placed.length;
  const bytes = start(TYPE.snapshotChunk, message.term, 33 + placed.length + message.data.length);
  writePoint(bytes, HEADER, message.point);
  bytes.writeUIntBE(message.transfer, HEADER + 16, 6);
  bytes.writeUIntBE(message.offset, HEADER + 22, 6);
  bytes[HEADER + 28] = (message.isLast ? LAST : 0) | (placed.length > 0 ? PLACED : 0);
  bytes.set(placed, HEADER + 33);
  bytes.set(message.data, dataStart);
  // The checksum covers whether there is a configuration, too.
  bytes.writeUInt32BE(crc32(bytes.subarray(HEADER + 33), placed.length > 0 ? PLACED : 0), HEADER + 29);
  return bytes;
}

export function decodeTransfer(bytes: Uint8Array): SnapshotChunk | SnapshotAnswer | undefined {
  const buffer = open(bytes);
  if (buffer === undefined) return undefined;
  const term = buffer.readUIntBE(4, 6);
  const length = buffer.length - HEADER;
  if (buffer[3] === TYPE.snapshotAnswer) {
    if (length !== 19) return undefined;
    const outcome = OUTCOMES[buffer[HEADER + 18] as number];
    if (outcome === undefined) return undefined;
    const index = buffer.readUIntBE(HEADER, 6);
    const transfer = buffer.readUIntBE(HEADER + 6, 6);
    return { type: 'snapshot-answer', term, index, transfer, offset: buffer.readUIntBE(HEADER + 12, 6), outcome };
  }
  if (buffer[3] !== TYPE.snapshotChunk || length < 33) return undefined;
  const flags = buffer[HEADER + 28] as number;
  const body = buffer.subarray(HEADER + 33);
  if (flags > (LAST | PLACED) || crc32(body, flags & PLACED) !== buffer.readUInt32BE(HEADER + 29)) return undefined;
  const placed = (flags & PLACED) === 0 ? NONE_PLACED : decodePlaced(body);
  if (placed === undefined) return undefined;
  return {
    type: 'snapshot-chunk',
    term,
    point: readPoint(buffer, HEADER),
    transfer: buffer.readUIntBE(HEADER + 16, 6),
    offset: buffer.readUIntBE(HEADER + 22, 6),
    isLast: (flags & LAST) !== 0,
    configuration: placed.configuration,
    data: body.subarray(placed.length),
  };
}

/** `u48 index │ u16 length │ configuration` */
function encodePlaced({ index, configuration }: PlacedConfiguration): Buffer {
  const encoded = encodeConfiguration(configuration);
  const bytes = Buffer.alloc(8 + encoded.length);
  bytes.writeUIntBE(index, 0, 6);
  bytes.writeUInt16BE(encoded.length, 6);
  bytes.set(encoded, 8);
  return bytes;
}

function decodePlaced(
  body: Buffer,
): { readonly configuration: PlacedConfiguration; readonly length: number } | undefined {
  if (body.length < 8) return undefined;
  const length = 8 + body.readUInt16BE(6);
  const configuration = length > body.length ? undefined : decodeConfiguration(body.subarray(8, length));
  return configuration && { configuration: { configuration, index: body.readUIntBE(0, 6) }, length };
}

function woundOf(flags: number): { isWounded?: true } {
  return (flags & WOUNDED) === 0 ? {} : { isWounded: true };
}

function start(type: number, term: number, bodyLength: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + bodyLength);
  bytes[0] = VERSION;
  bytes.writeUInt16BE(GROUP, 1);
  bytes[3] = type;
  bytes.writeUIntBE(term, 4, 6);
  return bytes;
}

function open(bytes: Uint8Array): Buffer | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isOurs = buffer.length >= HEADER && buffer[0] === VERSION && buffer.readUInt16BE(1) === GROUP;
  return isOurs ? buffer : undefined;
}

function writePoint(bytes: Buffer, offset: number, point: LogPoint): void {
  bytes.writeUIntBE(point.index, offset, 6);
  bytes.writeUIntBE(point.term, offset + 6, 6);
  bytes.writeUInt32BE(point.chain, offset + 12);
}

function readPoint(buffer: Buffer, offset: number): LogPoint {
  return {
    index: buffer.readUIntBE(offset, 6),
    term: buffer.readUIntBE(offset + 6, 6),
    chain: buffer.readUInt32BE(offset + 12),
  };
}

const VERSION = 1;
const GROUP = 0;
const HEADER = 10;
const NOTHING = new Uint8Array(0);
const NONE_PLACED = { configuration: null, length: 0 } as const;
const REJECTED = 1;
const WOUNDED = 2;
const LAST = 1;
const PLACED = 2;
const OUTCOMES = ['next', 'done', 'failed'] as const;
const TYPE = {
  append: 1,
  appendAnswer: 2,
  voteRequest: 3,
  voteAnswer: 4,
  heartbeat: 5,
  heartbeatAnswer: 6,
  snapshotChunk: 7,
  snapshotAnswer: 8,
  timeoutNow: 9,
  probe: 10,
  readRequest: 11,
  readAnswer: 12,
  roundHeartbeat: 13,
  roundHeartbeatAnswer: 14,
} as const;
