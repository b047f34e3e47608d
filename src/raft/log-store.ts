/**
 * The durable log of entries over the storage port. One synced batch per write: the entries packed in one value (or a
 * few, of at most `RECORD_BYTES_MAX`), and the head with term, vote, commit and how far the log is durable.
 *
 *   head                       term, vote, commit, base, durable point
 *   entries/0000000000000042   a block of entries from 42 on; a later block may replace its end
 *   installing                 see `noteInstall`
 *
 * Places (term and chain) of all entries are in memory, the entries themselves as far as they fit the cache.
 */
import { strict as assert } from 'node:assert';
import { CodedError } from '../base/errors.ts';
import { endOfPrefix, type Row, type Storage, type Write } from '../store/storage.ts';
import { bootstrapEntry } from './bootstrap.ts';
import { EntryCache } from './entry-cache.ts';
import { limitBytes } from './log.ts';
import { decodeNote, encodeHead, encodeNote, type LogHead } from './log-head.ts';
import {
  damaged,
  HEAD_KEY,
  LogReader,
  NOTE_KEY,
  pointToResetTo,
  RECORD_PREFIX,
  readHead,
  recordKey,
} from './log-opening.ts';
import { BlockEncoder, clusterHash, decodeBlock } from './log-record.ts';
import type { SnapshotMeta } from './raft-protocol.ts';
import type { AppendWork, HardState, LogEntry, LogPoint, StableLog } from './types.ts';

export interface LogStoreOptions {
  /** Nothing else may write to it. */
  readonly storage: Storage;
  readonly clusterUuid: string;
  /** Where the durable state of the state machine stands; index 0 if there is none. */
  readonly state: SnapshotMeta;
  /** Default 16 MiB. */
  readonly cacheBytesMax?: number;
}

/** Has this storage a log, bootstrapped or joined? */
export function hasLog(storage: Storage): boolean {
  return storage.get(HEAD_KEY) !== undefined;
}

/** Writes entry 1 (who votes) into an empty log. A log of the same cluster is left as it is. */
export async function bootstrapLog(storage: Storage, clusterUuid: string, voters: readonly string[]): Promise<void> {
  const encoder = new BlockEncoder(clusterHash(clusterUuid));
  if (hasLog(storage)) {
    readHead(encoder.cluster, storage.get(HEAD_KEY));
    return;
  }
  const entry = bootstrapEntry(voters);
  const durable: LogPoint = { index: 1, term: 1, chain: entry.chain };
  const head: LogHead = { term: 1, vote: null, commit: 1, base: { index: 0, term: 0, chain: 0 }, durable };
  await writeAll(storage, [
    { type: 'put', key: recordKey(1), value: encoder.encode(0, [entry]) },
    { type: 'put', key: HEAD_KEY, value: encodeHead(encoder.cluster, head) },
  ]);
}

/** Proves the log whole and brings it into line with the state, or says what is wrong (`storage-failed`). */
export async function openLogStore(options: LogStoreOptions): Promise<LogStore> {
  const { storage, state } = options;
  const cluster = clusterHash(options.clusterUuid);
  const head = readHead(cluster, storage.get(HEAD_KEY));
  const cache = new EntryCache(options.cacheBytesMax ?? 16 * 1024 * 1024, head.base.index + 1);
  const reader = new LogReader(cluster, head, (entries) => cache.put(entries));
  const to = endOfPrefix(RECORD_PREFIX);
  for (let from = RECORD_PREFIX; ; ) {
    const rows = await scanAll(storage, from, to);
    for (const row of rows) reader.take(row);
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < ROWS_PER_SCAN) break;
    from = recordKey(Number(last.key.slice(RECORD_PREFIX.length)) + 1);
  }
  reader.finish();
  const noteBytes = storage.get(NOTE_KEY);
  const reset = pointToResetTo(reader, state, noteBytes === undefined ? undefined : decodeNote(noteBytes));
  if (reader.torn.length > 0)
    await writeAll(
      storage,
      reader.torn.map((key) => ({ type: 'delete', key })),
    );
  const store = new LogStore(storage, new BlockEncoder(cluster), reader, cache);
  if (reset !== null) await store.resetTo(reset);
  return store;
}

