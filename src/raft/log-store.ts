/**
 * The durable log of entries over a journal. One synced batch per write: the entries packed in one value (or a few, of
 * at most `RECORD_BYTES_MAX`), and the head with term, vote, commit and how far the log is durable.
 *
 *   head                       term, vote, commit, base, durable point, configuration at the base, wound
 *   entries/0000000000000042   a block of entries from 42 on; a later block may replace its end
 *   installing                 see `noteInstall`
 *
 * Places (term and chain) of all entries are in memory, the entries themselves as far as they fit the cache. Term, vote
 * and configurations are in the ballot file too. A log that has lost something acknowledged opens as wounded.
 */
import { strict as assert } from 'node:assert';
import { CodedError } from '../base/errors.ts';
import type { Journal } from '../store/journal.ts';
import { endOfPrefix, type Write } from '../store/storage.ts';
import { type BallotFile, encodeBallot } from './ballot.ts';
import type { PlacedConfiguration } from './configuration.ts';
import type { EntryCache } from './entry-cache.ts';
import { limitBytes } from './log.ts';
import { encodeHead, encodeNote, type LogHead } from './log-head.ts';
import { damaged, HEAD_KEY, type LogRecordPlace, NOTE_KEY, recordKey, withEntries } from './log-opening.ts';
import { type BlockEncoder, decodeBlock } from './log-record.ts';
import type { AppendWork, HardState, LogEntry, LogPoint, LogReset, StableLog } from './types.ts';

/** A log as it was found, or as it stands after what was found. */
export interface LogContent {
  readonly head: LogHead;
  readonly records: readonly LogRecordPlace[];
  /** `terms[i]` and `chains[i]` belong to index `head.base.index + i`. */
  readonly terms: number[];
  readonly chains: number[];
  readonly configurations: readonly PlacedConfiguration[];
}

export class LogStore implements StableLog {
  readonly encoder: BlockEncoder;
  readonly #journal: Journal;
  readonly #ballot: BallotFile;
  readonly #cache: EntryCache;
  readonly #queue: QueuedWrite[] = [];
  #failure: CodedError | null = null;
  /** As of the last write that was asked for; of these two, `configurations` shows what is durable. */
  #head: LogHead;
  #nextConfigurations: readonly PlacedConfiguration[];
  #configurations: readonly PlacedConfiguration[];
  #isWounded: boolean;
  #records: number[];
  readonly #recordBytes = new Map<number, number>();
  #bytes = 0;
  /** As of the last write that is durable. `#terms[i]` belongs to index `base.index + i`. */
  #base: LogPoint;
  #terms: number[];
  #chains: number[];

  /** Made by `openLogStore`. */
  constructor(journal: Journal, ballot: BallotFile, encoder: BlockEncoder, content: LogContent, cache: EntryCache) {
    this.#journal = journal;
    this.#ballot = ballot;
    this.encoder = encoder;
    this.#head = content.head;
    this.#isWounded = content.head.wound !== null;
    this.#nextConfigurations = content.configurations;
    this.#configurations = content.configurations;
    this.#base = content.head.base;
    this.#records = [];
    for (const { first, bytes } of content.records) this.#addRecord(first, bytes);
    this.#terms = content.terms;
    this.#chains = content.chains;
    this.#cache = cache;
  }

  /** Of all records, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** As of the last write that was asked for. */
  get hardState(): HardState {
    const { term, vote, commit } = this.#head;
    return { term, vote, commit };
  }

  /** Something that was acknowledged is missing: this server must not vote, nor be counted, until `heal`. */
  get isWounded(): boolean {
    return this.#isWounded;
  }

  /** What is missing and what was done, for people; null in a sound log. */
  get woundText(): string | null {
    return this.#head.wound;
  }

  get base(): LogPoint {
    return this.#base;
  }

  get configurations(): readonly PlacedConfiguration[] {
    return this.#configurations;
  }

  get lastIndex(): number {
    return this.#base.index + this.#terms.length - 1;
  }

  term(index: number): number {
    return this.#terms[this.#position(index)] as number;
  }

  chain(index: number): number {
    return this.#chains[this.#position(index)] as number;
  }

  slice(low: number, high: number, bytesMax: number): readonly LogEntry[] | undefined {
    return this.#cache.slice(low, high, bytesMax);
  }

