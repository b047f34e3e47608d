/**
 * The durable state as a stream of rows, and back. A received state goes into a storage of its own; only when its row
 * hash is right does the pointer file name it, and from then on it is the state.
 */

import type { SnapshotMeta, SnapshotPort, SnapshotReader, SnapshotWriter } from '../raft/raft-protocol.ts';
import type { Disk } from '../store/disk.ts';
import type { PutWrite, Row, ScanRange, Storage, StorageSnapshot } from '../store/storage.ts';
import { decodeRow, keys, type MetaRow } from './rows.ts';
import { HASH_KEY, hashRow, readMeta, readRowHash, type State } from './state.ts';

const POINTER_FILE = 'state-name';
const FIRST_NAME = 'state';
const CHUNK_BYTES = 200 * 1024;
const ROWS_PER_PAGE = 500;
const ALL_ROWS = { from: '', to: '\x7f' };

/** The storage that holds the state now, by the pointer file; what an unfinished install left is removed. */
export async function openStateStorage(disk: Disk): Promise<{ readonly name: string; readonly storage: Storage }> {
  const name = await currentName(disk);
  for (const other of await disk.storageNames()) {
    if (other !== name && (other === FIRST_NAME || other.startsWith(`${FIRST_NAME}-`))) await disk.removeStorage(other);
  }
  return { name, storage: await disk.openStorage(name) };
}

/** The same for a second handle, which removes nothing: another state may just be received. */
export async function openCurrentState(disk: Disk): Promise<{ readonly name: string; readonly storage: Storage }> {
  const name = await currentName(disk);
  return { name, storage: await disk.openStorage(name) };
}

async function currentName(disk: Disk): Promise<string> {
  const pointer = await disk.readFile(POINTER_FILE);
  return pointer === undefined ? FIRST_NAME : Buffer.from(pointer).toString('utf8');
}

/** What the state says of where it stands, for the log. */
export function stateMeta(storage: Storage): SnapshotMeta {
  const { appliedIndex, appliedTerm } = readMeta(storage);
  return { index: appliedIndex, term: appliedTerm };
}

export function createSnapshotPort(options: {
  readonly disk: Disk;
  readonly state: State;
  /** Of the storage that holds it. */
  readonly name: string;
  /** The state has moved to another storage: second handles must follow. */
  readonly onReplaced: (name: string) => void;
}): SnapshotPort {
  const { disk, state } = options;
  const leftovers = new Leftovers(disk);
  let { name: present } = options;
  let attempts = 0;
  const onInstalled = (name: string, closing: Promise<void>): void => {
    // Readers with a handle of their own keep theirs until they have followed, long before the next snapshot.
    leftovers.add(present, closing);
    present = name;
    options.onReplaced(name);
  };
  return {
    open(done) {
      const snapshot = state.storage.snapshot();
      snapshot.scan({ from: keys.meta, to: `${keys.meta}\0`, limit: 1 }, (error, rows) => {
        const row = rows[0];
        if (error !== null || row === undefined) {
          snapshot.close();
          return done(error ?? new Error('there is no state yet'), null);
        }
        done(null, new RowReader(snapshot, decodeRow<MetaRow>(row.value)));
      });
    },
    receive(meta, done) {
      const { appliedIndex } = state.meta;
      if (meta.index <= appliedIndex) {
        return done(
          new Error(`a state for index ${meta.index} is of no use: ${appliedIndex} is applied already`),
          null,
        );
      }
      // No two attempts share a name: the one before may still be closing.
      attempts += 1;
      const name = `${FIRST_NAME}-${meta.index}-${meta.term}-${attempts}`;
      leftovers.remove();
      disk.openStorage(name).then(
        (storage) => done(null, new RowWriter({ disk, state, name, storage, meta, leftovers, onInstalled })),
        (error: Error) => done(error, null),
      );
    },
  };
}

class RowReader implements SnapshotReader {
  readonly meta: SnapshotMeta;
  readonly #snapshot: StorageSnapshot;
  #from: string | null = ALL_ROWS.from;
  #rows: Row[] = [];

  constructor(snapshot: StorageSnapshot, meta: MetaRow) {
    this.#snapshot = snapshot;
    this.meta = { index: meta.appliedIndex, term: meta.appliedTerm };
  }

