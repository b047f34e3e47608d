import { strict as assert } from 'node:assert';
import { CodedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Clock } from '../base/time.ts';
import { assertDiskName, type Disk } from './disk.ts';
import type { Journal } from './journal.ts';
import { type CrashMode, MemoryDatabase, type MemoryStorage } from './memory-storage.ts';
import type { Storage } from './storage.ts';

export interface MemoryDriveOptions {
  readonly label: string;
  readonly clock: Clock;
  /** As in `MemoryDatabaseOptions`, for every storage on the drive. */
  readonly writeDelayMs?: () => number;
  readonly readDelayMs?: () => number;
}

/**
 * The twin of a directory: what is on the medium. It outlives the nodes that use it one after another; `open` gives a
 * node its `Disk`, `crash` takes it away. Files are replaced at once: a crash finds the old content or the new.
 */
export class MemoryDrive {
  readonly #options: MemoryDriveOptions;
  readonly #databases = new Map<string, MemoryDatabase>();
  readonly #files = new Map<string, Uint8Array>();
  #user: MemoryDisk | undefined;
  #failure: string | undefined;
  #freeBytes = Number.POSITIVE_INFINITY;

  constructor(options: MemoryDriveOptions) {
    this.#options = options;
  }

  /** Takes the lock. Refused while another disk holds it. */
  open(): MemoryDisk {
    if (this.#user !== undefined) {
      throw new CodedError('directory-unusable', `${this.#options.label} is in use by another node`);
    }
    const disk = new MemoryDisk({
      label: this.#options.label,
      database: (name) => this.database(name),
      databases: this.#databases,
      files: this.#files,
      failure: () => this.#failure,
      freeBytes: () => this.#freeBytes,
      closed: () => {
        if (this.#user === disk) this.#user = undefined;
      },
    });
    this.#user = disk;
    return disk;
  }

  /** The node that used it is gone, its lock too; each storage keeps or loses what was not done (`CrashMode`). */
  crash(random: Random, mode: CrashMode): void {
    this.#user?.die();
    this.#user = undefined;
    this.#failure = undefined;
    for (const database of this.#databases.values()) database.crash(random, mode);
  }

  /** From now on every write fails, until `crash`. */
  fail(reason: string): void {
    this.#failure = reason;
    for (const database of this.#databases.values()) database.fail(reason);
  }

  freeze(): void {
    for (const database of this.#databases.values()) database.freeze();
  }

  thaw(): void {
    for (const database of this.#databases.values()) database.thaw();
  }

  setFreeBytes(bytes: number): void {
    this.#freeBytes = bytes;
  }

  /** The database under a name, made if it is missing: for faults in a single storage, and to look inside. */
  database(name: string): MemoryDatabase {
    const existing = this.#databases.get(name);
    if (existing !== undefined) return existing;
    const made = new MemoryDatabase({ ...this.#options, label: `${this.#options.label}/${name}` });
    if (this.#failure !== undefined) made.fail(this.#failure);
    this.#databases.set(name, made);
    return made;
  }
}

/** A node's view of a `MemoryDrive`. After a crash its promises stay pending for ever, like those of a dead process. */
export class MemoryDisk implements Disk {
  readonly label: string;
  readonly #drive: DriveAccess;
  readonly #opened = new Set<MemoryStorage>();
  readonly #journals = new Map<string, MemoryStorage>();
  #state: 'open' | 'closed' | 'dead' = 'open';

  constructor(drive: DriveAccess) {
    this.label = drive.label;
    this.#drive = drive;
  }

  openStorage(name: string): Promise<Storage> {
    assertDiskName(name);
    return this.#answer(() => {
      const storage = this.#drive.database(name).open();
      this.#opened.add(storage);
      return storage;
    });
  }

  openJournal(name: string): Promise<Journal> {
    assertDiskName(name);
    return this.#answer(() => {
      if (this.#journals.get(name)?.isOpen === true) {
        throw new CodedError('directory-unusable', `${this.label}/${name} is open already`);
      }
      const storage = this.#drive.database(name).open();
      this.#opened.add(storage);
      this.#journals.set(name, storage);
      return storage;
    });
  }

  storageNames(): Promise<readonly string[]> {
    return this.#answer(() => [...this.#drive.databases.keys()].sort());
  }

  removeStorage(name: string): Promise<void> {
    assertDiskName(name);
    return this.#answer(() => {
      assert(this.#drive.databases.get(name)?.isOpen !== true, `storage ${name} is removed while it is open`);
      this.#drive.databases.delete(name);
    });
  }

  readFile(name: string): Promise<Uint8Array | undefined> {
    assertDiskName(name);
    return this.#answer(() => this.#drive.files.get(name)?.slice());
  }

  replaceFile(name: string, content: Uint8Array): Promise<void> {
    assertDiskName(name);
    return this.#answer(() => {
      const reason = this.#drive.failure();
      if (reason !== undefined) throw new CodedError('storage-failed', `cannot write ${this.label}/${name}: ${reason}`);
      this.#drive.files.set(name, content.slice());
    });
  }

  freeBytes(): Promise<number> {
    return this.#answer(() => this.#drive.freeBytes());
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#answer(() => {
      this.#state = 'closed';
    });
    for (const storage of this.#opened) await storage.close();
    this.#drive.closed();
  }

  /** Its node has crashed. */
  die(): void {
    this.#state = 'dead';
  }

  #answer<Value>(value: () => Value): Promise<Value> {
    if (this.#state === 'dead') return new Promise(() => {});
    if (this.#state === 'closed') return Promise.reject(new CodedError('stopped', `${this.label} is closed`));
    return new Promise((resolve) => resolve(value()));
  }
}

/** What a disk may do with the drive that it belongs to. */
interface DriveAccess {
  readonly label: string;
  readonly databases: Map<string, MemoryDatabase>;
  readonly files: Map<string, Uint8Array>;
  database(name: string): MemoryDatabase;
  failure(): string | undefined;
  freeBytes(): number;
  closed(): void;
}
