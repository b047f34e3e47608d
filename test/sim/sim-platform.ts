/** Parts of a simulated node's platform that only pass on: its log goes to the trace, its disk tells of its promises. */
import type { Log, LogFields } from '../../src/base/telemetry.ts';
import type { Disk } from '../../src/store/disk.ts';
import type { Storage } from '../../src/store/storage.ts';

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

/** A disk that says when somebody begins to wait for one of its promises. */
export class PromiseNotingDisk implements Disk {
  readonly label: string;
  readonly #disk: Disk;
  readonly #onPromise: () => void;

  constructor(disk: Disk, onPromise: () => void) {
    this.label = disk.label;
    this.#disk = disk;
    this.#onPromise = onPromise;
  }

  openStorage(name: string): Promise<Storage> {
    this.#onPromise();
    return this.#disk.openStorage(name);
  }

  storageNames(): Promise<readonly string[]> {
    this.#onPromise();
    return this.#disk.storageNames();
  }

  removeStorage(name: string): Promise<void> {
    this.#onPromise();
    return this.#disk.removeStorage(name);
  }

  readFile(name: string): Promise<Uint8Array | undefined> {
    this.#onPromise();
    return this.#disk.readFile(name);
  }

  replaceFile(name: string, content: Uint8Array): Promise<void> {
    this.#onPromise();
    return this.#disk.replaceFile(name, content);
  }

  freeBytes(): Promise<number> {
    this.#onPromise();
    return this.#disk.freeBytes();
  }

  close(): Promise<void> {
    this.#onPromise();
    return this.#disk.close();
  }
}
