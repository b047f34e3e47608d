import { access, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CodedError } from '../base/errors.ts';
import { assertDiskName, type Disk } from './disk.ts';
import type { Journal } from './journal.ts';
import { openLevelStorage } from './level-storage.ts';
import type { Storage } from './storage.ts';
import { type SystemLock, takeLock } from './system-lock.ts';
import { openMigratedJournal } from './system-migration.ts';
import { syncDirectory } from './system-sync.ts';

export interface SystemDiskOptions {
  /** `take` (default), or `shared` in a second thread of a process that has taken the lock already. */
  readonly lock?: 'take' | 'shared';
}

/** Opens a data directory, making it if it is missing, and takes its lock. Throws `directory-unusable`. */
export async function openSystemDisk(directory: string, { lock = 'take' }: SystemDiskOptions = {}): Promise<Disk> {
  const path = resolve(directory);
  try {
    const firstMade = await makeDirectory(path);
    if (firstMade !== undefined) await syncDirectory(dirname(firstMade));
    return new SystemDisk(path, lock === 'take' ? await takeLock(join(path, 'lock'), path) : undefined);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError('directory-unusable', `cannot use the data directory ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Makes a directory and the missing ones above it; gives the topmost that it made. Not `mkdir` with `recursive`: that
 * one tries for ever where a file system says ENOENT to every new name, as /proc does.
 */
async function makeDirectory(path: string): Promise<string | undefined> {
  try {
    await mkdir(path, { mode: 0o700 });
    return path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const above = await makeDirectory(dirname(path));
  await mkdir(path, { mode: 0o700 });
  return above ?? path;
}

class SystemDisk implements Disk {
  readonly label: string;
  readonly #lock: SystemLock | undefined;
  /** What `close` closes; closing a storage twice does nothing. */
  readonly #opened: Storage[] = [];
  /** File replacements follow one another, so two of one name end in the order of their calls. */
  #replacing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(path: string, lock: SystemLock | undefined) {
    this.label = path;
    this.#lock = lock;
  }

  async openStorage(name: string): Promise<Storage> {
    const path = this.#path(name);
    const storage = await openLevelStorage(path);
    this.#opened.push(storage);
    // Its directory may be new: without this its name could be lost with power, and all its synced batches with it.
    await syncDirectory(this.label);
    return storage;
  }

  async openJournal(name: string): Promise<Journal> {
    const path = this.#path(name);
    const journal = await openMigratedJournal(path, `${path}${JOURNAL_SUFFIX}`);
    this.#opened.push(journal);
    await syncDirectory(this.label);
    return journal;
  }

  async storageNames(): Promise<readonly string[]> {
    const entries = await readdir(this.#path(), { withFileTypes: true });
    const names = new Set<string>();
    for (const entry of entries) {
      if (!entry.isDirectory()) continue;
      if (entry.name.endsWith(JOURNAL_SUFFIX)) names.add(entry.name.slice(0, -JOURNAL_SUFFIX.length));
      else if (await exists(join(this.label, entry.name, 'CURRENT'))) names.add(entry.name);
    }
    return [...names].sort();
  }

  async removeStorage(name: string): Promise<void> {
    const path = this.#path(name);
    try {
      await rm(path, { recursive: true, force: true });
      await rm(`${path}${JOURNAL_SUFFIX}`, { recursive: true, force: true });
      await syncDirectory(this.label);
    } catch (error) {
      throw new CodedError('storage-failed', `cannot remove ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async readFile(name: string): Promise<Uint8Array | undefined> {
    const path = this.#path(name);
    try {
      return await readFile(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw new CodedError('directory-unusable', `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async replaceFile(name: string, content: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const replaced = this.#replacing.then(() => this.#replace(path, content));
    // The caller sees the failure; the next replacement only has to wait for its end.
    this.#replacing = replaced.catch(() => {});
    await replaced;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#path());
    return bavail * bsize;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#replacing;
    for (const storage of this.#opened) await storage.close();
    await this.#lock?.release();
  }

  async #replace(path: string, content: Uint8Array): Promise<void> {
    const draft = `${path}.new`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      await syncDirectory(this.label);
    } catch (error) {
      throw new CodedError('storage-failed', `cannot write ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  #path(name?: string): string {
    if (this.#isClosed) throw new CodedError('stopped', `${this.label} is closed`);
    if (name === undefined) return this.label;
    assertDiskName(name);
    return join(this.label, name);
  }
}

const JOURNAL_SUFFIX = '.journal';

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
