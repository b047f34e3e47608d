import { strict as assert } from 'node:assert';
import type { PlacedConfiguration } from './configuration.ts';
import { Configurations } from './configurations.ts';
import { type EntryId, entryBytes, type LogEntry, type LogPoint, type StableLog } from './types.ts';
import { Unstable } from './unstable.ts';

/**
 * One view of the whole log: the durable part, read through `StableLog`, and the tail that is not durable yet.
 *
 *   base < first … handedOn … committed … last      applied <= handedOn <= committed <= last
 */
export class RaftLog {
  readonly stable: StableLog;
  readonly unstable: Unstable;
  readonly configurations: Configurations;
  committed: number;
  /** Up to here entries were given to the state machine. */
  handedOn: number;
  applied: number;

  constructor(stable: StableLog, committed: number, applied: number) {
    assert(committed >= stable.base.index && committed <= stable.lastIndex, 'log: commit index outside of the log');
    assert(applied >= stable.base.index && applied <= committed, 'log: applied index outside of the log');
    this.stable = stable;
    this.unstable = new Unstable(stable.lastIndex + 1);
    this.configurations = new Configurations(stable.configurations);
    this.committed = committed;
    this.handedOn = applied;
    this.applied = applied;
  }

  get base(): LogPoint {
    return this.unstable.snapshot ?? this.stable.base;
  }

  get firstIndex(): number {
    return this.base.index + 1;
  }

  get lastIndex(): number {
    return this.unstable.lastIndex;
  }

  get last(): EntryId {
    return { index: this.lastIndex, term: this.term(this.lastIndex) as number };
  }

  /** Durable here up to this index. */
  get stableIndex(): number {
    return this.unstable.snapshot === null ? this.unstable.offset - 1 : 0;
  }

  /** Undefined for what is compacted or does not exist yet. */
  term(index: number): number | undefined {
    const entry = this.unstable.entry(index);
    if (entry !== undefined) return entry.term;
    const base = this.base;
    if (index === base.index) return base.term;
    if (index < base.index || index >= this.unstable.offset) return undefined;
    return this.stable.term(index);
  }

  /** For an index whose `term` is known. */
  point(index: number): LogPoint {
    const entry = this.unstable.entry(index);
    if (entry !== undefined) return { index, term: entry.term, chain: entry.chain };
    const base = this.base;
    if (index === base.index) return base;
    assert(index > base.index && index < this.unstable.offset, `log: no entry ${index}`);
    return { index, term: this.stable.term(index), chain: this.stable.chain(index) };
  }

  matches(id: EntryId): boolean {
    return this.term(id.index) === id.term;
  }

  /** Is a log that ends with `id` at least as new as this one? (§5.4.1) */
  isUpToDate(id: EntryId): boolean {
    const last = this.last;
    return id.term > last.term || (id.term === last.term && id.index >= last.index);
  }

  /** New entries at the end, by the leader. */
  append(entries: readonly LogEntry[]): void {
    this.#truncateAndAppend(entries);
  }

  /**
   * A leader's entries after `previous`, which must match. Only what is new or conflicts is touched: a late, short
   * append must not cut what a later one brought. Gives the index of the last entry that is known to match.
   */
  accept(previous: EntryId, entries: readonly LogEntry[]): number {
    assert(this.matches(previous));
    const fresh = entries.findIndex((entry) => !this.matches(entry));
    if (fresh !== -1) this.#truncateAndAppend(fresh === 0 ? entries : entries.slice(fresh));
    return previous.index + entries.length;
  }

  /**
   * The newest place at or below `index` whose term is at most `term`: no newer place can match a log that has `term`
   * at `index`. Term 0 stands for "compacted, unknown".
   */
  findConflictByTerm(index: number, term: number): EntryId {
    let at = index;
    for (; at > 0; at -= 1) {
      const mine = this.term(at);
      if (mine === undefined) return { index: at, term: 0 };
      if (mine <= term) return { index: at, term: mine };
    }
    return { index: 0, term: 0 };
  }

  /** Entries from `low` on, at least one; undefined if `low` is durable but not in memory. `low` is not compacted. */
  slice(low: number, high: number, bytesMax: number): readonly LogEntry[] | undefined {
    if (low >= high) return [];
    assert(low >= this.firstIndex && high <= this.lastIndex + 1, `log: slice ${low}..${high}`);
    const offset = this.unstable.offset;
    if (low >= offset) return limitBytes(this.unstable.entries, low - offset, high - offset, bytesMax);
    const durable = this.stable.slice(low, Math.min(high, offset), bytesMax);
    if (durable === undefined || high <= offset || low + durable.length < offset) return durable;
    const rest = bytesMax - durable.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const first = this.unstable.entries[0];
    if (first === undefined || entryBytes(first) > rest) return durable;
    return [...durable, ...limitBytes(this.unstable.entries, 0, high - offset, rest)];
  }

  /** The end (exclusive) of what may be handed on: committed, and durable here. */
  get handOnEnd(): number {
    return Math.min(this.committed, this.stableIndex) + 1;
  }

  commitTo(index: number): boolean {
    if (index <= this.committed) return false;
    assert(index <= this.lastIndex, `log: commit ${index} beyond last ${this.lastIndex}; was the log truncated?`);
    this.committed = index;
    return true;
  }

  appliedTo(index: number): void {
    if (index <= this.applied) return;
    assert(index <= this.handedOn, `log: applied ${index}, but only ${this.handedOn} was handed on`);
    this.applied = index;
  }

  /** The state machine stands at `point` now, whatever the log held before. */
  restore(point: LogPoint, configuration: PlacedConfiguration): void {
    assert(point.index >= this.committed);
    this.unstable.restore(point);
    this.configurations.restart(configuration);
    this.committed = point.index;
    this.handedOn = point.index;
    this.applied = point.index;
  }

  #truncateAndAppend(entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.committed, `log: entry ${first.index} would replace a committed one`);
    this.unstable.truncateAndAppend(entries);
    this.configurations.take(entries, this.base.index);
  }
}

/** At least one entry of [from, to), then as many as fit. */
export function limitBytes(
  entries: readonly LogEntry[],
  from: number,
  to: number,
  bytesMax: number,
): readonly LogEntry[] {
  let bytes = 0;
  let end = from;
  for (; end < to; end += 1) {
    bytes += entryBytes(entries[end] as LogEntry);
    if (bytes > bytesMax && end > from) break;
  }
  return entries.slice(from, end);
}
