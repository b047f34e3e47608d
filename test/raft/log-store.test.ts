import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { recordKey } from '../../src/raft/log-opening.ts';
import { bootstrapLog, hasLog, type LogStore, openLogStore } from '../../src/raft/log-store.ts';
import type { SnapshotMeta } from '../../src/raft/raft-protocol.ts';
import type { AppendWork, HardState, LogEntry, LogPoint } from '../../src/raft/types.ts';
import { MemoryDatabase, type MemoryStorage } from '../../src/store/memory-storage.ts';
import { entriesOf } from './core-node.ts';

const UUID = '7d0f7a52-6d3c-4f0e-9d57-1f6a4e1c2b3d';
const NO_STATE: SnapshotMeta = { index: 0, term: 0 };

/** A disk, and logs opened on it. `run` lets virtual time pass while something is awaited. */
class Disk {
  readonly clock = new VirtualClock();
  readonly database = new MemoryDatabase({ label: 'raft', clock: this.clock });
  storage: MemoryStorage = this.database.open();

  async run<Result>(promise: Promise<Result>): Promise<Result> {
    let isDone = false;
    const watched = promise.finally(() => {
      isDone = true;
    });
    watched.catch(() => {});
    while (!isDone) {
      this.clock.advance(1);
      for (let microtask = 0; microtask < 8; microtask += 1) await Promise.resolve();
    }
    return watched;
  }

  open(state = NO_STATE, cacheBytesMax = 1e6): Promise<LogStore> {
    return this.run(openLogStore({ storage: this.storage, clusterUuid: UUID, state, cacheBytesMax }));
  }

  async reopen(state = NO_STATE): Promise<LogStore> {
    await this.run(this.storage.close());
    this.storage = this.database.open();
    return this.open(state);
  }

  crash(mode: 'prefix' | 'any-subset', seed: number): void {
    this.database.crash(seededRandom(seed), mode);
    this.storage = this.database.open();
  }

  write(batch: Parameters<MemoryStorage['write']>[0]): Promise<void> {
    return this.run(
      new Promise((resolve, reject) =>
        this.storage.write(batch, (error) => (error === null ? resolve() : reject(error))),
      ),
    );
  }

  append(store: LogStore, entries: readonly LogEntry[], hardState: HardState = STATE, reset: LogPoint | null = null) {
    return this.run(appendTo(store, entries, hardState, reset));
  }

  read(store: LogStore, low: number, high: number, bytesMax = 1e9): Promise<readonly LogEntry[]> {
    return this.run(
      new Promise((resolve, reject) => {
        store.read(low, high, bytesMax, (error, entries) => (error === null ? resolve(entries) : reject(error)));
      }),
    );
  }
}

const STATE: HardState = { term: 1, vote: 'n1', commit: 0 };

function appendTo(store: LogStore, entries: readonly LogEntry[], hardState = STATE, reset: LogPoint | null = null) {
  const first = entries[0];
  const chainBefore =
    first === undefined ? 0 : reset !== null ? reset.chain : first.index === 1 ? 0 : store.chain(first.index - 1);
  const receipt = { term: 1, last: null, resetIndex: 0 };
  const work: AppendWork = { reset, entries, chainBefore, hardState, answers: [], receipt };
  return new Promise<void>((resolve, reject) =>
    store.append(work, (error) => (error === null ? resolve() : reject(error))),
  );
}

function allOf(store: LogStore): readonly LogEntry[] {
  const entries = store.slice(store.base.index + 1, store.lastIndex + 1, 1e9);
  assert(entries !== undefined);
  return entries;
}

function same(left: readonly LogEntry[], right: readonly LogEntry[]): void {
  const plain = (entries: readonly LogEntry[]) =>
    entries.map((entry) => ({ ...entry, data: `${Buffer.from(entry.data)}` }));
  assert.deepEqual(plain(left), plain(right));
}

const LONG = entriesOf(Array.from({ length: 40 }, () => 1));

/** Forty entries in ten records of four. */
async function filled(): Promise<{ disk: Disk; store: LogStore }> {
  const disk = new Disk();
  const store = await disk.open();
  for (let from = 0; from < 40; from += 4) await disk.append(store, LONG.slice(from, from + 4));
  return { disk, store };
}

