/**
 * Is the state on disk what was written? After a stop that was not clean all rows are summed up again and compared
 * with the row hash that every batch carries: LevelDB can lose rows from the middle without an error.
 */
import { CodedError } from '../base/errors.ts';
import type { Disk } from '../store/disk.ts';
import type { Storage } from '../store/storage.ts';
import { keys } from './rows.ts';
import { HASH_KEY, hashRow, readMeta, readRowHash } from './state.ts';

/** Names the state and the index at which it was closed; emptied at each start. */
const CLEAN_STOP_FILE = 'clean-stop';
const ROWS_PER_PAGE = 2_000;

/** Throws `storage-failed` when rows are missing or changed. Call it once, before the state is used. */
export async function verifyState(disk: Disk, name: string, storage: Storage): Promise<void> {
  const noted = await disk.readFile(CLEAN_STOP_FILE);
  const isClean = noted !== undefined && Buffer.from(noted).toString('utf8') === noteOf(name, storage);
  // Whatever happens from here on, the next start must look for itself.
  if (noted !== undefined && noted.length > 0) await disk.replaceFile(CLEAN_STOP_FILE, new Uint8Array());
  if (isClean) return;
  const found = await sumRows(storage);
  if (found === readRowHash(storage)) return;
  throw new CodedError(
    'storage-failed',
    `the state in ${disk.label}/${name} is damaged: its rows do not add up to the hash of index ` +
      `${readMeta(storage).appliedIndex}; restore the directory from a backup`,
  );
}

/** After the last flush, so that the next start need not read everything. */
export function noteCleanStop(disk: Disk, name: string, storage: Storage): Promise<void> {
  return disk.replaceFile(CLEAN_STOP_FILE, Buffer.from(noteOf(name, storage)));
}

function noteOf(name: string, storage: Storage): string {
  return `${name} ${readMeta(storage).appliedIndex} ${readRowHash(storage)}`;
}

async function sumRows(storage: Storage): Promise<number> {
  let sum = 0;
  for (let from = ''; ; ) {
    const rows = await page(storage, from);
    for (const { key, value } of rows) {
      if (key !== keys.meta && key !== HASH_KEY) sum = (sum + hashRow(key, value)) >>> 0;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_PAGE) return sum;
    from = `${last.key}\0`;
  }
}

function page(
  storage: Storage,
  from: string,
): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]> {
  return new Promise((resolve, reject) => {
    storage.scan({ from, to: '\x7f', limit: ROWS_PER_PAGE }, (error, rows) => {
      if (error === null) resolve(rows);
      else reject(error);
    });
  });
}
