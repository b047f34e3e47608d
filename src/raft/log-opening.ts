/**
 * What the rows of a log say when it is opened. Nothing is taken on trust: records must continue each other by index
 * and by chain up to the head's durable point. What is missing below that point was acknowledged once: the log is
 * wounded. What lies above was never acknowledged and is cut. `judge` then says where the log stands from here on.
 */
import { CodedError } from '../base/errors.ts';
import type { Row } from '../store/storage.ts';
import { decodeConfiguration, type PlacedConfiguration } from './configuration.ts';
import { decodeHead, EMPTY_HEAD, type LogHead } from './log-head.ts';
import { decodeBlock, type EntryBlock } from './log-record.ts';
import type { SnapshotMeta } from './raft-protocol.ts';
import { type LogEntry, type LogReset, UNKNOWN_CHAIN } from './types.ts';

export const HEAD_KEY = 'head';
/** The point of a snapshot that is being made the state; written before, left behind after. */
export const NOTE_KEY = 'installing';
export const RECORD_PREFIX = 'entries/';

export function recordKey(firstIndex: number): string {
  return `${RECORD_PREFIX}${firstIndex.toString().padStart(16, '0')}`;
}

/** Null if it fails its checksum. */
export function readHead(cluster: number, bytes: Uint8Array | undefined): LogHead | null {
  if (bytes === undefined) return null;
  const head = decodeHead(cluster, bytes);
  if (head === 'foreign') throw foreign();
  return head ?? null;
}

export function foreign(): CodedError {
  return new CodedError('foreign-directory', 'raft log: belongs to another cluster; use another data directory');
}

export interface LogRecordPlace {
  readonly first: number;
  readonly bytes: number;
}

/** Takes the records in ascending order of their keys. */
export class LogReader {
  readonly head: LogHead;
  /** Each proven record by its first index, ascending. A record ends where the next one starts. */
  readonly records: LogRecordPlace[] = [];
  /** `terms[i]` and `chains[i]` belong to index `head.base.index + i`. */
  readonly terms: number[];
  readonly chains: number[];
  configurations: PlacedConfiguration[];
  /** Rows that are no part of what is proven. */
  readonly unproven: string[] = [];
  /** The first thing that is wrong below the durable point, or null. */
  fault: string | null;
  /** The chain at the place where the state stands, as far as any sound record knows it. */
  stateChain: number | null = null;
  readonly isHeadLost: boolean;
  readonly #cluster: number;
  readonly #state: SnapshotMeta;
  readonly #keep: (entries: readonly LogEntry[]) => void;

  /**
   * `head` null: lost, so that no record has a proven place. `keep` sees each proven record's entries; a later call may
   * replace the end of an earlier one.
   */
  constructor(
    cluster: number,
    head: LogHead | null,
    state: SnapshotMeta,
    keep: (entries: readonly LogEntry[]) => void,
  ) {
    this.#cluster = cluster;
    this.#state = state;
    this.#keep = keep;
    this.head = head ?? EMPTY_HEAD;
    this.isHeadLost = head === null;
    this.fault = head === null ? 'its head is lost' : null;
    this.terms = [this.head.base.term];
    this.chains = [this.head.base.chain];
    this.configurations = [this.head.configuration];
  }

  get lastIndex(): number {
    return this.head.base.index + this.terms.length - 1;
  }

  take(row: Row): void {
    const first = Number(row.key.slice(RECORD_PREFIX.length));
    const block = decodeBlock(this.#cluster, row.value);
    if (block !== undefined) this.#look(block);
    if (this.fault === null && first > this.head.base.index && first <= this.head.durable.index) {
      this.fault = this.#faultOf(first, block, row.value.length);
      if (this.fault === null && block !== undefined) {
        this.#accept(first, block, row.value.length);
        return;
      }
    }
    this.unproven.push(row.key);
  }

  /** After the last record. */
  finish(): void {
    if (this.fault !== null) return;
    const { base, durable } = this.head;
    const last = durable.index - base.index;
    if (this.lastIndex < durable.index) {
      this.fault = `entry ${this.lastIndex + 1} is missing`;
    } else if (this.terms[last] !== durable.term || this.chains[last] !== durable.chain) {
      this.fault = `entry ${durable.index} is not the one that was written`;
    }
  }

  #faultOf(first: number, block: EntryBlock | undefined, length: number): string | null {
    const { base } = this.head;
    if (first > this.lastIndex + 1) return `entry ${this.lastIndex + 1} is missing`;
    if (block === undefined || block.end !== length) return `entry ${first}: its record is broken`;
    if (block.entries[0]?.index !== first) return `entry ${first}: its record stands in a wrong place`;
    // A record that starts within the one before replaces the end of that: a conflict was resolved there.
    if (this.chains[first - base.index - 1] !== block.chainBefore) {
      return `entry ${first - 1} is not the one that was written`;
    }
    return null;
  }