  next(done: (error: Error | null, chunk: Uint8Array | null) => void): void {
    if (this.#rows.length > 0) return done(null, this.#take());
    if (this.#from === null) return done(null, null);
    const range: ScanRange = { from: this.#from, to: ALL_ROWS.to, limit: ROWS_PER_PAGE };
    this.#snapshot.scan(range, (error, rows) => {
      if (error !== null) return done(error, null);
      const last = rows.at(-1);
      this.#from = last === undefined || rows.length < ROWS_PER_PAGE ? null : `${last.key}\0`;
      this.#rows = [...rows];
      done(null, rows.length === 0 ? null : this.#take());
    });
  }

  close(): void {
    this.#snapshot.close();
  }

  /** As many rows as fit a chunk, at least one: `u32 key length, key, u32 value length, value` each. */
  #take(): Uint8Array {
    const parts: Buffer[] = [];
    let bytes = 0;
    let count = 0;
    for (const { key, value } of this.#rows) {
      if (count > 0 && bytes + value.length + key.length > CHUNK_BYTES) break;
      const head = Buffer.alloc(8 + key.length);
      head.writeUInt32BE(key.length, 0);
      head.write(key, 4, 'latin1');
      head.writeUInt32BE(value.length, 4 + key.length);
      parts.push(head, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      bytes += head.length + value.length;
      count += 1;
    }
    this.#rows = this.#rows.slice(count);
    return Buffer.concat(parts);
  }
}

interface Receiving {
  readonly disk: Disk;
  readonly state: State;
  /** `closing`: of the storage that held the state before. */
  readonly onInstalled: (name: string, closing: Promise<void>) => void;
  readonly name: string;
  readonly storage: Storage;
  readonly meta: SnapshotMeta;
  readonly leftovers: Leftovers;
}

/** Storages that this port has left, until they can go: they are removed before the next is received, or at the next start. */
class Leftovers {
  readonly #disk: Disk;
  readonly #closed: string[] = [];

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** `name` is on disk until then, and no longer used by this thread. */
  add(name: string, closing: Promise<void>): void {
    void closing.then(() => this.#closed.push(name));
  }

  remove(): void {
    for (const name of this.#closed.splice(0)) {
      this.#disk.removeStorage(name).catch(() => {
        // It goes at the next start.
      });
    }
  }
}

class RowWriter implements SnapshotWriter {
  readonly #receiving: Receiving;
  #rowHash = 0;

  constructor(receiving: Receiving) {
    this.#receiving = receiving;
  }

  write(chunk: Uint8Array, done: (error: Error | null) => void): void {
    const batch = rowsOfChunk(chunk);
    if (batch === undefined) return done(this.#damaged());
    for (const { key, value } of batch) {
      if (key !== keys.meta && key !== HASH_KEY) this.#rowHash = (this.#rowHash + hashRow(key, value)) >>> 0;
    }
    this.#receiving.storage.write(batch, done);
  }

  #damaged(): Error {
    return new Error(`the state for index ${this.#receiving.meta.index} arrived damaged`);
  }

  finish(done: (error: Error | null) => void): void {
    const { disk, state, storage, meta, name, onInstalled } = this.#receiving;
    const found = stateMeta(storage);
    if (found.index !== meta.index || readRowHash(storage) !== this.#rowHash) {
      return done(this.#damaged());
    }
    disk.replaceFile(POINTER_FILE, Buffer.from(name)).then(
      () => {
        const old = state.storage;
        state.replaceStorage(storage);
        onInstalled(name, old.close());
        done(null);
      },
      (error: Error) => done(error),
    );
  }

  abort(): void {
    const { leftovers, name, storage } = this.#receiving;
    leftovers.add(name, storage.close());
  }
}

/** Undefined if it is not whole rows with keys that a storage takes. */
function rowsOfChunk(chunk: Uint8Array): PutWrite[] | undefined {
  const rows: PutWrite[] = [];
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  for (let offset = 0; offset < bytes.length; ) {
    const keyEnd = offset + 4 + lengthAt(bytes, offset);
    const valueEnd = keyEnd + 4 + lengthAt(bytes, keyEnd);
    if (valueEnd > bytes.length) return undefined;
    const key = bytes.toString('latin1', offset + 4, keyEnd);
    if (!STORAGE_KEY.test(key)) return undefined;
    rows.push({ type: 'put', key, value: bytes.subarray(keyEnd + 4, valueEnd) });
    offset = valueEnd;
  }
  return rows;
}

const STORAGE_KEY = /^[\x20-\x7e]+$/;

/** Too large for any chunk where there is no length to read. */
function lengthAt(bytes: Buffer, offset: number): number {
  return offset + 4 <= bytes.length ? bytes.readUInt32BE(offset) : Number.POSITIVE_INFINITY;
}
