/**
 * The log of raft on segments and, as it was before, packed into LevelDB: appends in alternating rounds, what a flipped
 * bit among 1,000 acknowledged records does, and what a disk does that was full and is free again.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chainEntry } from '../src/raft/chain.ts';
import { openLogStore } from '../src/raft/log-open.ts';
import type { LogStore } from '../src/raft/log-store.ts';
import type { LogEntry } from '../src/raft/types.ts';
import type { Journal } from '../src/store/journal.ts';
import { openLevelStorage } from '../src/store/level-storage.ts';
import { openSystemJournal } from '../src/store/system-journal.ts';
import type { Figure } from './figure.ts';
import type { BenchContext } from './harness.ts';
import { Latencies } from './latencies.ts';

const KINDS = ['LevelDB', 'segments'] as const;
type Kind = (typeof KINDS)[number];

export async function log({ scale, progress, startNode }: BenchContext): Promise<readonly Figure[]> {
  // A cluster that runs elsewhere says nothing about this machine's disk.
  if (startNode === null) return [];
  const figures: Figure[] = [];
  for (const count of [1, 64, 256]) {
    for (const round of [1, 2]) {
      for (const kind of KINDS) {
        progress.step(`log: ${count} entries a write, ${kind}, round ${round}`);
        figures.push(await measureAppends(kind, count, round, (scale.seconds * 1_000) / 2));
      }
    }
  }
  for (const kind of KINDS) {
    progress.step(`log: a flipped bit, ${kind}`);
    figures.push(await measureFlip(kind));
  }
  for (const kind of ['classic-level', ...KINDS]) {
    progress.step(`log: a disk that was full, ${kind}`);
    figures.push(await measureFullDisk(kind));
  }
  return figures;
}

export async function openKind(kind: string, path: string): Promise<Journal> {
  if (kind === 'segments') return openSystemJournal(path);
  return Object.assign(await openLevelStorage(path), { damage: [] });
}

async function measureAppends(kind: Kind, count: number, round: number, durationMs: number): Promise<Figure> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-log-'));
  const journal = await openKind(kind, join(directory, 'log'));
  const store = await open(journal);
  const latencies = new Latencies();
  const beganMs = performance.now();
  let nowMs = beganMs;
  try {
    while (nowMs - beganMs < durationMs) {
      const entries = entriesAfter(store, count);
      const startMs = performance.now();
      await append(store, entries);
      nowMs = performance.now();
      latencies.add(nowMs - startMs);
      // As a server does it: the last 8,192 entries stay.
      if (store.lastIndex - store.base.index > 2 * KEPT_ENTRIES) {
        await new Promise((resolve) => store.compact(store.lastIndex - KEPT_ENTRIES, resolve));
      }
    }
  } finally {
    await journal.close();
    await rm(directory, { recursive: true, force: true });
  }
  const { p50Ms, p99Ms, maxMs } = latencies.measures();
  return {
    question: 'log',
    label: `${count} entries of 256 B a write, ${kind}, round ${round}`,
    measures: { perSecond: (1_000 * count * latencies.count) / (nowMs - beganMs), p50Ms, p99Ms, maxMs },
    note: `p99.9 ${latencies.percentileMs(0.999).toFixed(2)} ms over ${latencies.count} writes`,
  };
}

/** One bit in the middle of the file that holds most records. */
async function measureFlip(kind: Kind): Promise<Figure> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-log-'));
  const path = join(directory, 'log');
  try {
    const journal = await openKind(kind, path);
    const store = await open(journal);
    for (let written = 0; written < RECORDS; written += 1) await append(store, entriesAfter(store, 1));
    await journal.close();
    await flipMiddle(path);
    const again = await openKind(kind, path);
    let rows = 0;
    for (let index = 1; index <= RECORDS; index += 1) {
      if (again.get(`entries/${index.toString().padStart(16, '0')}`) !== undefined) rows += 1;
    }
    const noticed =
      again.damage.length > 0
        ? `the storage says: ${again.damage[0]?.where.split('/').at(-1)}`
        : 'the storage says nothing';
    const found = await open(again);
    const said = found.woundText ?? 'the log notices nothing';
    await again.close();
    return {
      question: 'log',
      label: `a flipped bit among ${RECORDS} acknowledged records, ${kind}`,
      measures: { count: RECORDS - rows },
      note: `records lost: ${RECORDS - rows}; ${noticed}; ${said}`,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function flipMiddle(path: string): Promise<void> {
  let largest = { file: '', size: 0 };
  for (const name of await readdir(path)) {
    if (!/\.(log|segment)$/.test(name)) continue;
    const { size } = await stat(join(path, name));
    if (size > largest.size) largest = { file: join(path, name), size };
  }
  const bytes = await readFile(largest.file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] as number) ^ 1;
  await writeFile(largest.file, bytes);
}

/** In a mount namespace of its own, on a file system of 900 KB. */
async function measureFullDisk(kind: string): Promise<Figure> {
  const label = `a disk that was full and is free again, ${kind}`;
  const directory = await mkdtemp(join(tmpdir(), 'carillon-log-'));
  const script = fileURLToPath(new URL('./log-full-disk.js', import.meta.url));
  const command = 'mount -t tmpfs -o size=900k none "$2" && exec "$0" "$1" "$2" "$3"';
  const args = ['-m', '/bin/sh', '-c', command, process.execPath, script, directory, kind];
  try {
    const { stdout } = await promisify(execFile)('unshare', args);
    const { before, refused, after, lost } = JSON.parse(stdout) as Record<string, number>;
    const note = `acknowledged before: ${before}; refused once there was room: ${refused} of 60, acknowledged: ${after}; after a restart ${lost} acknowledged writes are gone`;
    return { question: 'log', label, measures: { count: lost ?? 0 }, note };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { question: 'log', label, measures: {}, note: `not measured, only root may mount: ${reason}` };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function open(journal: Journal): Promise<LogStore> {
  const ballot = {
    read: () => Promise.resolve(undefined),
    replace: (_content: Uint8Array, done: (error: Error | null) => void) => setImmediate(done, null),
  };
  return openLogStore({ journal, ballot, clusterUuid: 'bench', state: { index: 0, term: 0 } });
}

function entriesAfter(store: LogStore, count: number): LogEntry[] {
  let chain = store.chain(store.lastIndex);
  return Array.from({ length: count }, (_none, position) => {
    const entry = chainEntry(chain, store.lastIndex + 1 + position, 1, 'command', DATA);
    chain = entry.chain;
    return entry;
  });
}

function append(store: LogStore, entries: readonly LogEntry[]): Promise<void> {
  const work = {
    reset: null,
    entries,
    chainBefore: store.chain(store.lastIndex),
    hardState: { term: 1, vote: null, commit: store.lastIndex },
    answers: [],
    receipt: { term: 1, last: null, resetIndex: 0 },
  };
  return new Promise((resolve, reject) => store.append(work, (error) => (error === null ? resolve() : reject(error))));
}

const DATA = Buffer.alloc(256, 'carillon');
const RECORDS = 1_000;
const KEPT_ENTRIES = 8_192;
