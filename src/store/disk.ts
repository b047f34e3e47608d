import { strict as assert } from 'node:assert';
import type { Journal } from './journal.ts';
import type { Storage } from './storage.ts';

/**
 * A node's data directory as a port: storages by name and small files that are replaced atomically.
 * Twins: `system-disk.ts` (a directory with a lock) and `memory-disk.ts` (crashes, power loss).
 */
export interface Disk {
  /** Where it is, for messages to people. */
  readonly label: string;
  /** Opens a storage, making it if it is missing. Two opens of one name share one database (threads included). */
  openStorage(name: string): Promise<Storage>;
  /**
   * Opens a journal, making it if it is missing; one at a time. A storage that an earlier build kept under the name is
   * taken over with all its rows. Listed and removed as a storage.
   */
  openJournal(name: string): Promise<Journal>;
  storageNames(): Promise<readonly string[]>;
  /** Removes a closed storage with all its rows. Missing is fine. */
  removeStorage(name: string): Promise<void>;
  /** The last durable content, or undefined. */
  readFile(name: string): Promise<Uint8Array | undefined>;
  /** Temporary file, fsync, rename, fsync of the directory: the old content or the new, never a mix. */
  replaceFile(name: string, content: Uint8Array): Promise<void>;
  /** Bytes free, or Infinity where unknown. */
  freeBytes(): Promise<number>;
  /** Releases the lock. */
  close(): Promise<void>;
}

/** Names of storages and files are our own, so a bad one is our bug. */
export function assertDiskName(name: string): void {
  assert(/^[a-z0-9][a-z0-9.-]{0,99}$/.test(name) && name !== 'lock', `not a name for a storage or file: ${name}`);
}
