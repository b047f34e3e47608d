/** The log over real segments: every bit of them flipped, every cut, and a crash between the steps of an install. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BallotFile, ballotFileOn } from '../../src/raft/ballot.ts';
import { NO_CONFIGURATION } from '../../src/raft/configuration.ts';
import { bootstrapLog, openLogStore } from '../../src/raft/log-open.ts';
import type { LogStore } from '../../src/raft/log-store.ts';
import type { SnapshotMeta } from '../../src/raft/raft-protocol.ts';
import type { AppendWork, HardState, LogEntry, LogReset } from '../../src/raft/types.ts';
import type { Journal, JournalDamage } from '../../src/store/journal.ts';
import { MemoryDatabase } from '../../src/store/memory-storage.ts';
import { RECORD_MAGIC } from '../../src/store/segment-record.ts';
import { SegmentReplay } from '../../src/store/segment-replay.ts';
import type { Row } from '../../src/store/storage.ts';
import { openSystemDisk } from '../../src/store/system-disk.ts';
import { openSystemJournal } from '../../src/store/system-journal.ts';
import { runningClock } from '../helpers/running-clock.ts';
import { entriesOf } from './core-node.ts';

const UUID = '7d0f7a52-6d3c-4f0e-9d57-1f6a4e1c2b3d';
const NO_STATE: SnapshotMeta = { index: 0, term: 0 };
const RECORD_START = Buffer.from(RECORD_MAGIC.toString(16), 'hex');

async function setup(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-wounds-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'log');
}

class MemoryBallot implements BallotFile {
  content: Uint8Array | undefined;

  async read(): Promise<Uint8Array | undefined> {
    return this.content;
  }

  replace(content: Uint8Array, done: (error: Error | null) => void): void {
    queueMicrotask(() => {
      this.content = content;
      done(null);
    });
  }
}

function append(store: LogStore, entries: readonly LogEntry[], hardState: HardState, reset: LogReset | null = null) {
  const first = entries[0];
  const chainBefore = first === undefined ? 0 : store.chain(first.index - 1);
  const receipt = { term: 1, last: null, resetIndex: 0 };
  const work: AppendWork = { reset, entries, chainBefore, hardState, answers: [], receipt };
  return called((done) => store.append(work, done));
}

function called(run: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run((error) => (error === null ? resolve() : reject(error))));
}

function plain(entries: readonly LogEntry[] | undefined) {
  return (entries ?? []).map((entry) => ({ ...entry, data: `${Buffer.from(entry.data)}` }));
}

function allOf(store: LogStore) {
  return plain(store.slice(store.base.index + 1, store.lastIndex + 1, 1e9));
}

/** Nine entries in five writes, a conflict among them, in segments of 400 bytes. */
async function filled(path: string) {
  const journal = await openSystemJournal(path, { segmentBytes: 400 });
  const ballot = new MemoryBallot();
  await bootstrapLog(journal, ballot, UUID, ['a', 'b', 'c']);
  const store = await openLogStore({ journal, ballot, clusterUuid: UUID, state: NO_STATE });
  const early = entriesOf([1, 1, 1, 1, 1], 2, store.chain(1));
  await append(store, early.slice(0, 3), { term: 1, vote: 'a', commit: 1 });
  await append(store, early.slice(3), { term: 1, vote: 'a', commit: 3 });
  const late = entriesOf([3, 3, 3], 5, early[2]?.chain);
  await append(store, late.slice(0, 1), { term: 3, vote: 'b', commit: 4 });
  await append(store, late.slice(1), { term: 3, vote: 'b', commit: 5 });
  const last = entriesOf([3, 3], 8, late[2]?.chain);
  const beforeLast = { entries: allOf(store), hardState: store.hardState };
  await append(store, last, { term: 3, vote: 'b', commit: 7 });
  const whole = { entries: allOf(store), hardState: store.hardState };
  await journal.close();
  const names = (await readdir(path)).sort();
  const files = await Promise.all(names.map((name) => readFile(join(path, name))));
  return { files, ballot: ballot.content, whole, beforeLast };
}

/** Opens the log that these segments hold, without touching a disk. */
async function openFrom(files: readonly Buffer[], ballotContent: Uint8Array | undefined, state: SnapshotMeta) {
  const replay = new SegmentReplay((number) => `segment ${number}`);
  for (const [position, bytes] of files.entries()) replay.take(position + 1, bytes);
  replay.finish();
  const rows = replay.index.scan({ from: ' ', to: '\x7f', limit: 1_000 }).map(({ key, value }) => {
    const { segment, offset, length } = value;
    return { key, value: value.value ?? (files[segment - 1] as Buffer).subarray(offset, offset + length) };
  });
  const ballot = new MemoryBallot();
  ballot.content = ballotContent;
  const journal = await journalOf(rows, replay.damage);
  return openLogStore({ journal, ballot, clusterUuid: UUID, state });
}

async function journalOf(rows: readonly Row[], damage: readonly JournalDamage[]): Promise<Journal> {
  const storage = new MemoryDatabase({ label: 'rows', clock: runningClock() }).open();
  await called((done) =>
    storage.write(
      rows.map(({ key, value }) => ({ type: 'put', key, value })),
      done,
    ),
  );
  storage.damage = damage;
  return storage;
}

