/**
 * A block of consecutive entries in bytes. The same bytes are a record of the log on disk and the body of an append
 * message, so a batch is encoded once. Numbers are big-endian.
 *
 *   u8 version │ u32 cluster │ u48 first index │ u32 count │ u48 first term │ u48 last term
 *   u32 chain before │ u32 chain after │ u32 body length │ body │ u32 CRC32 of all before it
 *   body, per entry:  u48 term │ u8 kind │ u32 length │ data
 */
import { crc32 } from 'node:zlib';
import { chainEntry, KIND_CODES, kindOfCode } from './chain.ts';
import type { LogEntry } from './types.ts';

export interface EntryBlock {
  readonly chainBefore: number;
  /** At least one. Their `data` are views into the block's bytes. */
  readonly entries: readonly LogEntry[];
  /** Where the block ends in the bytes it was read from. */
  readonly end: number;
}

/** Which cluster a record belongs to, in 32 bits: enough to notice a stranger's disk or frame. */
export function clusterHash(clusterUuid: string): number {
  return crc32(clusterUuid);
}

export function encodeBlock(cluster: number, chainBefore: number, entries: readonly LogEntry[]): Buffer {
  const first = entries[0];
  const last = entries[entries.length - 1];
  if (first === undefined || last === undefined) throw new Error('raft: a block needs an entry');
  let bodyLength = 0;
  for (const entry of entries) bodyLength += ENTRY_HEADER + entry.data.length;
  const bytes = Buffer.allocUnsafe(HEADER + bodyLength + 4);
  bytes[0] = VERSION;
  bytes.writeUInt32BE(cluster, 1);
  bytes.writeUIntBE(first.index, 5, 6);
  bytes.writeUInt32BE(entries.length, 11);
  bytes.writeUIntBE(first.term, 15, 6);
  bytes.writeUIntBE(last.term, 21, 6);
  bytes.writeUInt32BE(chainBefore, 27);
  bytes.writeUInt32BE(last.chain, 31);
  bytes.writeUInt32BE(bodyLength, 35);
  let offset = HEADER;
  for (const entry of entries) {
    bytes.writeUIntBE(entry.term, offset, 6);
    bytes[offset + 6] = KIND_CODES[entry.kind];
    bytes.writeUInt32BE(entry.data.length, offset + 7);
    bytes.set(entry.data, offset + ENTRY_HEADER);
    offset += ENTRY_HEADER + entry.data.length;
  }
  bytes.writeUInt32BE(crc32(bytes.subarray(0, offset)), offset);
  return bytes;
}

/** Undefined for anything that is not exactly a block of this cluster: wrong length, version, CRC or chain. */
export function decodeBlock(cluster: number, bytes: Uint8Array, start = 0): EntryBlock | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < start + HEADER + 4 || buffer[start] !== VERSION) return undefined;
  if (buffer.readUInt32BE(start + 1) !== cluster) return undefined;
  const bodyEnd = start + HEADER + buffer.readUInt32BE(start + 35);
  if (bodyEnd + 4 > buffer.length) return undefined;
  if (crc32(buffer.subarray(start, bodyEnd)) !== buffer.readUInt32BE(bodyEnd)) return undefined;
  const entries = decodeEntries(buffer, start, bodyEnd);
  if (entries === undefined) return undefined;
  return { chainBefore: buffer.readUInt32BE(start + 27), entries, end: bodyEnd + 4 };
}

function decodeEntries(buffer: Buffer, start: number, bodyEnd: number): LogEntry[] | undefined {
  const firstIndex = buffer.readUIntBE(start + 5, 6);
  const count = buffer.readUInt32BE(start + 11);
  // Each entry has a header, so a count that cannot be true is refused before anything is allocated.
  if (count === 0 || count * ENTRY_HEADER > bodyEnd - start - HEADER || firstIndex === 0) return undefined;
  const entries: LogEntry[] = [];
  let offset = start + HEADER;
  let chain = buffer.readUInt32BE(start + 27);
  for (let position = 0; position < count; position += 1) {
    if (offset + ENTRY_HEADER > bodyEnd) return undefined;
    const kind = kindOfCode(buffer[offset + 6] as number);
    const dataStart = offset + ENTRY_HEADER;
    const dataEnd = dataStart + buffer.readUInt32BE(offset + 7);
    if (kind === undefined || dataEnd > bodyEnd) return undefined;
    const term = buffer.readUIntBE(offset, 6);
    const entry = chainEntry(chain, firstIndex + position, term, kind, buffer.subarray(dataStart, dataEnd));
    entries.push(entry);
    chain = entry.chain;
    offset = dataEnd;
  }
  const isWhole = offset === bodyEnd && chain === buffer.readUInt32BE(start + 31);
  const hasTerms =
    entries[0]?.term === buffer.readUIntBE(start + 15, 6) &&
    entries[count - 1]?.term === buffer.readUIntBE(start + 21, 6);
  return isWhole && hasTerms ? entries : undefined;
}

/** Encodes blocks and remembers the last few, so that the disk and each follower get the same bytes. */
export class BlockEncoder {
  readonly cluster: number;
  readonly #blocks: { readonly key: string; readonly bytes: Buffer }[] = [];

  constructor(cluster: number) {
    this.cluster = cluster;
  }

  encode(chainBefore: number, entries: readonly LogEntry[]): Buffer {
    const last = entries[entries.length - 1];
    // The chain stands for the content of the block and of all before it.
    const key = `${entries[0]?.index}/${last?.index}/${last?.term}/${last?.chain}/${chainBefore}`;
    const found = this.#blocks.find((block) => block.key === key);
    if (found !== undefined) return found.bytes;
    const bytes = encodeBlock(this.cluster, chainBefore, entries);
    this.#blocks.push({ key, bytes });
    if (this.#blocks.length > REMEMBERED_BLOCKS) this.#blocks.shift();
    return bytes;
  }
}

const VERSION = 1;
const HEADER = 39;
const ENTRY_HEADER = 11;
const REMEMBERED_BLOCKS = 4;
