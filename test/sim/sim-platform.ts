/** Parts of a simulated node's platform that only pass on: its log goes to the trace, its disk obeys the world. */
import { CodedError } from '../../src/base/errors.ts';
import type { Log, LogFields } from '../../src/base/telemetry.ts';
import type { Disk } from '../../src/store/disk.ts';
import type { Journal, JournalDamage } from '../../src/store/journal.ts';
import type { Row, ScanRange, Storage, StorageSnapshot, Write } from '../../src/store/storage.ts';

export class SimLog implements Log {
  readonly #fields: LogFields;
  readonly #onLine: (level: string, message: string, fields: LogFields) => void;

  constructor(fields: LogFields, onLine: (level: string, message: string, fields: LogFields) => void) {
    this.#fields = fields;
    this.#onLine = onLine;
  }

  debug(): void {}

  info(message: string, fields: LogFields = {}): void {
    this.#onLine('info', message, { ...this.#fields, ...fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#onLine('warn', message, { ...this.#fields, ...fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.#onLine('error', message, { ...this.#fields, ...fields });
  }

  with(fields: LogFields): Log {
    return new SimLog({ ...this.#fields, ...fields }, this.#onLine);
  }
}

/** Of one node; asked at each write. */
export interface DiskWatch {
  /** Somebody begins to wait for a promise of the disk: what follows runs in microtasks. */
  readonly onPromise: () => void;
  /** What becomes of the next write: as it should be, or said to have failed though it is there, or not there. */
  readonly verdict: () => 'fine' | 'failed-kept' | 'failed-lost';
  readonly later: (run: () => void) => void;
}

/** The node's disk as the world wants it: it tells of its promises, and a single write of it may fail. */
export class SimDisk implements Disk {
  readonly label: string;
  readonly #disk: Disk;
  readonly #watch: DiskWatch;

  constructor(disk: Disk, watch: DiskWatch) {
    this.label = disk.label;
    this.#disk = disk;
    this.#watch = watch;
  }

  async openStorage(name: string): Promise<Storage> {
    this.#watch.onPromise();
    const storage = await this.#disk.openStorage(name);
    return new SimStorage(name, storage, this.#watch);
  }

  async openJournal(name: string): Promise<Journal> {
    this.#watch.onPromise();
    const journal = await this.#disk.openJournal(name);
    return new SimJournal(name, journal, this.#watch);
  }

  storageNames(): Promise<readonly string[]> {
    this.#watch.onPromise();
    return this.#disk.storageNames();
  }

  removeStorage(name: string): Promise<void> {
    this.#watch.onPromise();
    return this.#disk.removeStorage(name);
  }

  readFile(name: string): Promise<Uint8Array | undefined> {
    this.#watch.onPromise();
    return this.#disk.readFile(name);
  }

  replaceFile(name: string, content: Uint8Array): Promise<void> {
    this.#watch.onPromise();
    return this.#disk.replaceFile(name, content);
  }

  freeBytes(): Promise<number> {
    this.#watch.onPromise();
    return this.#disk.freeBytes();
  }

  close(): Promise<void> {
    this.#watch.onPromise();
    return this.#disk.close();
  }
}

class SimStorage implements Storage {
  readonly #name: string;
  readonly #storage: Storage;
  readonly #watch: DiskWatch;

  constructor(name: string, storage: Storage, watch: DiskWatch) {
    this.#name = name;
    this.#storage = storage;
    this.#watch = watch;
  }

  get(key: string): Uint8Array | undefined {
    return this.#storage.get(key);
  }

  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void {
    this.#storage.scan(range, done);
  }

  /** Worse than the port allows: what is written after the error would succeed. Nobody may try. */
  write(batch: readonly Write[], done: (error: Error | null) => void): void {
    const verdict = this.#watch.verdict();
    if (verdict === 'fine') return this.#storage.write(batch, done);
    const failure = new CodedError('storage-failed', `storage ${this.#name}: the sync of one write failed`);
    if (verdict === 'failed-kept') this.#storage.write(batch, (error) => done(error ?? failure));
    else this.#watch.later(() => done(failure));
  }

  snapshot(): StorageSnapshot {
    return this.#storage.snapshot();
  }

  close(): Promise<void> {
    this.#watch.onPromise();
    return this.#storage.close();
  }
}

class SimJournal extends SimStorage implements Journal {
  readonly damage: readonly JournalDamage[];

  constructor(name: string, journal: Journal, watch: DiskWatch) {
    super(name, journal, watch);
    this.damage = journal.damage;
  }
}
