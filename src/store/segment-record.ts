/**
 * The bytes of a segment file: a header, then records one after another. A record is one synced write. Its header has
 * a checksum of its own, so that a wrong length is known as such, and its last byte is never zero, so that a record
 * whose end never reached the disk differs from one that was changed there. Numbers are big-endian.
 *
 *   segment  u32 magic │ u32 version │ u32 number │ u32 CRC32 of all before it
 *   record   u32 magic │ u32 body length │ u48 sequence │ u32 previous record's header CRC │ u32 CRC32 of body
 *            u32 CRC32 of all before it │ body │ u32 end mark
 *   body     u8 0 │ u16 key length │ u32 value length │ key │ value      put
 *            u8 1 │ u16 key length │ key                                 delete
 *            u8 2 │ u32 number      segments below this number are dropped, and every row that still lies there
 *            u8 3                   the segment ends here, another one follows
 *            u8 4                   the damage found before was seen, and what follows from it is written down
 */
import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import type { DeleteWrite, PutWrite } from './storage.ts';

export type SegmentOperation =
  | PutWrite
  | DeleteWrite
  | { readonly type: 'first'; readonly segment: number }
  | { readonly type: 'end' }
  | { readonly type: 'seen' };

export interface SegmentRecord {
  readonly sequence: number;
  /** Header CRC of the record before. */
  readonly previous: number;
  readonly headerCrc: number;
  /** Values are views into the bytes. */
  readonly operations: readonly SegmentOperation[];
  /** Where each put's value starts in the bytes; 0 for other operations. */
  readonly valueOffsets: readonly number[];
  /** Where the record ends in the bytes. */
  readonly end: number;
}

export interface RecordHeader {
  readonly sequence: number;
  readonly previous: number;
  readonly bodyCrc: number;
  readonly headerCrc: number;
  readonly bodyEnd: number;
}

export function encodeSegmentHeader(number: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.writeUInt32BE(SEGMENT_MAGIC, 0);
  bytes.writeUInt32BE(SEGMENT_VERSION, 4);
  bytes.writeUInt32BE(number, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

/** Undefined if it is not a whole header. */
export function decodeSegmentHeader(bytes: Buffer): { readonly version: number; readonly number: number } | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || bytes.readUInt32BE(0) !== SEGMENT_MAGIC) return undefined;
  if (crc32(bytes.subarray(0, 12)) !== bytes.readUInt32BE(12)) return undefined;
  return { version: bytes.readUInt32BE(4), number: bytes.readUInt32BE(8) };
}

export interface EncodedRecord {
  readonly bytes: Buffer;
  readonly headerCrc: number;
  readonly valueOffsets: readonly number[];
}

export function encodeRecord(
  sequence: number,
  previous: number,
  operations: readonly SegmentOperation[],
): EncodedRecord {
  let bodyLength = 0;
  for (const operation of operations) bodyLength += sizeOf(operation);
  const bodyEnd = RECORD_HEADER_BYTES + bodyLength;
  const bytes = Buffer.allocUnsafe(bodyEnd + END_MARK_BYTES);
  const valueOffsets: number[] = [];
  let offset = RECORD_HEADER_BYTES;
  for (const operation of operations) {
    valueOffsets.push(operation.type === 'put' ? offset + 7 + operation.key.length : 0);
    offset = writeOperation(bytes, offset, operation);
  }
  bytes.writeUInt32BE(RECORD_MAGIC, 0);
  bytes.writeUInt32BE(bodyLength, 4);
  bytes.writeUIntBE(sequence, 8, 6);
  bytes.writeUInt32BE(previous, 14);
  bytes.writeUInt32BE(crc32(bytes.subarray(RECORD_HEADER_BYTES, bodyEnd)), 18);
  const headerCrc = crc32(bytes.subarray(0, 22));
  bytes.writeUInt32BE(headerCrc, 22);
  bytes.writeUInt32BE(END_MARK, bodyEnd);
  return { bytes, headerCrc, valueOffsets };
}