  #accept(first: number, block: EntryBlock, bytes: number): void {
    this.terms.length = first - this.head.base.index;
    this.chains.length = first - this.head.base.index;
    const durable = block.entries.slice(0, this.head.durable.index - first + 1);
    for (const entry of durable) {
      this.terms.push(entry.term);
      this.chains.push(entry.chain);
    }
    this.configurations = withEntries(this.configurations, durable);
    this.records.push({ first, bytes });
    this.#keep(durable);
  }

  /** Equal index and term mean equal entries (§5.3), so any sound record will do, wherever it lies. */
  #look({ entries }: EntryBlock): void {
    const { index, term } = this.#state;
    const entry = entries[index - (entries[0]?.index ?? 0)];
    if (entry?.term === term) this.stateChain = entry.chain;
  }
}

/** The configurations of a log after `entries` have been put in, which may replace its end. */
export function withEntries(
  configurations: readonly PlacedConfiguration[],
  entries: readonly LogEntry[],
): PlacedConfiguration[] {
  const first = entries[0]?.index ?? Number.POSITIVE_INFINITY;
  // The first stands for the base, which nothing replaces.
  const kept = configurations.filter(({ index }, position) => position === 0 || index < first);
  for (const { kind, index, data } of entries) {
    if (kind !== 'configuration') continue;
    const configuration = decodeConfiguration(data);
    if (configuration === undefined) {
      const message = `raft log: entry ${index} is a configuration that this build cannot read; use a newer one`;
      throw new CodedError('newer-directory', message);
    }
    kept.push({ configuration, index });
  }
  return kept;
}

export interface Evidence {
  readonly state: SnapshotMeta;
  readonly note: LogReset | undefined;
  /** What the storage has lost at its end, so that its rows are of an earlier time; null if nothing. */
  readonly lostEnd: string | null;
  /** What the ballot file knows; null if it cannot be read. */
  readonly configurations: readonly PlacedConfiguration[] | null;
}

export interface Verdict {
  /** What is missing of what was acknowledged. */
  readonly wound: string | null;
  /** Where the log starts anew; null if what is proven stays. */
  readonly reset: LogReset | null;
}

/**
 * The state only goes ahead of the log by a snapshot, and that is announced by a note: without one the log has lost
 * entries. A wounded log keeps what is proven if the state stands on it; else it starts anew where the state stands.
 */
export function judge(reader: LogReader, { state, note, lostEnd, configurations }: Evidence): Verdict {
  const { base, durable } = reader.head;
  const fault = reader.fault ?? lostEnd;
  const isAnnounced = note?.point.index === state.index && note.point.term === state.term;
  const isOnLog = state.index >= base.index && reader.terms[state.index - base.index] === state.term;
  const isProven = isOnLog && !reader.isHeadLost;
  if (fault === null && isOnLog) return { wound: null, reset: null };
  // All that was acknowledged is in the state.
  const isAhead = state.index >= base.index && (fault === null || (lostEnd === null && state.index > durable.index));
  if (note !== undefined && isAnnounced && isAhead && !reader.isHeadLost) return { wound: null, reset: note };
  const found = fault ?? misfit(reader, state);
  if (isProven) {
    return { wound: woundText(found, `entries ${base.index + 1} to ${reader.lastIndex} are kept`), reset: null };
  }
  const wound = woundText(found, `it starts anew after entry ${state.index}, where the state stands`);
  if (state.index === 0) return { wound, reset: START };
  if (note !== undefined && isAnnounced) return { wound, reset: note };
  if (configurations === null) throw lost(`${found}, and the ballot file cannot be read`);
  const point = { ...state, chain: reader.stateChain ?? UNKNOWN_CHAIN };
  const configuration = configurations.findLast(({ index }) => index <= state.index) ?? reader.head.configuration;
  return { wound, reset: { point, configuration } };
}

function misfit({ head, lastIndex }: LogReader, state: SnapshotMeta): string {
  if (state.index < head.base.index) {
    return `the state stands at ${state.index}, but entries up to ${head.base.index} are compacted`;
  }
  return `the state has applied entry ${state.index} of term ${state.term}, the log ends at ${lastIndex}`;
}

function woundText(found: string, kept: string): string {
  return `raft log: ${found}, although it was acknowledged; ${kept}`;
}

/** Nothing is left to go by. */
export function lost(what: string): CodedError {
  const advice = 'this server must not vote: replace it (carillon cluster replace), or restore its data directory';
  return new CodedError('storage-failed', `raft log: ${what}; ${advice}`);
}

export function damaged(what: string): CodedError {
  return new CodedError('storage-failed', `raft log: ${what}, although it was acknowledged; start the server again`);
}

const START: LogReset = { point: EMPTY_HEAD.base, configuration: EMPTY_HEAD.configuration };
