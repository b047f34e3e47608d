/**
 * What the bytes of the segments say at opening: which records are whole, and whether what is not was ever
 * acknowledged. A write is synced before it is acknowledged, and the next one starts only after it: so only the very
 * last record can be torn. It is, if the file ends within it or nothing but zeros came to the disk from some sector on.
 * All else that is not a whole record is damage: a wrong checksum with all of its bytes there, a broken record before a
 * whole one, a gap in the sequence, a segment that is missing.
 */
import {
  END_MARK_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  readRecord,
  readRecordHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentRecord,
} from './segment-record.ts';

/** One whole record, or bytes that are none. */
export type SegmentPart =
  | { readonly type: 'record'; readonly start: number; readonly record: SegmentRecord }
  | {
      readonly type: 'broken';
      readonly start: number;
      readonly end: number;
      /** It may be a torn write, provided that no record follows in any segment. */
      readonly isTorn: boolean;
    };

/** The parts of a segment file in their order. Records with a sequence below `sequence` are not looked for. */
export function* readSegment(bytes: Buffer, sequence: number): Generator<SegmentPart> {
  let next = sequence;
  for (let start = SEGMENT_HEADER_BYTES; start < bytes.length; ) {
    const record = readRecord(bytes, start);
    if (record !== undefined) {
      yield { type: 'record', start, record };
      next = record.sequence + 1;
      start = record.end;
      continue;
    }
    const end = findRecord(bytes, start + 1, next);
    yield { type: 'broken', start, end: end ?? bytes.length, isTorn: end === undefined && isTorn(bytes, start) };
    if (end === undefined) return;
    start = end;
  }
}

/** The next whole record behind broken bytes. Its number must be a later one: values may hold anything. */
function findRecord(bytes: Buffer, from: number, sequence: number): number | undefined {
  for (let at = bytes.indexOf(MAGIC, from); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const record = readRecord(bytes, at);
    if (record !== undefined && record.sequence >= sequence) return at;
  }
  return undefined;
}

function isTorn(bytes: Buffer, start: number): boolean {
  if (start + RECORD_HEADER_BYTES > bytes.length) return true;
  const header = readRecordHeader(bytes, start);
  if (header !== undefined && header.bodyEnd + END_MARK_BYTES > bytes.length) return true;
  let zerosFrom = bytes.length;
  while (zerosFrom > start && bytes[zerosFrom - 1] === 0) zerosFrom -= 1;
  if (zerosFrom === start) return true;
  // A disk writes whole sectors: zeros that begin within one were written so.
  const sector = Math.ceil(zerosFrom / SECTOR_BYTES) * SECTOR_BYTES;
  return sector < (header === undefined ? start + RECORD_HEADER_BYTES : header.bodyEnd + END_MARK_BYTES);
}

const SECTOR_BYTES = 512;
const MAGIC = Buffer.alloc(4);
MAGIC.writeUInt32BE(RECORD_MAGIC, 0);
