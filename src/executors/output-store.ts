/**
 * Full output tails on a server, outside log and state. Rows:
 *
 *   meta/<execution>                        { version, uid, storedAtMs, totalBytes, crc, chunks }
 *   bytes/<execution>/<n>                   at most 256 KiB each
 *   order/<uid>/<stored at>/<execution>     nothing; oldest first, for the byte budget of the job
 *   job/<uid>                               { version, bytes }
 */
import { crc32Of } from '../base/hash.ts';
import type { Storage, Write } from '../store/storage.ts';

/** All tails of one job; the oldest go first. */
export const OUTPUT_JOB_BYTES_MAX = 10_000_000;
const CHUNK_BYTES = 256 * 1024;
const ROW_VERSION = 1;

interface Meta {
  readonly version: number;
  readonly uid: string;
  readonly storedAtMs: number;
  readonly totalBytes: number;
  readonly crc: number;
  readonly chunks: number;
}

/** The stored tail, or undefined if this server has none (any more). A damaged one counts as none. */
export function readOutput(storage: Storage, execution: string): Uint8Array | undefined {
  const meta = readMeta(storage, execution);
  if (meta === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for (let index = 0; index < meta.chunks; index += 1) {
    const chunk = storage.get(bytesKey(execution, index));
    if (chunk === undefined) return undefined;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  return bytes.length === meta.totalBytes && crc32Of(bytes) === meta.crc ? bytes : undefined;
}

export function hasOutput(storage: Storage, execution: string): boolean {
  return readMeta(storage, execution) !== undefined;
}

/** Which job an execution belongs to: `<uid>-<cause and key>-<target ordinal>-<attempt>`. */
export function uidOfExecution(execution: string): string {
  return execution.split('-').slice(0, -3).join('-');
}

export function jobOutputBytes(storage: Storage, uid: string): number {
  const value = storage.get(jobKey(uid));
  return value === undefined ? 0 : (decode(value) as { bytes: number }).bytes;
}

export function putJobOutputBytes(uid: string, bytes: number): Write {
  if (bytes <= 0) return { type: 'delete', key: jobKey(uid) };
  return { type: 'put', key: jobKey(uid), value: encode({ version: ROW_VERSION, bytes }) };
}

export function putOutput(execution: string, bytes: Uint8Array, storedAtMs: number): readonly Write[] {
  const uid = uidOfExecution(execution);
  const chunks = Math.ceil(bytes.length / CHUNK_BYTES);
  const meta: Meta = { version: ROW_VERSION, uid, storedAtMs, totalBytes: bytes.length, crc: crc32Of(bytes), chunks };
  const writes: Write[] = [
    { type: 'put', key: metaKey(execution), value: encode(meta) },
    { type: 'put', key: orderKey(uid, storedAtMs, execution), value: new Uint8Array(0) },
  ];
  for (let index = 0; index < chunks; index += 1) {
    const value = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    writes.push({ type: 'put', key: bytesKey(execution, index), value });
  }
  return writes;
}

/** Prefix of a job's rows in order of age. */
export function orderPrefix(uid: string): string {
  return `order/${uid}/`;
}

/** One row for each job that has tails here. */
export const JOB_PREFIX = 'job/';

export function uidOfJobKey(key: string): string {
  return key.slice(JOB_PREFIX.length);
}

/** Removes the tail that a row of the order names, and says how many bytes that frees. */
export function deleteOutput(storage: Storage, orderRowKey: string): { writes: readonly Write[]; freedBytes: number } {
  const execution = orderRowKey.slice(orderRowKey.lastIndexOf('/') + 1);
  const writes: Write[] = [{ type: 'delete', key: orderRowKey }];
  const meta = readMeta(storage, execution);
  if (meta === undefined) return { writes, freedBytes: 0 };
  writes.push({ type: 'delete', key: metaKey(execution) });
  for (let index = 0; index < meta.chunks; index += 1) {
    writes.push({ type: 'delete', key: bytesKey(execution, index) });
  }
  return { writes, freedBytes: meta.totalBytes };
}

function readMeta(storage: Storage, execution: string): Meta | undefined {
  const value = storage.get(metaKey(execution));
  return value === undefined ? undefined : (decode(value) as Meta);
}

function metaKey(execution: string): string {
  return `meta/${execution}`;
}

function bytesKey(execution: string, index: number): string {
  return `bytes/${execution}/${String(index).padStart(6, '0')}`;
}

function orderKey(uid: string, storedAtMs: number, execution: string): string {
  return `${orderPrefix(uid)}${String(storedAtMs).padStart(15, '0')}/${execution}`;
}

function jobKey(uid: string): string {
  return `${JOB_PREFIX}${uid}`;
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function decode(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString('utf8'));
}