export class LogStore implements StableLog {
  readonly encoder: BlockEncoder;
  readonly #storage: Storage;
  readonly #cache: EntryCache;
  readonly #queue: QueuedWrite[] = [];
  #failure: CodedError | null = null;
  /** As of the last write that was asked for. */
  #head: LogHead;
  #records: number[];
  readonly #recordBytes = new Map<number, number>();
  #bytes = 0;
  /** As of the last write that is durable. `#terms[i]` belongs to index `base.index + i`. */
  #base: LogPoint;
  #terms: number[];
  #chains: number[];

  constructor(storage: Storage, encoder: BlockEncoder, reader: LogReader, cache: EntryCache) {
    this.#storage = storage;
    this.encoder = encoder;
    this.#head = reader.head;
    this.#base = reader.head.base;
    this.#records = [];
    for (const { first, bytes } of reader.records) this.#addRecord(first, bytes);
    this.#terms = reader.terms;
    this.#chains = reader.chains;
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

  get base(): LogPoint {
    return this.#base;
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

  /** One atomic, synced batch. `done` is called once the batch is durable and this log shows it. */
  append(work: AppendWork, done: (error: Error | null) => void): void {
    const { reset, entries } = work;
    const batch: Write[] = [];
    if (reset !== null) this.#dropAllRecords(batch, reset);
    this.#putRecords(batch, work);
    const last = entries[entries.length - 1];
    const durable = last === undefined ? this.#head.durable : pointOf(last);
    this.#head = { ...this.#head, ...(work.hardState ?? {}), durable };
    this.#write(batch, done, () => {
      if (reset !== null) this.#restart(reset);
      if (entries.length > 0) this.#take(entries);
    });
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
    this.#storage.scan(range, (error, rows) => {
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
    this.#head = { ...this.#head, base };
    this.#write(batch, done, () => {
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
   * carries the chain, which the state does not know.
   */
  noteInstall(point: LogPoint, done: (error: Error | null) => void): void {
    const batch: Write[] = [{ type: 'put', key: NOTE_KEY, value: encodeNote(point) }];
    this.#enqueue({ batch, done, show: () => {} });
  }

  /** For the opening: forgets all entries and starts at `point`. */
  async resetTo(point: LogPoint): Promise<void> {
    const { commit, term, vote } = this.#head;
    const isNewTerm = point.term > term;
    const hardState = {
      term: Math.max(term, point.term),
      vote: isNewTerm ? null : vote,
      commit: Math.max(commit, point.index),
    };
    const receipt = { term: hardState.term, last: null, resetIndex: point.index };
    const work: AppendWork = { reset: point, entries: [], chainBefore: 0, hardState, answers: [], receipt };
    await new Promise<void>((resolve, reject) => {
      this.append(work, (error) => (error === null ? resolve() : reject(storageFailed(error))));
    });
  }

  #write(batch: Write[], done: (error: Error | null) => void, show: () => void): void {
    batch.push({ type: 'put', key: HEAD_KEY, value: encodeHead(this.encoder.cluster, this.#head) });
    this.#enqueue({ batch, done, show });
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
    if (this.#failure === null) this.#storage.write(next.batch, finish);
    else finish(this.#failure);
  }

  #dropAllRecords(batch: Write[], reset: LogPoint): void {
    for (const first of this.#records) this.#dropRecord(batch, first);
    this.#records = [];
    this.#head = { ...this.#head, base: reset, durable: reset };
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

function scanAll(storage: Storage, from: string, to: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    storage.scan({ from, to, limit: ROWS_PER_SCAN }, (error, rows) => {
      if (error === null) resolve(rows);
      else reject(storageFailed(error));
    });
  });
}

function writeAll(storage: Storage, batch: readonly Write[]): Promise<void> {
  return new Promise((resolve, reject) => {
    storage.write(batch, (error) => (error === null ? resolve() : reject(storageFailed(error))));
  });
}

function storageFailed(error: Error): CodedError {
  if (error instanceof CodedError) return error;
  return new CodedError('storage-failed', `raft log: the storage failed: ${error.message}`, { cause: error });
}

const RECORD_BYTES_MAX = 512 * 1024;
const RECORDS_PER_COMPACTION = 1_000;
const ROWS_PER_SCAN = 16;
