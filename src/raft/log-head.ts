/** Two small rows beside the records of the log: the head, and a note that a snapshot is being installed. */
import { crc32 } from 'node:zlib';
import type { HardState, LogPoint } from './types.ts';

/** Rewritten with every batch, so that it is exactly as new as the newest record. */
export interface LogHead extends HardState {
  /** Compacted up to and including here. */
  readonly base: LogPoint;
  /** The log is durable up to here: what is missing below was acknowledged and is lost, what lies above was not. */
  readonly durable: LogPoint;
}

export const EMPTY_HEAD: LogHead = {
  term: 0,
  vote: null,
  commit: 0,
  base: { index: 0, term: 0, chain: 0 },
  durable: { index: 0, term: 0, chain: 0 },
};

export function encodeHead(cluster: number, head: LogHead): Buffer {
  const vote = Buffer.from(head.vote ?? '', 'utf8');
  const bytes = Buffer.alloc(HEAD_FIXED + vote.length);
  bytes[0] = VERSION;
  bytes.writeUInt32BE(cluster, 1);
  bytes.writeUIntBE(head.term, 5, 6);
  bytes.writeUIntBE(head.commit, 11, 6);
  writePoint(bytes, 17, head.base);
  writePoint(bytes, 33, head.durable);
  bytes[49] = head.vote === null ? 0 : 1;
  bytes.writeUInt16BE(vote.length, 50);
  vote.copy(bytes, 52);
  return seal(bytes);
}

/** Undefined if it is damaged; `foreign` if it is sound and of another cluster. */
export function decodeHead(cluster: number, bytes: Uint8Array): LogHead | 'foreign' | undefined {
  const buffer = unseal(bytes);
  if (buffer === undefined || buffer.length < HEAD_FIXED || buffer[0] !== VERSION) return undefined;
  if (buffer.readUInt32BE(1) !== cluster) return 'foreign';
  const voteLength = buffer.readUInt16BE(50);
  if (buffer.length !== HEAD_FIXED + voteLength) return undefined;
  return {
    term: buffer.readUIntBE(5, 6),
    commit: buffer.readUIntBE(11, 6),
    base: readPoint(buffer, 17),
    durable: readPoint(buffer, 33),
    vote: buffer[49] === 1 ? buffer.toString('utf8', 52, 52 + voteLength) : null,
  };
}

export function encodeNote(point: LogPoint): Buffer {
  const bytes = Buffer.alloc(21);
  bytes[0] = VERSION;
  writePoint(bytes, 1, point);
  return seal(bytes);
}

export function decodeNote(bytes: Uint8Array): LogPoint | undefined {
  const buffer = unseal(bytes);
  return buffer === undefined || buffer.length !== 21 || buffer[0] !== VERSION ? undefined : readPoint(buffer, 1);
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

function seal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
  return bytes;
}

function unseal(bytes: Uint8Array): Buffer | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 5) return undefined;
  const end = buffer.length - 4;
  return crc32(buffer.subarray(0, end)) === buffer.readUInt32BE(end) ? buffer : undefined;
}

const VERSION = 1;
/** All but the vote, with the CRC at the end. */
const HEAD_FIXED = 56;
