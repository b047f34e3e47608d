/**
 * The replicated state machine's memory: rows on disk, and over them an overlay of rows that are not there yet.
 *
 *   apply ──get/put/delete──► cells (decoded rows: dirty, on their way to disk, or clean and cached)
 *                                │ one batch at a time, synced, with meta and row hash
 *                                ▼
 *                             Storage ──► get for what no cell holds
 *
 * Answers never wait for the disk here: the log has them. Rows are immutable; a change puts a new one. What this
 * folder leaves to others: agreement (raft/), who talks to nodes (dispatcher/), doing the work (executors/).
 *
 * Files: `rows`, `command`, `event` (the protocol with itself), `apply*` (the rules), `fires` (the ledger), `requests`,
 * `reader` (views for clients), `complete` (intents to commands), `*-actor` (who runs all this).
 */
import { crc32Of, mix32 } from '../base/hash.ts';
import type { Row, ScanRange, Storage, Write } from '../store/storage.ts';
import { decodeRow, encodeRow, keys, type MetaRow, type StateRow } from './rows.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

interface Cell {
  /** Null: deleted or never there. */
  row: StateRow | null;
  /** What it adds to the row hash as last settled; 0 for no row. */
  hash: number;
  isDirty: boolean;
  /** Whether the disk has, or is being given, a row under the key: a delete of one that it never had is not written. */
  isStored: boolean;
  /** Flushes that carry this cell and are not durable yet. */
  writing: number;
}

/** Clean cells kept for the next read. */
const CACHED_CELLS_MAX = 20_000;

export const EMPTY_META: MetaRow = {
  type: 'meta',
  appliedIndex: 0,
  appliedTerm: 0,
  loggedMs: 0,
  featureLevel: 1,
  cluster: '',
  settings: DEFAULT_SETTINGS,
  jobs: 0,
  namesIndex: 0,
  waits: 0,
  lateFinishes: 0,
  requestFirst: 0,
  requestNext: 0,
};

/** The row hash beside the meta row, not part of what is hashed. */
export const HASH_KEY = 'hash';

export class State {
  #storage: Storage;
  readonly #cells = new Map<string, Cell>();
  readonly #dirty = new Set<string>();
  /** Sum over all rows of a hash per row, modulo 2^32: equal rows, equal sum, in whatever order they came. */
  #rowHash: number;
  #scans = 0;
  meta: MetaRow;

  constructor(storage: Storage) {
    this.#storage = storage;
    this.meta = readMeta(storage);
    this.#rowHash = readRowHash(storage);
  }

  /** What is durable, for snapshots. */
  get storage(): Storage {
    return this.#storage;
  }

  /** A state from the leader takes the place of this one; what was not flushed is part of it or void. */
  replaceStorage(storage: Storage): void {
    this.#storage = storage;
    this.#cells.clear();
    this.#dirty.clear();
    this.meta = readMeta(storage);
    this.#rowHash = readRowHash(storage);
  }