/** Undefined if no sound header is there. The body may be broken or beyond the end of the bytes. */
export function readRecordHeader(bytes: Buffer, start: number): RecordHeader | undefined {
  const bodyStart = start + RECORD_HEADER_BYTES;
  if (bodyStart > bytes.length || bytes.readUInt32BE(start) !== RECORD_MAGIC) return undefined;
  const headerCrc = bytes.readUInt32BE(start + 22);
  if (crc32(bytes.subarray(start, start + 22)) !== headerCrc) return undefined;
  return {
    sequence: bytes.readUIntBE(start + 8, 6),
    previous: bytes.readUInt32BE(start + 14),
    bodyCrc: bytes.readUInt32BE(start + 18),
    headerCrc,
    bodyEnd: bodyStart + bytes.readUInt32BE(start + 4),
  };
}

/**
 * The whole record at `start`, or undefined. A broken end mark does not matter: the checksums prove the record. One
 * that is cut off does: such a record was never acknowledged.
 */
export function readRecord(bytes: Buffer, start: number): SegmentRecord | undefined {
  const header = readRecordHeader(bytes, start);
  if (header === undefined || header.bodyEnd + END_MARK_BYTES > bytes.length) return undefined;
  const bodyStart = start + RECORD_HEADER_BYTES;
  if (crc32(bytes.subarray(bodyStart, header.bodyEnd)) !== header.bodyCrc) return undefined;
  const operations: SegmentOperation[] = [];
  const valueOffsets: number[] = [];
  let offset = bodyStart;
  while (offset < header.bodyEnd) {
    const operation = readOperation(bytes, offset);
    operations.push(operation);
    offset += sizeOf(operation);
    valueOffsets.push(operation.type === 'put' ? offset - operation.value.byteLength : 0);
  }
  assert(offset === header.bodyEnd, 'segment: the operations of a record do not fill its body');
  const { sequence, previous, headerCrc } = header;
  return { sequence, previous, headerCrc, operations, valueOffsets, end: header.bodyEnd + END_MARK_BYTES };
}

function sizeOf(operation: SegmentOperation): number {
  switch (operation.type) {
    case 'put':
      return 7 + operation.key.length + operation.value.byteLength;
    case 'delete':
      return 3 + operation.key.length;
    case 'first':
      return 5;
    default:
      return 1;
  }
}

function writeOperation(bytes: Buffer, start: number, operation: SegmentOperation): number {
  bytes[start] = CODES[operation.type];
  if (operation.type === 'put') {
    const { key, value } = operation;
    bytes.writeUInt16BE(key.length, start + 1);
    bytes.writeUInt32BE(value.byteLength, start + 3);
    bytes.write(key, start + 7, 'latin1');
    bytes.set(value, start + 7 + key.length);
  } else if (operation.type === 'delete') {
    bytes.writeUInt16BE(operation.key.length, start + 1);
    bytes.write(operation.key, start + 3, 'latin1');
  } else if (operation.type === 'first') {
    bytes.writeUInt32BE(operation.segment, start + 1);
  }
  return start + sizeOf(operation);
}

/** Of a body that has passed its checksum, so a code that is unknown is from a newer build. */
function readOperation(bytes: Buffer, start: number): SegmentOperation {
  switch (bytes[start]) {
    case CODES.put: {
      const keyEnd = start + 7 + bytes.readUInt16BE(start + 1);
      const value = bytes.subarray(keyEnd, keyEnd + bytes.readUInt32BE(start + 3));
      return { type: 'put', key: bytes.toString('latin1', start + 7, keyEnd), value };
    }
    case CODES.delete:
      return { type: 'delete', key: bytes.toString('latin1', start + 3, start + 3 + bytes.readUInt16BE(start + 1)) };
    case CODES.first:
      return { type: 'first', segment: bytes.readUInt32BE(start + 1) };
    case CODES.end:
      return { type: 'end' };
    default:
      assert(bytes[start] === CODES.seen, `segment: operation ${bytes[start]} is unknown to this build`);
      return { type: 'seen' };
  }
}

const CODES: Readonly<Record<SegmentOperation['type'], number>> = { put: 0, delete: 1, first: 2, end: 3, seen: 4 };
export const SEGMENT_HEADER_BYTES = 16;
export const SEGMENT_VERSION = 1;
export const RECORD_HEADER_BYTES = 26;
export const END_MARK_BYTES = 4;
/** Starts every record; searched for behind a broken one. */
export const RECORD_MAGIC = 0xc7a1107e;
const SEGMENT_MAGIC = 0xca2111a0;
const END_MARK = 0x5a3cc3a5;
