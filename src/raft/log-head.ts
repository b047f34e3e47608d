/** Two small rows beside the records of the log: the head, and a note that a snapshot is being installed. */
import { crc32 } from 'node:zlib';
import {
  decodeConfiguration,
  encodeConfiguration,
  NO_CONFIGURATION,
  type PlacedConfiguration,
} from './configuration.ts';
import { type HardState, type LogPoint, type LogReset, UNKNOWN_CHAIN } from './types.ts';

/** Rewritten with every batch, so that it is exactly as new as the newest record. */
export interface LogHead extends HardState {
  /** Compacted up to and including here. */
  readonly base: LogPoint;
  /** The log is durable up to here: what is missing below was acknowledged and is lost, what lies above was not. */
  readonly durable: LogPoint;
  /** In force at `base`. */
  readonly configuration: PlacedConfiguration;
  /** What is missing, in words; null in a sound log. */
  readonly wound: string | null;
}

const ORIGIN: LogPoint = { index: 0, term: 0, chain: 0 };

export const EMPTY_HEAD: LogHead = {
  term: 0,
  vote: null,
  commit: 0,
  base: ORIGIN,
  durable: ORIGIN,
  configuration: NO_CONFIGURATION,
  wound: null,
};

/**
 * `u8 version │ u32 cluster │ u48 term │ u48 commit │ base │ durable │ u8 flags │ u16 vote │ u16 wound │ u48 index and
 * u16 length of the configuration │ vote │ wound │ configuration │ u32 CRC32`. Version 1 ended after the vote.
 */
export function encodeHead(cluster: number, head: LogHead): Buffer {
  const vote = Buffer.from(head.vote ?? '', 'utf8');
  const wound = Buffer.from((head.wound ?? '').slice(0, WOUND_LENGTH_MAX), 'utf8');
  const configuration = encodeConfiguration(head.configuration.configuration);
  const bytes = Buffer.alloc(HEAD_FIXED + vote.length + wound.length + configuration.length);
  bytes[0] = VERSION;
  bytes.writeUInt32BE(cluster, 1);
  bytes.writeUIntBE(head.term, 5, 6);
  bytes.writeUIntBE(head.commit, 11, 6);
  writePoint(bytes, 17, head.base);
  writePoint(bytes, 33, head.durable);
  bytes[49] = (head.vote === null ? 0 : HAS_VOTE) | (head.wound === null ? 0 : HAS_WOUND) | chainFlags(head);
  bytes.writeUInt16BE(vote.length, 50);
  bytes.writeUInt16BE(wound.length, 52);
  bytes.writeUIntBE(head.configuration.index, 54, 6);
  bytes.writeUInt16BE(configuration.length, 60);
  vote.copy(bytes, 62);
  wound.copy(bytes, 62 + vote.length);
  bytes.set(configuration, 62 + vote.length + wound.length);
  return seal(bytes);
}

/** Undefined if it is damaged; `foreign` if it is sound and of another cluster. */
export function decodeHead(cluster: number, bytes: Uint8Array): LogHead | 'foreign' | undefined {
  const buffer = unseal(bytes);
  if (buffer === undefined || buffer.length < HEAD_FIXED_1) return undefined;
  const isFirstVersion = buffer[0] === 1;
  if (!isFirstVersion && (buffer[0] !== VERSION || buffer.length < HEAD_FIXED)) return undefined;
  if (buffer.readUInt32BE(1) !== cluster) return 'foreign';
  const flags = buffer[49] as number;
  const voteStart = isFirstVersion ? 52 : 62;
  const voteEnd = voteStart + buffer.readUInt16BE(50);
  const places = {
    term: buffer.readUIntBE(5, 6),
    vote: (flags & HAS_VOTE) !== 0 ? buffer.toString('utf8', voteStart, voteEnd) : null,
    commit: buffer.readUIntBE(11, 6),
    base: readPoint(buffer, 17, flags & BASE_CHAIN_UNKNOWN),
    durable: readPoint(buffer, 33, flags & DURABLE_CHAIN_UNKNOWN),
  };
  if (isFirstVersion) {
    // Of those nobody knows the configuration at the base: there was but one, and it stood in the settings.
    return buffer.length === voteEnd + 4 ? { ...places, configuration: NO_CONFIGURATION, wound: null } : undefined;
  }
  const woundEnd = voteEnd + buffer.readUInt16BE(52);
  const configuration = decodeConfiguration(buffer.subarray(woundEnd, buffer.length - 4));
  if (configuration === undefined || buffer.length !== woundEnd + buffer.readUInt16BE(60) + 4) return undefined;
  return {
    ...places,
    configuration: { configuration, index: buffer.readUIntBE(54, 6) },
    wound: (flags & HAS_WOUND) !== 0 ? buffer.toString('utf8', voteEnd, woundEnd) : null,
  };
}

