/**
 * The chain hash: a CRC32 that runs through the whole log, entry after entry. Two logs that have the same chain at an
 * index have the same entries up to it, so log matching (I3) is one comparison. It guards against our own mistakes
 * and against disks, not against attackers.
 */
import { crc32 } from 'node:zlib';
import type { EntryKind } from './raft-protocol.ts';
import type { LogEntry } from './types.ts';

export const KIND_CODES: Readonly<Record<EntryKind, number>> = { command: 0, 'no-op': 1, configuration: 2 };

const KINDS: readonly EntryKind[] = ['command', 'no-op', 'configuration'];

export function kindOfCode(code: number): EntryKind | undefined {
  return KINDS[code];
}

/** An entry at its place, chained to the one before. */
export function chainEntry(
  previousChain: number,
  index: number,
  term: number,
  kind: EntryKind,
  data: Uint8Array,
): LogEntry {
  header.writeUIntBE(index, 0, 6);
  header.writeUIntBE(term, 6, 6);
  header[12] = KIND_CODES[kind];
  return { index, term, kind, data, chain: crc32(data, crc32(header, previousChain)) };
}

const header = Buffer.alloc(13);