  get<RowType extends StateRow>(key: string): RowType | undefined {
    return (this.#cell(key).row ?? undefined) as RowType | undefined;
  }

  put(key: string, row: StateRow): void {
    this.#change(key, row);
  }

  /**
   * `put` for a key that cannot have a row yet, since an index or a counter makes it unique: the disk is not asked for
   * an old one.
   */
  create(key: string, row: StateRow): void {
    if (!this.#cells.has(key)) {
      this.#cells.set(key, { row: null, hash: 0, isDirty: false, isStored: false, writing: 0 });
    }
    this.#change(key, row);
  }

  delete(key: string): void {
    this.#change(key, null);
  }

  /** Rows that have changed since the last flush began. */
  get unflushed(): number {
    return this.#dirty.size;
  }

  /** Sum of all rows' hashes; servers that applied the same index have the same one. Settles what changed. */
  rowHash(): number {
    for (const key of this.#dirty) {
      const cell = this.#cells.get(key) as Cell;
      this.#settle(key, cell, cell.row === null ? null : encodeRow(cell.row));
    }
    return this.#rowHash;
  }

  /**
   * Writes everything that changed, with the meta row and the row hash, as one batch. One at a time: call it again
   * only after `done`.
   */
  flush(done: (error: Error | null) => void): void {
    const batch: Write[] = [];
    const carried: [string, Cell][] = [];
    for (const key of this.#dirty) {
      const cell = this.#cells.get(key) as Cell;
      const value = cell.row === null ? null : encodeRow(cell.row);
      this.#settle(key, cell, value);
      if (value !== null) batch.push({ type: 'put', key, value });
      else if (cell.isStored) batch.push({ type: 'delete', key });
      cell.isStored = value !== null;
      cell.isDirty = false;
      cell.writing += 1;
      carried.push([key, cell]);
    }
    this.#dirty.clear();
    batch.push({ type: 'put', key: keys.meta, value: encodeRow(this.meta) });
    batch.push({ type: 'put', key: HASH_KEY, value: Buffer.from(String(this.#rowHash)) });
    this.#storage.write(batch, (error) => {
      if (error === null) {
        for (const [, cell] of carried) cell.writing -= 1;
        this.#evict();
      }
      done(error);
    });
  }

  /**
   * Rows of a range as of the call of `done`, disk and overlay merged; `nextFrom` is where the next page starts. For
   * small ranges and leader changes.
   */
  scan(
    range: ScanRange,
    done: (error: Error | null, rows: readonly { key: string; row: StateRow }[], nextFrom: string | null) => void,
  ): void {
    this.#scans += 1;
    this.#storage.scan(range, (error, rows) => {
      this.#scans -= 1;
      if (error !== null) return done(error, [], null);
      const last = rows.at(-1);
      done(null, this.#merge(range, rows), last === undefined || rows.length < range.limit ? null : `${last.key}\0`);
    });
  }

  #merge(range: ScanRange, rows: readonly Row[]): { key: string; row: StateRow }[] {
    const merged = new Map<string, StateRow>();
    // Past the last row of a full page the disk has rows that were not read: the overlay must not jump ahead of them.
    const last = rows.at(-1);
    const to = rows.length >= range.limit && last !== undefined ? `${last.key}\0` : range.to;
    for (const { key, value } of rows) {
      const cell = this.#cells.get(key);
      if (cell === undefined) merged.set(key, decodeRow(value));
    }
    for (const [key, cell] of this.#cells) {
      if (key >= range.from && key < to && cell.row !== null) merged.set(key, cell.row);
    }
    return [...merged].sort(([left], [right]) => (left < right ? -1 : 1)).map(([key, row]) => ({ key, row }));
  }

  #cell(key: string): Cell {
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const bytes = this.#storage.get(key);
    const cell: Cell = {
      row: bytes === undefined ? null : decodeRow(bytes),
      hash: bytes === undefined ? 0 : hashRow(key, bytes),
      isDirty: false,
      isStored: bytes !== undefined,
      writing: 0,
    };
    this.#cells.set(key, cell);
    return cell;
  }

  #change(key: string, row: StateRow | null): void {
    const cell = this.#cell(key);
    cell.row = row;
    cell.isDirty = true;
    this.#dirty.add(key);
  }

  #settle(key: string, cell: Cell, value: Uint8Array | null): void {
    const hash = value === null ? 0 : hashRow(key, value);
    this.#rowHash = (this.#rowHash + hash - cell.hash) >>> 0;
    cell.hash = hash;
  }

  /** Oldest first. Never during a scan: what it read from disk may be older than what a cell has written since. */
  #evict(): void {
    if (this.#scans > 0) return;
    let excess = this.#cells.size - CACHED_CELLS_MAX;
    for (const [key, cell] of this.#cells) {
      if (excess <= 0) return;
      if (cell.isDirty || cell.writing > 0) continue;
      this.#cells.delete(key);
      excess -= 1;
    }
  }
}

export function readMeta(storage: Pick<Storage, 'get'>): MetaRow {
  const bytes = storage.get(keys.meta);
  return bytes === undefined ? EMPTY_META : decodeRow<MetaRow>(bytes);
}

export function readRowHash(storage: Pick<Storage, 'get'>): number {
  const bytes = storage.get(HASH_KEY);
  return bytes === undefined ? 0 : Number(Buffer.from(bytes).toString('utf8'));
}

/** What one row adds to the row hash. */
export function hashRow(key: string, value: Uint8Array): number {
  return mix32(crc32Of(value, crc32Of(Buffer.from(key, 'latin1'))));
}
