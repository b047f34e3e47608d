import { open } from 'node:fs/promises';
import { CodedError } from '../base/errors.ts';

/** A new or removed name is durable only once its directory is. Throws `storage-failed`. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CodedError('storage-failed', `the directory ${path} could not be synced: ${reason}`, { cause });
  }
}
