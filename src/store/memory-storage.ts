import { strict as assert } from 'node:assert';
import { CodedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Clock } from '../base/time.ts';
import type { Journal, JournalDamage } from './journal.ts';
import { SortedRows } from './sorted-rows.ts';
import { assertBatch, type Row, type ScanRange, type StorageSnapshot, type Write } from './storage.ts';

/**
 * What a crash does to batches that are not done yet. `prefix`, a killed process: the operating system keeps what it
 * was given, in order, so all up to some batch survive. `any-subset`, power loss: each whole batch survives or not.
 */
export type CrashMode = 'prefix' | 'any-subset';

export interface MemoryDatabaseOptions {
  /** For messages to people. */
  readonly label: string;
  readonly clock: Clock;
  /** How long the next batch takes to become durable, in ms. Default: always 0. */
  readonly writeDelayMs?: () => number;
  /** How long the next scan takes, in ms. Default: always 0. */
  readonly readDelayMs?: () => number;
}

/**
 * The twin of a LevelDB directory: what is on the medium, shared by every storage opened on it. It outlives crashes of
 * the processes that use it. Nothing here is asynchronous but the calls of `done`, which come through the clock.
 */
export class MemoryDatabase {
  readonly #label: string;
  readonly #clock: Clock;
  readonly #writeDelayMs: () => number;
  readonly #readDelayMs: () => number;
  readonly #handles = new Set<MemoryStorage>();
  #rows = new SortedRows();
  /** Batches given but not done, oldest first. Bounded by the callers: it is a test's own memory. */
  #pending: PendingBatch[] = [];
  /** When the newest pending batch is due, on the monotonic clock: a later one never overtakes it. */
  #lastDueMs = 0;
  /** Counts crashes: a timer of an earlier life does nothing. */
  #life = 0;
  #isFrozen = false;
  /** Batches that came due while frozen. */
  #heldBack = 0;
  /** What each batch fails with, once `fail` was called. */
  #failure: CodedError | undefined;
  /** Whether a batch has failed already: from then on reads fail as well. */
  #hasFailed = false;
  /** Batches that failed: a crash decides whether they are there. */
  #unknown: PendingBatch[] = [];

  constructor({ label, clock, writeDelayMs = noDelay, readDelayMs = noDelay }: MemoryDatabaseOptions) {
    this.#label = label;
    this.#clock = clock;
    this.#writeDelayMs = writeDelayMs;
    this.#readDelayMs = readDelayMs;
  }

  get isOpen(): boolean {
    return this.#handles.size > 0;
  }

  /** Rows that are done, so durable. */
  get size(): number {
    return this.#rows.size;
  }

  /** Batches given but not done. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  open(): MemoryStorage {
    const handle = this.#handle();
    this.#handles.add(handle);
    return handle;
  }

  /**
   * The process that used it is gone: its storages are dead, no `done` is called any more, and each batch that was not
   * done is kept or lost as `mode` and `random` say. Works on a failed or frozen database too, and repairs it.
   */
  crash(random: Random, mode: CrashMode): void {
    const undecided = [...this.#unknown, ...this.#pending];
    const keptCount = mode === 'prefix' ? Math.floor(random() * (undecided.length + 1)) : 0;
    for (const [index, { batch }] of undecided.entries()) {
      const isKept = mode === 'prefix' ? index < keptCount : random() < 0.5;
      if (isKept) this.#apply(batch);
    }
    this.#pending = [];
    this.#life += 1;
    this.#lastDueMs = 0;
    this.#isFrozen = false;
    this.#heldBack = 0;
    this.#failure = undefined;
    this.#hasFailed = false;
    this.#unknown = [];
    for (const handle of this.#handles) handle.die();
    this.#handles.clear();
  }

  /** No batch becomes durable until `thaw`: a disk that hangs. Reads go on. */
  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    const dueCount = this.#heldBack;
    this.#heldBack = 0;
    for (let index = 0; index < dueCount; index += 1) this.#after(0, () => this.#complete());
  }

  /**
   * From now on each batch fails, those that wait included, until a crash. What became of a failed batch is unknown
   * until then: the crash keeps or loses it, as real disks do.
   */
  fail(reason: string): void {
    this.#failure ??= new CodedError('storage-failed', `storage ${this.#label}: ${reason}`);
  }

  #handle(): MemoryStorage {
    const handle = new MemoryStorage(this.#label, {
      failure: () => (this.#hasFailed ? this.#failure : undefined),
      rows: () => this.#rows,
      after: (delayMs, run) => this.#after(delayMs, run),
      readDelayMs: this.#readDelayMs,
      write: (batch, done) => this.#write(batch, done),
      closed: () => this.#handles.delete(handle),
    });
    return handle;
  }