test('a flipped bit at any byte of the log: it opens whole, or it is wounded and keeps its vote', async (context) => {
  const { files, ballot, whole } = await filled(await setup(context));
  assert.ok(files.length >= 2);
  const counts = { whole: 0, wounded: 0 };
  for (const state of [NO_STATE, { index: 5, term: 3 }, { index: 7, term: 3 }]) {
    for (const [position, bytes] of files.entries()) {
      for (let at = 0; at < bytes.length; at += 1) {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] as number) ^ (1 << ((at * 5) % 8));

        const store = await openFrom(files.with(position, copy), ballot, state);

        const where = `state ${state.index}, segment ${position + 1}, byte ${at}`;
        const { term, vote } = store.hardState;
        assert.deepEqual({ term, vote }, { term: 3, vote: 'b' }, where);
        if (store.isWounded) {
          counts.wounded += 1;
          assert.ok(store.lastIndex >= state.index && store.hardState.commit <= Math.max(state.index, 0), where);
          assert.deepEqual(store.configurations[0]?.index ?? 0, store.base.index === 0 ? 0 : 1, where);
        } else {
          counts.whole += 1;
          assert.deepEqual(allOf(store), whole.entries.slice(store.base.index), where);
          assert.deepEqual(store.hardState, whole.hardState, where);
        }
      }
    }
  }
  assert.ok(counts.wounded > 500 && counts.whole > 50, JSON.stringify(counts));
});

test('cut at any byte of the last write the log is sound, without that write', async (context) => {
  const { files, ballot, whole, beforeLast } = await filled(await setup(context));
  // The newest segment may have nothing in it yet.
  const position = files.findLastIndex((bytes) => bytes.includes(RECORD_START));
  const last = files[position] as Buffer;
  for (let size = last.lastIndexOf(RECORD_START); size < last.length; size += 1) {
    const store = await openFrom(files.with(position, Buffer.from(last.subarray(0, size))), ballot, NO_STATE);

    assert.deepEqual([store.isWounded, allOf(store)], [false, beforeLast.entries], `cut at ${size}`);
    assert.deepEqual(store.hardState, beforeLast.hardState);
  }
  assert.deepEqual(allOf(await openFrom(files, ballot, NO_STATE)), whole.entries);
});

test('a crash between any two steps of taking a snapshot leaves a sound log', async (context) => {
  const point = { index: 50, term: 4, chain: 77 };
  const reset: LogReset = {
    point,
    configuration: { configuration: { voters: ['x'], outgoing: [], learners: [] }, index: 40 },
  };
  for (const steps of [0, 1, 2, 3]) {
    const path = await setup(context);
    const journal = await openSystemJournal(path);
    const ballot = new MemoryBallot();
    await bootstrapLog(journal, ballot, UUID, ['a', 'b', 'c']);
    const store = await openLogStore({ journal, ballot, clusterUuid: UUID, state: NO_STATE });
    await append(store, entriesOf([1, 1], 2, store.chain(1)), { term: 4, vote: 'a', commit: 1 });
    let state: SnapshotMeta = NO_STATE;
    if (steps >= 1) await called((done) => store.noteInstall(point, reset.configuration, done));
    if (steps >= 2) state = { index: 50, term: 4 };
    if (steps >= 3) await append(store, [], { term: 4, vote: 'a', commit: 50 }, reset);
    await journal.close();

    const again = await openSystemJournal(path);
    const found = await openLogStore({ journal: again, ballot, clusterUuid: UUID, state });

    assert.equal(found.isWounded, false, `after step ${steps}`);
    assert.equal(found.lastIndex, steps >= 2 ? 50 : 3);
    assert.deepEqual(
      found.configurations.map(({ index }) => index),
      steps >= 2 ? [40] : [0, 1],
    );
    await again.close();
  }
});

test('a compaction that was cut short has happened or not, and the ballot file of a disk holds the vote', async (context) => {
  const path = await setup(context);
  const disk = await openSystemDisk(path);
  const ballot = ballotFileOn(disk);
  const journal = await disk.openJournal('log');
  const store = await openLogStore({ journal, ballot, clusterUuid: UUID, state: NO_STATE });
  const entries = entriesOf(Array.from({ length: 20 }, () => 2));
  for (let from = 0; from < 20; from += 5) {
    await append(store, entries.slice(from, from + 5), { term: 2, vote: 'me', commit: 0 });
  }
  await called((done) => store.compact(12, done));
  assert.equal(store.base.index, 10);
  await journal.close();
  const [name = ''] = await readdir(join(path, 'log.journal'));
  const file = join(path, 'log.journal', name);
  const bytes = await readFile(file);
  const start = bytes.lastIndexOf(RECORD_START);
  for (let size = start; size <= bytes.length; size += 7) {
    await writeFile(file, bytes.subarray(0, size));
    const again = await disk.openJournal('log');
    const found = await openLogStore({ journal: again, ballot, clusterUuid: UUID, state: { index: 15, term: 2 } });

    assert.equal(found.isWounded, false);
    assert.deepEqual([found.base.index, found.lastIndex, found.hardState.vote], [0, 20, 'me']);
    await again.close();
  }
  await writeFile(file, Buffer.from(bytes).fill(1, bytes.length - 40));
  const again = await disk.openJournal('log');
  const found = await openLogStore({ journal: again, ballot, clusterUuid: UUID, state: { index: 15, term: 2 } });
  assert.match(found.woundText ?? '', /segment is broken in bytes/);
  assert.deepEqual([found.hardState.vote, found.configurations], ['me', [NO_CONFIGURATION]]);
  await called((done) => found.heal(done));
  await again.close();
  const healed = await openLogStore({
    journal: await disk.openJournal('log'),
    ballot,
    clusterUuid: UUID,
    state: { index: 15, term: 2 },
  });
  assert.equal(healed.isWounded, false);
  await disk.close();
});