  /**
   * One atomic, synced batch; where term, vote or a configuration change, the ballot file too. `done` is called once
   * all is durable and this log shows it.
   */
  append(work: AppendWork, done: (error: Error | null) => void): void {
    const { reset, entries } = work;
    const { term, vote } = this.#head;
    const before = this.#nextConfigurations;
    const batch: Write[] = [];
    if (reset !== null) this.#dropAllRecords(batch, reset);
    this.#putRecords(batch, work);
    const last = entries[entries.length - 1];
    const durable = last === undefined ? this.#head.durable : pointOf(last);
    this.#head = { ...this.#head, ...(work.hardState ?? {}), durable };
    if (entries.length > 0) this.#nextConfigurations = withEntries(this.#nextConfigurations, entries);
    const configurations = this.#nextConfigurations;
    const isSameList =
      configurations.length === before.length && configurations.every((item, position) => item === before[position]);
    const isBallot = term !== this.#head.term || vote !== this.#head.vote || !isSameList;
    const point = this.#head.base;
    const show = (): void => {
      if (reset !== null) this.#restart(point);
      if (entries.length > 0) this.#take(entries);
      this.#configurations = configurations;
    };
    this.#write(batch, done, show, isBallot);
  }

  /**
   * Entries from `low` on that are not in memory: at least one, at most `bytesMax`, and not beyond one record. Empty
   * if `low` is compacted.
   */
  read(
    low: number,
    high: number,
    bytesMax: number,
    done: (error: Error | null, entries: readonly LogEntry[]) => void,
  ): void {
    const position = lastAtMost(this.#records, low);
    const first = this.#records[position];
    if (first === undefined || low <= this.#base.index) {
      done(null, []);
      return;
    }
    const end = Math.min(high, this.#records[position + 1] ?? high);
    const range = { from: recordKey(first), to: endOfPrefix(recordKey(first)), limit: 1 };
    this.#journal.scan(range, (error, rows) => {
      if (error !== null) return done(error, []);
      const row = rows[0];
      if (row === undefined) {
        // Deleted by a compaction since, or lost.
        return low <= this.#base.index ? done(null, []) : done(damaged(`entry ${low} is missing`), []);
      }
      const block = decodeBlock(this.encoder.cluster, row.value);
      if (block === undefined) return done(damaged(`entry ${low}: its record is broken`), []);
      const from = low - first;
      done(null, limitBytes(block.entries, from, Math.min(end - first, block.entries.length), bytesMax));
    });
  }

  /**
   * Deletes whole records that hold nothing above `index`. Gives the last index that will be gone; where no record is
   * whole below `index`, that is the base as it was, and `done` has been called.
   */
  compact(index: number, done: (error: Error | null) => void): number {
    const kept = Math.min(lastAtMost(this.#records, index + 1), RECORDS_PER_COMPACTION);
    const firstKept = this.#records[kept];
    if (kept <= 0 || firstKept === undefined || firstKept - 1 > this.lastIndex) {
      done(null);
      return this.#base.index;
    }
    const base = this.#pointAt(firstKept - 1);
    const gone = this.#records.splice(0, kept);
    const batch: Write[] = [];
    for (const first of gone) this.#dropRecord(batch, first);
    const position = this.#nextConfigurations.findLastIndex(({ index }) => index <= base.index);
    const configurations = this.#nextConfigurations.slice(Math.max(0, position));
    this.#nextConfigurations = configurations;
    this.#head = { ...this.#head, base, configuration: configurations[0] ?? this.#head.configuration };
    this.#write(batch, done, () => {
      this.#configurations = configurations;
      const count = base.index - this.#base.index;
      this.#terms.splice(0, count);
      this.#chains.splice(0, count);
      this.#base = base;
      this.#cache.dropBelow(base.index + 1);
    });
    return base.index;
  }

  /**
   * To be durable before a snapshot becomes the state: tells the next start why the state is ahead of the log, and
   * carries what the state does not know.
   */
  noteInstall(point: LogPoint, configuration: PlacedConfiguration, done: (error: Error | null) => void): void {
    this.#write([{ type: 'put', key: NOTE_KEY, value: encodeNote({ point, configuration }) }], done, () => {});
  }