/** `u8 version │ point │ u48 index of the configuration │ configuration │ u32 CRC32`. Version 1 was the point alone. */
export function encodeNote({ point, configuration }: LogReset): Buffer {
  const content = encodeConfiguration(configuration.configuration);
  const bytes = Buffer.alloc(NOTE_FIXED + content.length);
  bytes[0] = VERSION;
  writePoint(bytes, 1, point);
  bytes.writeUIntBE(configuration.index, 17, 6);
  bytes.set(content, 23);
  return seal(bytes);
}

export function decodeNote(bytes: Uint8Array): LogReset | undefined {
  const buffer = unseal(bytes);
  if (buffer === undefined) return undefined;
  if (buffer[0] === 1 && buffer.length === NOTE_LENGTH_1) {
    return { point: readPoint(buffer, 1, 0), configuration: NO_CONFIGURATION };
  }
  if (buffer[0] !== VERSION || buffer.length < NOTE_FIXED) return undefined;
  const configuration = decodeConfiguration(buffer.subarray(23, buffer.length - 4));
  if (configuration === undefined) return undefined;
  return { point: readPoint(buffer, 1, 0), configuration: { configuration, index: buffer.readUIntBE(17, 6) } };
}

/** Writes the CRC32 of all before it into the last four bytes. */
export function seal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
  return bytes;
}

/** Undefined if the CRC32 at the end is wrong. */
export function unseal(bytes: Uint8Array): Buffer | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 5) return undefined;
  const end = buffer.length - 4;
  return crc32(buffer.subarray(0, end)) === buffer.readUInt32BE(end) ? buffer : undefined;
}

function writePoint(bytes: Buffer, offset: number, point: LogPoint): void {
  bytes.writeUIntBE(point.index, offset, 6);
  bytes.writeUIntBE(point.term, offset + 6, 6);
  bytes.writeUInt32BE(point.chain === UNKNOWN_CHAIN ? 0 : point.chain, offset + 12);
}

function readPoint(buffer: Buffer, offset: number, isChainUnknown: number): LogPoint {
  return {
    index: buffer.readUIntBE(offset, 6),
    term: buffer.readUIntBE(offset + 6, 6),
    chain: isChainUnknown === 0 ? buffer.readUInt32BE(offset + 12) : UNKNOWN_CHAIN,
  };
}

function chainFlags({ base, durable }: LogHead): number {
  return (
    (base.chain === UNKNOWN_CHAIN ? BASE_CHAIN_UNKNOWN : 0) |
    (durable.chain === UNKNOWN_CHAIN ? DURABLE_CHAIN_UNKNOWN : 0)
  );
}

const VERSION = 2;
const HAS_VOTE = 1;
const HAS_WOUND = 2;
const BASE_CHAIN_UNKNOWN = 4;
const DURABLE_CHAIN_UNKNOWN = 8;
/** All but vote, wound and configuration, with the CRC at the end; and the same of version 1. */
const HEAD_FIXED = 66;
const HEAD_FIXED_1 = 56;
/** All but the configuration, with the CRC at the end; and the whole of version 1. */
const NOTE_FIXED = 27;
const NOTE_LENGTH_1 = 21;
const WOUND_LENGTH_MAX = 1_000;
