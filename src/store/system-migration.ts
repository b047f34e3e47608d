import { access, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Journal } from './journal.ts';
import { openLevelStorage } from './level-storage.ts';
import type { Row, Storage, Write } from './storage.ts';
import { openSystemJournal } from './system-journal.ts';
import { syncDirectory } from './system-sync.ts';

/**
 * Opens the journal at `path`. Where an earlier build kept the same rows in a LevelDB at `levelPath`, they are copied
 * once. The rename decides: before it the LevelDB holds and the copy is made anew, after it the journal does.
 */
export async function openMigratedJournal(levelPath: string, path: string): Promise<Journal> {
  if (await exists(join(levelPath, 'CURRENT'))) {
    if (!(await exists(path))) {
      const draft = `${path}.new`;
      await rm(draft, { recursive: true, force: true });
      await copyRows(levelPath, draft);
      await rename(draft, path);
      await syncDirectory(dirname(path));
    }
    await rm(levelPath, { recursive: true });
    await syncDirectory(dirname(path));
  }
  return openSystemJournal(path);
}

async function copyRows(levelPath: string, draft: string): Promise<void> {
  const source = await openLevelStorage(levelPath);
  const target = await openSystemJournal(draft);
  try {
    for (let from = ' '; ; ) {
      const rows = await scan(source, from);
      if (rows.length > 0) await write(target, rows);
      const last = rows[rows.length - 1];
      if (last === undefined || rows.length < ROWS_PER_BATCH) break;
      from = `${last.key} `;
    }
  } finally {
    await target.close();
    await source.close();
  }
}

function scan(storage: Storage, from: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    storage.scan({ from, to: '\x7f', limit: ROWS_PER_BATCH }, (error, rows) => {
      if (error === null) resolve(rows);
      else reject(error);
    });
  });
}

function write(storage: Storage, rows: readonly Row[]): Promise<void> {
  const batch = rows.map(({ key, value }): Write => ({ type: 'put', key, value }));
  return new Promise((resolve, reject) => {
    storage.write(batch, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** Of up to 512 KiB each. */
const ROWS_PER_BATCH = 16;