test('a bootstrapped log has entry 1 with the voters, the same on each member, and is left alone the second time', async () => {
  const disks = [new Disk(), new Disk()];
  assert.equal(hasLog(disks[0]?.storage as MemoryStorage), false);
  const stores: LogStore[] = [];
  for (const [position, disk] of disks.entries()) {
    const voters = position === 0 ? ['a', 'b'] : ['b', 'a'];
    await disk.run(bootstrapLog(disk.storage, UUID, voters));
    await disk.run(bootstrapLog(disk.storage, UUID, ['other']));
    stores.push(await disk.open());
  }

  assert.deepEqual(allOf(stores[0] as LogStore), allOf(stores[1] as LogStore));
  const [entry] = allOf(stores[0] as LogStore);
  assert.deepEqual([entry?.index, entry?.term, entry?.kind], [1, 1, 'configuration']);
  assert.deepEqual(stores[0]?.hardState, { term: 1, vote: null, commit: 1 });
});

test('entries, term and vote are there after a restart', async () => {
  const { disk, store } = await filled();
  same(allOf(store), LONG);
  await disk.append(store, [], { term: 7, vote: 'n3', commit: 12 });

  const again = await disk.reopen();

  same(allOf(again), LONG);
  assert.deepEqual(again.hardState, { term: 7, vote: 'n3', commit: 12 });
});

test('a conflicting suffix is cut, in the middle of a record too, and stays cut', async () => {
  for (const keep of [0, 3, 4, 6, 39]) {
    const { disk, store } = await filled();
    const fresh = entriesOf([2, 2], keep + 1, LONG[keep - 1]?.chain ?? 0);

    await disk.append(store, fresh);

    same(allOf(store), [...LONG.slice(0, keep), ...fresh]);
    const again = await disk.reopen();
    same(allOf(again), [...LONG.slice(0, keep), ...fresh]);
    same(await disk.read(again, keep + 1, keep + 3), fresh);
    if (keep > 0) same(await disk.read(again, keep, keep + 1), LONG.slice(keep - 1, keep));
  }
});

test('a prefix is compacted by whole records; places at its end stay known', async () => {
  const { disk, store } = await filled();

  await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  assert.deepEqual(store.base, { index: 16, term: 1, chain: LONG[15]?.chain });
  same(allOf(store), LONG.slice(16));
  assert.deepEqual(await disk.read(store, 3, 5), []);
  const again = await disk.reopen({ index: 20, term: 1 });
  assert.deepEqual(again.base, store.base);
  same(allOf(again), LONG.slice(16));
  await assert.rejects(disk.reopen({ index: 9, term: 1 }), /the state stands at 9/);
});

test('a compaction that finds no whole record says that it is over, and the next one goes on', async () => {
  const { disk, store } = await filled();
  await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  const error = await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  assert.equal(error, null);
  assert.equal(store.base.index, 16);
});

test('what memory has let go is read from disk, within bounds', async () => {
  const { disk } = await filled();
  const store = await disk.open(NO_STATE, 200);

  assert.equal(store.slice(5, 9, 1e9), undefined);
  same(await disk.read(store, 6, 41), LONG.slice(5, 8));
  same(await disk.read(store, 5, 7), LONG.slice(4, 6));
  same(await disk.read(store, 5, 9, 1), LONG.slice(4, 5));
});

test('a crash at any moment, with any subset of what was not synced, leaves all that was acknowledged', async () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = seededRandom(seed);
    const disk = new Disk();
    const store = await disk.open();
    let acknowledged = 0;
    let compacted = 0;
    for (let from = 0; from < 40; from += 4) {
      appendTo(store, LONG.slice(from, from + 4)).then(
        () => {
          acknowledged = from + 4;
        },
        () => {},
      );
      if (random() < 0.3)
        compacted = Math.max(
          compacted,
          store.compact(acknowledged, () => {}),
        );
      if (random() < 0.15) break;
      if (random() < 0.7 || from === 0) {
        disk.clock.advance(1);
        await Promise.resolve();
        await Promise.resolve();
      }
      // As the raft actor does, one write at a time: the next needs the chain of the last.
      while (store.lastIndex < from + 4) disk.clock.advance(1);
      await Promise.resolve();
    }
    disk.crash(random() < 0.5 ? 'prefix' : 'any-subset', seed);

    const again = await disk.open({ index: acknowledged, term: acknowledged === 0 ? 0 : 1 });

    assert(again.lastIndex >= acknowledged, `seed ${seed}`);
    assert(again.base.index <= compacted);
    same(allOf(again), LONG.slice(again.base.index, again.lastIndex));
  }
});

