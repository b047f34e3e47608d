/**
 * What the rows of a log say when it is opened: a whole log, or exactly what is wrong. LevelDB can lose a record from
 * the middle without an error (reference finding A), so nothing is taken on trust: records must continue each other
 * by index and by chain up to the head's durable point. What is missing below that point was acknowledged once and is
 * an error; what lies above was never acknowledged (a torn tail) and is cut.
 */
import { CodedError } from '../base/errors.ts';
import type { Row } from '../store/storage.ts';
import { decodeHead, EMPTY_HEAD, type LogHead } from './log-head.ts';
import { decodeBlock } from './log-record.ts';
import type { LogEntry, LogPoint } from './types.ts';

export const HEAD_KEY = 'head';
/** The point of a snapshot that is being made the state; written before, left behind after. */
export const NOTE_KEY = 'installing';
export const RECORD_PREFIX = 'entries/';

export function recordKey(firstIndex: number): string {
  return `${RECORD_PREFIX}${firstIndex.toString().padStart(16, '0')}`;
}

export function readHead(cluster: number, bytes: Uint8Array | undefined): LogHead {
  if (bytes === undefined) return EMPTY_HEAD;
  const head = decodeHead(cluster, bytes);
  if (head === undefined) throw damaged('its head fails its checksum');
  if (head === 'foreign') {
    throw new CodedError('foreign-directory', 'raft log: belongs to another cluster; use another data directory');
  }
  return head;
}

/** Takes the records in ascending order of their keys. */
export class LogReader {
  readonly head: LogHead;
  /** Each record by its first index, ascending. A record ends where the next one starts. */
  readonly records: { readonly first: number; readonly bytes: number }[] = [];
  /** `terms[i]` and `chains[i]` belong to index `head.base.index + i`. */
  readonly terms: number[];
  readonly chains: number[];
  /** Rows above the durable point. */
  readonly torn: string[] = [];
  readonly #cluster: number;
  readonly #keep: (entries: readonly LogEntry[]) => void;

  /** `keep` sees each record's entries; a later call may replace the end of an earlier one. */
  constructor(cluster: number, head: LogHead, keep: (entries: readonly LogEntry[]) => void) {
    this.#cluster = cluster;
    this.head = head;
    this.#keep = keep;
    this.terms = [head.base.term];
    this.chains = [head.base.chain];
  }

  take(row: Row): void {
    const first = Number(row.key.slice(RECORD_PREFIX.length));
    if (first > this.head.durable.index) {
      this.torn.push(row.key);
      return;
    }
    if (first > this.#next) throw damaged(`entry ${this.#next} is missing`);
    const block = decodeBlock(this.#cluster, row.value);
    if (block === undefined || block.end !== row.value.length) throw damaged(`entry ${first}: its record is broken`);
    const { entries } = block;
    if (entries[0]?.index !== first || first <= this.head.base.index) {
      throw damaged(`entry ${first}: its record stands in a wrong place`);
    }
    // A record that starts within the one before replaces the end of that: a conflict was resolved there.
    const known = first - this.head.base.index;
    if (this.chains[known - 1] !== block.chainBefore)
      throw damaged(`entry ${first - 1} is not the one that was written`);
    this.terms.length = known;
    this.chains.length = known;
    const durable = entries.slice(0, this.head.durable.index - first + 1);
    for (const entry of durable) {
      this.terms.push(entry.term);
      this.chains.push(entry.chain);
    }
    this.records.push({ first, bytes: row.value.length });
    this.#keep(durable);
  }

  /** After the last record. */
  finish(): void {
    const { durable } = this.head;
    if (this.#next <= durable.index) throw damaged(`entry ${this.#next} is missing`);
    const last = durable.index - this.head.base.index;
    if (this.terms[last] !== durable.term || this.chains[last] !== durable.chain) {
      throw damaged(`entry ${durable.index} is not the one that was written`);
    }
  }

  get #next(): number {
    return this.head.base.index + this.terms.length;
  }
}

/**
 * Where the log must start anew because the state has gone ahead of it by a snapshot; null if log and state fit.
 * The state only goes ahead by a snapshot, and that is announced by a note: without one the log has lost entries.
 */
export function pointToResetTo(
  reader: LogReader,
  state: { readonly index: number; readonly term: number },
  note: LogPoint | undefined,
): LogPoint | null {
  const { base, durable } = reader.head;
  if (state.index === 0 && base.index === 0) return null;
  if (state.index < base.index) {
    throw damaged(`the state stands at ${state.index}, but entries up to ${base.index} are compacted`);
  }
  const term = reader.terms[state.index - base.index];
  if (state.index <= durable.index && term === state.term) return null;
  if (note !== undefined && note.index === state.index && note.term === state.term) return note;
  throw damaged(`the state has applied entry ${state.index} of term ${state.term}, the log ends at ${durable.index}`);
}

export function damaged(what: string): CodedError {
  return new CodedError(
    'storage-failed',
    `raft log: ${what}, although it was acknowledged; this server must not vote: restore its data directory or replace the server`,
  );
}