  #after(delayMs: number, run: () => void): void {
    const life = this.#life;
    this.#clock.after(delayMs, () => {
      if (life === this.#life) run();
    });
  }

  #write(batch: readonly Write[], done: (error: Error | null) => void): void {
    const nowMs = this.#clock.monotonic();
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + this.#writeDelayMs());
    this.#pending.push({ batch, done });
    this.#after(this.#lastDueMs - nowMs, () => this.#complete());
  }

  /** Whichever timer fires, the oldest batch is completed: order never depends on how the clock breaks ties. */
  #complete(): void {
    if (this.#isFrozen) {
      this.#heldBack += 1;
      return;
    }
    const oldest = this.#pending.shift();
    assert(oldest !== undefined, 'a timer without a batch');
    if (this.#failure !== undefined) {
      this.#hasFailed = true;
      this.#unknown.push(oldest);
      oldest.done(this.#failure);
      return;
    }
    this.#apply(oldest.batch);
    oldest.done(null);
  }

  #apply(batch: readonly Write[]): void {
    for (const write of batch) {
      if (write.type === 'put') this.#rows.put(write.key, write.value);
      else this.#rows.delete(write.key);
    }
  }
}

/** One open of a `MemoryDatabase`. Made by its `open`. */
export class MemoryStorage implements Journal {
  /** None of its own making: tests lose rows openly, and say so here if they like. */
  damage: readonly JournalDamage[] = [];
  readonly #label: string;
  readonly #database: DatabaseAccess;
  #state: 'open' | 'closed' | 'dead' = 'open';
  #writesInFlight = 0;
  #onDrained: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(label: string, database: DatabaseAccess) {
    this.#label = label;
    this.#database = database;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get(key: string): Uint8Array | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    return this.#database.rows().get(key);
  }

  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void {
    this.#scanRows(this.#database.rows(), range, done);
  }

  write(batch: readonly Write[], done: (error: Error | null) => void): void {
    assertBatch(batch);
    if (this.#state === 'dead') return;
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#database.after(0, () => done(refusal));
      return;
    }
    this.#writesInFlight += 1;
    this.#database.write(batch, (error) => {
      this.#writesInFlight -= 1;
      done(error);
      if (this.#writesInFlight === 0) this.#onDrained?.();
    });
  }

  snapshot(): StorageSnapshot {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const rows = this.#database.rows().copy();
    let isOpen = true;
    return {
      scan: (range, done) => {
        if (isOpen) this.#scanRows(rows, range, done);
        else this.#database.after(0, () => done(closedError(`a snapshot of ${this.#label}`), []));
      },
      close: () => {
        isOpen = false;
      },
    };
  }

  /** Batches that were given before are finished first. Never resolves for a process that crashed meanwhile. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  #finish(): Promise<void> {
    if (this.#state === 'dead') return new Promise(() => {});
    this.#state = 'closed';
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#database.closed();
        resolve();
      };
      if (this.#writesInFlight === 0) finish();
      else this.#onDrained = finish;
    });
  }

  /** Its process has crashed: nothing comes back from it any more. */
  die(): void {
    this.#state = 'dead';
  }

  #scanRows(rows: SortedRows, range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void {
    if (this.#state === 'dead') return;
    const refusal = this.#refusal();
    const found = refusal === undefined ? rows.scan(range) : [];
    this.#database.after(this.#database.readDelayMs(), () => done(refusal ?? null, found));
  }

  #refusal(): CodedError | undefined {
    if (this.#state !== 'open') return closedError(`storage ${this.#label}`);
    return this.#database.failure();
  }
}

/** What a storage may do with the database that it belongs to. */
interface DatabaseAccess {
  failure(): CodedError | undefined;
  rows(): SortedRows;
  after(delayMs: number, run: () => void): void;
  readonly readDelayMs: () => number;
  write(batch: readonly Write[], done: (error: Error | null) => void): void;
  closed(): void;
}

interface PendingBatch {
  readonly batch: readonly Write[];
  readonly done: (error: Error | null) => void;
}

function closedError(what: string): CodedError {
  return new CodedError('stopped', `${what} is closed`);
}

function noDelay(): number {
  return 0;
}
