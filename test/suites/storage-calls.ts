import { CodedError } from '../../src/base/errors.ts';
import type { Row, ScanRange, Storage, StorageSnapshot, Write } from '../../src/store/storage.ts';

/** One database that can be opened several times, and again after it was closed. */
export const ALL: ScanRange = { from: ' ', to: '\x7f', limit: 1_000 };

export function put(name: string, value: string): Write {
  return { type: 'put', key: name, value: new TextEncoder().encode(value) };
}

export function write(storage: Storage, ...batch: readonly Write[]): Promise<void> {
  return new Promise((resolve, reject) => {
    storage.write(batch, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Rows as `key=value`. */
export async function scan(source: Pick<StorageSnapshot, 'scan'>, range: ScanRange): Promise<string[]> {
  return (await scanRows(source, range)).map((row) => `${row.key}=${text(row.value)}`);
}

export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof CodedError && error.code === code;
}

export async function scanKeys(source: Pick<StorageSnapshot, 'scan'>, range: ScanRange): Promise<string[]> {
  return (await scanRows(source, range)).map((row) => row.key);
}

export function scanRows(source: Pick<StorageSnapshot, 'scan'>, range: ScanRange): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    source.scan(range, (error, rows) => (error === null ? resolve(rows) : reject(error)));
  });
}

export function key(number: number): string {
  return `key/${String(number).padStart(8, '0')}`;
}

export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

export function byKey(left: readonly [string, string], right: readonly [string, string]): number {
  return left[0] < right[0] ? -1 : 1;
}