test('a flipped bit in any record, or in the head, is found when the log is opened', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const random = seededRandom(seed);
    const { disk } = await filled();
    const key = seed % 6 === 0 ? 'head' : recordKey(1 + 4 * Math.floor(random() * 10));
    const value = Buffer.from(disk.storage.get(key) as Uint8Array);
    const at = Math.floor(random() * value.length);
    value[at] = (value[at] as number) ^ (1 << Math.floor(random() * 8));
    await disk.write([{ type: 'put', key, value }]);

    await assert.rejects(disk.open(), { code: 'storage-failed' }, `seed ${seed}, ${key}`);
  }
});

test('a record that vanished from the middle is named; so is a lost end and a lost head with a state beside it', async () => {
  const { disk } = await filled();
  await disk.write([{ type: 'delete', key: recordKey(9) }]);
  await assert.rejects(disk.open(), { code: 'storage-failed', message: /entry 9 is missing/ });

  const other = (await filled()).disk;
  await other.write([{ type: 'delete', key: recordKey(37) }]);
  await assert.rejects(other.open(), { code: 'storage-failed', message: /entry 37 is missing/ });

  const third = (await filled()).disk;
  for (let first = 1; first < 40; first += 4) await third.write([{ type: 'delete', key: recordKey(first) }]);
  await third.write([{ type: 'delete', key: 'head' }]);
  await assert.rejects(third.open({ index: 40, term: 1 }), { code: 'storage-failed' });
});

test('a replaced end whose replacement vanished is not taken for the old one', async () => {
  const { disk, store } = await filled();
  const fresh = entriesOf([2, 2, 2], 38, LONG[36]?.chain);
  await disk.append(store, fresh.slice(0, 2));
  await disk.append(store, fresh.slice(2));
  await disk.write([{ type: 'delete', key: recordKey(38) }]);

  await assert.rejects(disk.open(), { code: 'storage-failed' });
});

test('records above the durable point were never acknowledged and are cut', async () => {
  const { disk, store } = await filled();
  const head = Buffer.from(disk.storage.get('head') as Uint8Array);
  await disk.append(store, entriesOf([1, 1], 41, LONG[39]?.chain));
  await disk.write([{ type: 'put', key: 'head', value: head }]);

  const again = await disk.reopen();

  same(allOf(again), LONG);
  assert.equal(disk.storage.get(recordKey(41)), undefined);
  const fresh = entriesOf([3], 41, LONG[39]?.chain);
  await disk.append(again, fresh);
  same(allOf(await disk.reopen()), [...LONG, ...fresh]);
});

test('a reset forgets all entries and starts at the snapshot, atomically with what follows', async () => {
  const { disk, store } = await filled();
  const point = { index: 100, term: 5, chain: 77 };
  const after = entriesOf([5, 5], 101, 77);

  await disk.append(store, after, { term: 6, vote: null, commit: 100 }, point);

  assert.deepEqual(store.base, point);
  const again = await disk.reopen({ index: 100, term: 5 });
  assert.deepEqual(again.base, point);
  same(allOf(again), after);
});

test('a state that went ahead by an announced snapshot resets the log; without the note entries are missing', async () => {
  const { disk, store } = await filled();
  await assert.rejects(disk.reopen({ index: 60, term: 2 }), { code: 'storage-failed', message: /log ends at 40/ });
  const open = await disk.reopen({ index: 40, term: 1 });
  assert.equal(open.lastIndex, store.lastIndex);
  const point = { index: 60, term: 2, chain: 5 };

  await disk.run(new Promise((resolve) => open.noteInstall(point, resolve)));
  const again = await disk.reopen({ index: 60, term: 2 });

  assert.deepEqual([again.base, again.lastIndex], [point, 60]);
  assert.deepEqual(again.hardState, { term: 2, vote: null, commit: 60 });
  assert.deepEqual((await disk.reopen({ index: 60, term: 2 })).base, point);
});

test('the log of another cluster is refused', async () => {
  const { disk } = await filled();
  const opening = openLogStore({ storage: disk.storage, clusterUuid: 'another', state: NO_STATE });

  await assert.rejects(disk.run(opening), { code: 'foreign-directory' });
});

test('after the first error no write succeeds any more', async () => {
  const { disk, store } = await filled();
  disk.database.fail('no space left');

  await assert.rejects(disk.append(store, entriesOf([1], 41, LONG[39]?.chain)), { code: 'storage-failed' });
  await assert.rejects(disk.append(store, []), { code: 'storage-failed' });
  assert.equal(store.lastIndex, 40);
});
