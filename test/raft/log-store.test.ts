import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { decodeBallot } from '../../src/raft/ballot.ts';
import { NO_CONFIGURATION } from '../../src/raft/configuration.ts';
import { decodeNote, seal } from '../../src/raft/log-head.ts';
import { bootstrapLog, hasLog, openLogStore } from '../../src/raft/log-open.ts';
import { recordKey } from '../../src/raft/log-opening.ts';
import { clusterHash } from '../../src/raft/log-record.ts';
import type { LogStore } from '../../src/raft/log-store.ts';
import type { SnapshotMeta } from '../../src/raft/raft-protocol.ts';
import type { LogEntry } from '../../src/raft/types.ts';
import { entriesOf } from './core-node.ts';

import { allOf, appendTo, Disk, filled, LONG, NO_STATE, same, UUID, withConfigurations } from './log-disk.ts';

test('a bootstrapped log has entry 1 with the voters, the same on each member, and is left alone the second time', async () => {
  const disks = [new Disk(), new Disk()];
  const [first] = disks;
  assert(first !== undefined);
  assert.equal(await hasLog(first.storage, first.ballot), false);
  const stores: LogStore[] = [];
  for (const [position, disk] of disks.entries()) {
    const voters = position === 0 ? ['a', 'b'] : ['b', 'a'];
    await disk.run(bootstrapLog(disk.storage, disk.ballot, UUID, voters));
    await disk.run(bootstrapLog(disk.storage, disk.ballot, UUID, ['other']));
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

test('configurations: found at opening, kept through append, truncation, compaction and reset', async () => {
  const disk = new Disk();
  const store = await disk.open();
  assert.deepEqual(store.configurations, [NO_CONFIGURATION]);
  assert.equal(await hasLog(disk.storage, disk.ballot), true);
  const placed = (index: number, voters: readonly string[]) => ({
    configuration: { voters, outgoing: [], learners: [] },
    index,
  });
  const check = async (state: SnapshotMeta, expected: readonly unknown[]): Promise<LogStore> => {
    const again = await disk.reopen(state);
    assert.deepEqual(again.configurations, expected);
    return again;
  };
  const plain = entriesOf([1, 1, 1, 1, 1]);
  const log = withConfigurations(
    plain,
    new Map([
      [2, ['a']],
      [4, ['a', 'b']],
    ]),
  );

  await disk.append(store, log.slice(0, 3));
  await disk.append(store, log.slice(3));
  assert.deepEqual(store.configurations, [NO_CONFIGURATION, placed(2, ['a']), placed(4, ['a', 'b'])]);
  let again = await check(NO_STATE, [NO_CONFIGURATION, placed(2, ['a']), placed(4, ['a', 'b'])]);

  await disk.append(again, entriesOf([2], 4, log[2]?.chain), { term: 2, vote: null, commit: 3 });
  assert.deepEqual(again.configurations, [NO_CONFIGURATION, placed(2, ['a'])]);
  await disk.run(new Promise((resolve) => again.compact(3, resolve)));
  assert.deepEqual(again.configurations, [placed(2, ['a'])]);
  again = await check({ index: 3, term: 1 }, [placed(2, ['a'])]);

  await disk.append(again, [], { term: 2, vote: null, commit: 9 }, { index: 9, term: 2, chain: 5 });
  await check({ index: 9, term: 2 }, [NO_CONFIGURATION]);
});

test('a head and a note of the first version are still read', async () => {
  const { disk } = await filled();
  const { base, durable } = { base: { index: 0, term: 0, chain: 0 }, durable: LONG[39] as LogEntry };
  const old = Buffer.alloc(56 + 2);
  old[0] = 1;
  old.writeUInt32BE(clusterHash(UUID), 1);
  old.writeUIntBE(3, 5, 6);
  old.writeUIntBE(7, 11, 6);
  for (const [at, point] of [
    [17, base],
    [33, durable],
  ] as const) {
    old.writeUIntBE(point.index, at, 6);
    old.writeUIntBE(point.term, at + 6, 6);
    old.writeUInt32BE(point.chain, at + 12);
  }
  old[49] = 1;
  old.writeUInt16BE(2, 50);
  old.write('n2', 52);
  disk.ballotBytes = undefined;
  await disk.write([{ type: 'put', key: 'head', value: seal(old) }]);

  const store = await disk.open();

  same(allOf(store), LONG);
  assert.deepEqual(store.hardState, { term: 3, vote: 'n2', commit: 7 });
  assert.deepEqual([store.isWounded, store.configurations], [false, [NO_CONFIGURATION]]);
  assert.deepEqual(decodeBallot(clusterHash(UUID), disk.ballotBytes as unknown as Uint8Array), {
    term: 3,
    vote: 'n2',
    configurations: [NO_CONFIGURATION],
  });
  const note = Buffer.alloc(21);
  note[0] = 1;
  note.writeUIntBE(9, 1, 6);
  assert.deepEqual(decodeNote(seal(note))?.point.index, 9);
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

test('the log of another cluster is refused', async () => {
  const { disk } = await filled();
  const opening = openLogStore({
    journal: disk.storage,
    ballot: disk.ballot,
    clusterUuid: 'another',
    state: NO_STATE,
  });

  await assert.rejects(disk.run(opening), { code: 'foreign-directory' });
});

test('after the first error no write succeeds any more', async () => {
  const { disk, store } = await filled();
  disk.database.fail('no space left');

  await assert.rejects(disk.append(store, entriesOf([1], 41, LONG[39]?.chain)), { code: 'storage-failed' });
  await assert.rejects(disk.append(store, []), { code: 'storage-failed' });
  assert.equal(store.lastIndex, 40);
});
