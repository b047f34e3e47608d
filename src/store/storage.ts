import { strict as assert } from 'node:assert';

/**
 * The storage port: an ordered map from ASCII keys to bytes, with atomic, always synced batches.
 *
 * Twins: `level-storage.ts` (LevelDB) and `memory-storage.ts` (with crashes and lost unsynced writes, for the
 * simulator). Both pass `test/suites/storage.ts`.
 */
export interface PutWrite {
  readonly type: 'put';
  readonly key: string;
  readonly value: Uint8Array;
}

export interface DeleteWrite {
  readonly type: 'delete';
  readonly key: string;
}

export type Write = PutWrite | DeleteWrite;

export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Keys k with `from <= k < to`. */
export interface ScanRange {
  readonly from: string;
  readonly to: string;
  /** At most this many rows; a caller that wants more asks again from the last key. */
  readonly limit: number;
  /** From the end of the range backwards. Default false. */
  readonly reverse?: boolean;
}

/** A frozen view of the moment it was taken. Must be closed. */
export interface StorageSnapshot {
  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void;
  close(): void;
}

export interface Storage {
  /** Microseconds; sees every batch whose `done` was called. Throws if the storage failed or is closed. */
  get(key: string): Uint8Array | undefined;
  /** Calls `done` once, later, never from within `scan`. */
  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void;
  /**
   * Writes all or nothing, fsynced before `done(null)`. Batches become durable in the order given. After the first
   * error every later write fails too: LevelDB loses acknowledged writes after a failed one (reference finding B).
   * The values belong to the storage from here on: nobody may change their bytes, nor those that reads return.
   */
  write(batch: readonly Write[], done: (error: Error | null) => void): void;
  snapshot(): StorageSnapshot;
  /** Batches given before are finished first; what is asked for later fails with `stopped`. */
  close(): Promise<void>;
}

/** The first key after all keys that start with `prefix` (ASCII keys). */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\x7f`;
}

/**
 * Keys are our own, so a bad one is our bug: beyond ASCII, JavaScript's order of strings and LevelDB's order of bytes
 * differ, and `endOfPrefix` misses rows.
 */
export function assertBatch(batch: readonly Write[]): void {
  for (const { key } of batch) assert(PRINTABLE_ASCII.test(key), `a storage key must be printable ASCII: ${key}`);
}

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