  /** All that was lost is here again, from the peers. */
  heal(done: (error: Error | null) => void): void {
    this.#head = { ...this.#head, wound: null };
    this.#write([], done, () => {
      this.#isWounded = false;
    });
  }

  /** Every batch has the head: so the newest batch that can be read proves how far the log went. */
  #write(batch: Write[], done: (error: Error | null) => void, show: () => void, isBallot = false): void {
    batch.push({ type: 'put', key: HEAD_KEY, value: encodeHead(this.encoder.cluster, this.#head) });
    const { term, vote } = this.#head;
    const configurations = this.#nextConfigurations;
    const ballot = isBallot ? encodeBallot(this.encoder.cluster, { term, vote, configurations }) : null;
    this.#enqueue({ batch, ballot, done, show });
  }

  /**
   * One batch at a time: a power cut may keep a later batch and lose an earlier one, and then the head would speak of
   * entries that are not there. The queue is as long as the caller's own: an append, a compaction and a note.
   */
  #enqueue(write: QueuedWrite): void {
    this.#queue.push(write);
    if (this.#queue.length === 1) this.#writeNext();
  }

  #writeNext(): void {
    const next = this.#queue[0];
    if (next === undefined) return;
    const finish = (error: Error | null): void => {
      this.#queue.shift();
      if (error === null) next.show();
      else this.#failure = storageFailed(error);
      next.done(error === null ? null : storageFailed(error));
      this.#writeNext();
    };
    // After the first error nothing is written any more, and all that waited fails with it.
    if (this.#failure !== null) return finish(this.#failure);
    const { ballot } = next;
    if (ballot === null) return this.#journal.write(next.batch, finish);
    // Both at once, and done when both are: until then nothing of it was promised.
    let left = 2;
    let failure: Error | null = null;
    const finishOne = (error: Error | null): void => {
      failure ??= error;
      left -= 1;
      if (left === 0) finish(failure);
    };
    this.#journal.write(next.batch, finishOne);
    this.#ballot.replace(ballot, finishOne);
  }

  #dropAllRecords(batch: Write[], { point, configuration }: LogReset): void {
    for (const first of this.#records) this.#dropRecord(batch, first);
    this.#records = [];
    // At the base itself only the chain was unknown.
    const inForce = point.index === this.#head.base.index ? this.#head.configuration : configuration;
    this.#nextConfigurations = [inForce];
    this.#head = { ...this.#head, base: point, durable: point, configuration: inForce };
  }

  #putRecords(batch: Write[], work: AppendWork): void {
    const firstIndex = work.entries[0]?.index;
    if (firstIndex === undefined) return;
    assert(firstIndex <= this.#head.durable.index + 1, `raft log: gap before entry ${firstIndex}`);
    assert(firstIndex > this.#head.base.index, `raft log: entry ${firstIndex} is compacted`);
    while (this.#records.length > 0 && (this.#records[this.#records.length - 1] as number) >= firstIndex) {
      this.#dropRecord(batch, this.#records.pop() as number);
    }
    let chain = work.chainBefore;
    for (let from = 0; from < work.entries.length; ) {
      const entries = limitBytes(work.entries, from, work.entries.length, RECORD_BYTES_MAX);
      const first = entries[0] as LogEntry;
      const value = this.encoder.encode(chain, entries);
      batch.push({ type: 'put', key: recordKey(first.index), value });
      this.#addRecord(first.index, value.length);
      chain = (entries[entries.length - 1] as LogEntry).chain;
      from += entries.length;
    }
  }

  #addRecord(first: number, bytes: number): void {
    this.#records.push(first);
    this.#recordBytes.set(first, bytes);
    this.#bytes += bytes;
  }

  #dropRecord(batch: Write[], first: number): void {
    batch.push({ type: 'delete', key: recordKey(first) });
    this.#bytes -= this.#recordBytes.get(first) ?? 0;
    this.#recordBytes.delete(first);
  }

  #take(entries: readonly LogEntry[]): void {
    const first = (entries[0] as LogEntry).index;
    this.#terms.length = first - this.#base.index;
    this.#chains.length = first - this.#base.index;
    for (const entry of entries) {
      this.#terms.push(entry.term);
      this.#chains.push(entry.chain);
    }
    this.#cache.put(entries);
  }

  #restart(point: LogPoint): void {
    this.#base = point;
    this.#terms = [point.term];
    this.#chains = [point.chain];
    this.#cache.restart(point.index + 1);
  }

  #pointAt(index: number): LogPoint {
    return { index, term: this.term(index), chain: this.chain(index) };
  }

  #position(index: number): number {
    const position = index - this.#base.index;
    assert(position >= 0 && position < this.#terms.length, `raft log: no entry ${index}`);
    return position;
  }
}

interface QueuedWrite {
  readonly batch: readonly Write[];
  /** New content for the ballot file. */
  readonly ballot: Buffer | null;
  readonly done: (error: Error | null) => void;
  /** Brings what is in memory into line, once the batch is durable. */
  readonly show: () => void;
}

/** Position of the last item that is at most `value`, or -1. */
function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function pointOf(entry: LogEntry): LogPoint {
  return { index: entry.index, term: entry.term, chain: entry.chain };
}

export function storageFailed(error: Error): CodedError {
  if (error instanceof CodedError) return error;
  return new CodedError('storage-failed', `raft log: the storage failed: ${error.message}`, { cause: error });
}

const RECORD_BYTES_MAX = 512 * 1024;
const RECORDS_PER_COMPACTION = 1_000;
