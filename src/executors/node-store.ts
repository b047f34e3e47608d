/**
 * What a node keeps about its own work, so that a restart loses nothing: a mark for each attempt that was started, the
 * finishes that no committed entry has acknowledged, and the full tails that the servers do not hold yet.
 *
 *   started/<execution>   { version, fence, startedAtMs, job, run }     written before the attempt starts
 *   outbox/<execution>    { version, finish }                           written when it ends, with the mark's deletion
 *   tail/<execution>      bytes                                         only where the finish does not hold all of it
 */
import { CodedError } from '../base/errors.ts';
import type { DeleteWrite, PutWrite, Row, Storage } from '../store/storage.ts';
import { endOfPrefix } from '../store/storage.ts';
import type { Finish } from './protocol.ts';

/** An attempt that this node started, or was about to. */
export interface StartedMark {
  readonly execution: string;
  readonly fence: number;
  readonly startedAtMs: number;
  readonly job: string;
  readonly run: string;
}

/** What an earlier boot left behind. */
export interface NodeStoreState {
  /** Attempts without a result: their process is gone, so they are lost. */
  readonly marks: readonly StartedMark[];
  readonly finishes: readonly Finish[];
}

const STARTED = 'started/';
const OUTBOX = 'outbox/';
const TAIL = 'tail/';
const ROW_VERSION = 1;
const SCAN_ROWS = 1_000;

/** Reads everything back, before the executor actor is made. */
export async function openNodeStore(storage: Storage): Promise<NodeStoreState> {
  const marks = (await scanAll(storage, STARTED)).map(
    (row) => parseRow<Omit<StartedMark, 'execution'>>(row, STARTED) satisfies StartedMark,
  );
  const finishes = (await scanAll(storage, OUTBOX)).map((row) => parseRow<{ finish: Finish }>(row, OUTBOX).finish);
  const finished = new Set(finishes.map((finish) => finish.execution));
  return { marks: marks.filter((mark) => !finished.has(mark.execution)), finishes };
}

export function putMark(mark: StartedMark): PutWrite {
  const { execution, ...rest } = mark;
  return { type: 'put', key: STARTED + execution, value: encode({ version: ROW_VERSION, ...rest }) };
}

export function deleteMark(execution: string): DeleteWrite {
  return { type: 'delete', key: STARTED + execution };
}

export function putFinish(finish: Finish): PutWrite {
  return { type: 'put', key: OUTBOX + finish.execution, value: encode({ version: ROW_VERSION, finish }) };
}

export function deleteFinish(execution: string): DeleteWrite {
  return { type: 'delete', key: OUTBOX + execution };
}

export function putTail(execution: string, bytes: Uint8Array): PutWrite {
  return { type: 'put', key: TAIL + execution, value: bytes };
}

export function deleteTail(execution: string): DeleteWrite {
  return { type: 'delete', key: TAIL + execution };
}

export function readTail(storage: Storage, execution: string): Uint8Array | undefined {
  return storage.get(TAIL + execution);
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function parseRow<Content>(row: Row, prefix: string): Content & { readonly execution: string } {
  const content = JSON.parse(Buffer.from(row.value).toString('utf8')) as Content & { readonly version: number };
  if (content.version !== ROW_VERSION) {
    throw new CodedError(
      'newer-directory',
      `node store: row ${row.key} has version ${content.version}, this build knows ${ROW_VERSION}; start a newer one`,
    );
  }
  return { ...content, execution: row.key.slice(prefix.length) };
}

async function scanAll(storage: Storage, prefix: string): Promise<readonly Row[]> {
  const all: Row[] = [];
  let from = prefix;
  for (;;) {
    const rows = await scanPage(storage, from, endOfPrefix(prefix));
    all.push(...rows);
    const last = rows.at(-1);
    if (last === undefined || rows.length < SCAN_ROWS) return all;
    // No key lies between one and the same with a space behind it.
    from = `${last.key} `;
  }
}

function scanPage(storage: Storage, from: string, to: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    storage.scan({ from, to, limit: SCAN_ROWS }, (error, rows) => (error === null ? resolve(rows) : reject(error)));
  });
}
