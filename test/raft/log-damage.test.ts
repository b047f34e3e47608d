import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { encodeBallot } from '../../src/raft/ballot.ts';
import { NO_CONFIGURATION } from '../../src/raft/configuration.ts';
import { decodeNote } from '../../src/raft/log-head.ts';
import { bootstrapLog, hasLog } from '../../src/raft/log-open.ts';
import { recordKey } from '../../src/raft/log-opening.ts';
import { clusterHash } from '../../src/raft/log-record.ts';
import { UNKNOWN_CHAIN } from '../../src/raft/types.ts';
import { entriesOf } from './core-node.ts';

import {
  allOf,
  appendTo,
  Disk,
  filled,
  flipped,
  LONG,
  NO_STATE,
  STATE,
  same,
  UUID,
  withConfigurations,
} from './log-disk.ts';

test('a prefix is compacted by whole records; places at its end stay known', async () => {
  const { disk, store } = await filled();

  await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  assert.deepEqual(store.base, { index: 16, term: 1, chain: LONG[15]?.chain });
  same(allOf(store), LONG.slice(16));
  assert.deepEqual(await disk.read(store, 3, 5), []);
  const again = await disk.reopen({ index: 20, term: 1 });
  assert.deepEqual(again.base, store.base);
  same(allOf(again), LONG.slice(16));
  const behind = await disk.reopen({ index: 9, term: 1 });
  assert.match(behind.woundText ?? '', /the state stands at 9, but entries up to 16 are compacted/);
  assert.deepEqual(behind.base, { index: 9, term: 1, chain: UNKNOWN_CHAIN });
});

test('a compaction that finds no whole record says that it is over, and the next one goes on', async () => {
  const { disk, store } = await filled();
  await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  const error = await disk.run(new Promise((resolve) => store.compact(18, resolve)));

  assert.equal(error, null);
  assert.equal(store.base.index, 16);
});

test('a flipped bit in any record, or in the head, wounds the log', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const random = seededRandom(seed);
    const { disk } = await filled();
    const key = seed % 6 === 0 ? 'head' : recordKey(1 + 4 * Math.floor(random() * 10));
    const value = Buffer.from(disk.storage.get(key) as Uint8Array);
    const at = Math.floor(random() * value.length);
    value[at] = (value[at] as number) ^ (1 << Math.floor(random() * 8));
    await disk.write([{ type: 'put', key, value }]);

    const store = await disk.open();

    assert(store.isWounded, `seed ${seed}, ${key}`);
    same(allOf(store), LONG.slice(0, store.lastIndex));
    const { term, vote } = store.hardState;
    assert.deepEqual({ term, vote }, { term: 1, vote: 'n1' });
  }
});

test('a record that vanished from the middle is named, and what is proven before it is kept', async () => {
  for (const [missing, state] of [
    [9, 0],
    [9, 8],
    [37, 30],
  ] as const) {
    const { disk } = await filled();
    await disk.write([{ type: 'delete', key: recordKey(missing) }]);

    const store = await disk.open({ index: state, term: Math.min(1, state) });

    assert.match(
      store.woundText ?? '',
      new RegExp(`entry ${missing} is missing.*entries 1 to ${missing - 1} are kept`),
    );
    same(allOf(store), LONG.slice(0, missing - 1));
    assert.equal(store.hardState.commit, state);
    same(allOf(await disk.reopen({ index: state, term: Math.min(1, state) })), LONG.slice(0, missing - 1));
  }
});

test('a hole below the state makes the log start anew where the state stands', async () => {
  for (const [missing, index, chain] of [
    [9, 20, LONG[19]?.chain],
    [17, 18, UNKNOWN_CHAIN],
  ] as const) {
    const { disk } = await filled();
    await disk.write([{ type: 'delete', key: recordKey(missing) }]);

    const store = await disk.open({ index, term: 1 });

    assert.match(store.woundText ?? '', new RegExp(`entry ${missing} is missing.*starts anew after entry ${index}`));
    assert.deepEqual([store.base, store.lastIndex], [{ index, term: 1, chain }, index]);
    const again = await disk.reopen({ index, term: 1 });
    assert.deepEqual([again.isWounded, again.base], [true, { index, term: 1, chain }]);
  }
});

test('a log that is gone but for its ballot is wounded, not new; without that the server does not start', async () => {
  const { disk } = await filled();
  const keys = ['head', ...Array.from({ length: 10 }, (_, record) => recordKey(1 + 4 * record))];
  await disk.write(keys.map((key) => ({ type: 'delete', key })));
  assert.equal(await hasLog(disk.storage, disk.ballot), true);
  const { ballotBytes } = disk;

  for (const state of [NO_STATE, { index: 40, term: 1 }]) {
    const store = await disk.open(state);
    assert.equal(store.isWounded, true);
    assert.deepEqual([store.base.index, store.lastIndex, store.hardState.vote], [state.index, state.index, 'n1']);
    await disk.write([{ type: 'delete', key: 'head' }]);
    disk.ballotBytes = ballotBytes;
  }

  disk.ballotBytes = undefined;
  await assert.rejects(disk.open({ index: 40, term: 1 }), {
    code: 'storage-failed',
    message: /carillon cluster replace/,
  });
  disk.ballotBytes = Buffer.from('broken');
  await assert.rejects(disk.open({ index: 40, term: 1 }), {
    code: 'storage-failed',
    message: /carillon cluster replace/,
  });
});

test('a replaced end whose replacement vanished is not taken for the old one', async () => {
  const { disk, store } = await filled();
  const fresh = entriesOf([2, 2, 2], 38, LONG[36]?.chain);
  await disk.append(store, fresh.slice(0, 2));
  await disk.append(store, fresh.slice(2));
  await disk.write([{ type: 'delete', key: recordKey(38) }]);

  const again = await disk.open({ index: 39, term: 2 });

  assert.equal(again.isWounded, true);
  assert.deepEqual(again.base, { index: 39, term: 2, chain: UNKNOWN_CHAIN });
});

test('a lost end that leaves an older log whole wounds it all the same, and the ballot keeps the vote', async () => {
  const { disk, store } = await filled();
  const older = ['head', recordKey(37)].map((key) => ({ key, value: disk.storage.get(key) as Uint8Array }));
  await disk.append(store, entriesOf([4], 41, LONG[39]?.chain), { term: 4, vote: 'n2', commit: 40 });
  await disk.write([
    { type: 'delete', key: recordKey(41) },
    ...older.map(({ key, value }) => ({ type: 'put' as const, key, value })),
  ]);
  disk.storage.damage = [{ from: 11, to: null, where: 'the last segment is broken' }];

  const again = await disk.open({ index: 12, term: 1 });

  assert.match(again.woundText ?? '', /the last segment is broken.*entries 1 to 40 are kept/);
  assert.deepEqual(again.hardState, { term: 4, vote: 'n2', commit: 12 });
  disk.ballotBytes = undefined;
  await assert.rejects(disk.open(), { code: 'storage-failed' });
});

test('damage that took nothing which is still wanted is no wound', async () => {
  const { disk } = await filled();
  disk.storage.damage = [{ from: 2, to: 2, where: 'somewhere' }];

  assert.equal((await disk.open()).isWounded, false);
});

test('a wound survives restarts until it is healed, durably', async () => {
  const { disk } = await filled();
  await disk.write([{ type: 'delete', key: recordKey(9) }]);
  const wounded = await disk.open();
  await disk.append(wounded, LONG.slice(8, 12));
  const still = await disk.reopen();
  assert.deepEqual([still.isWounded, still.lastIndex], [true, 12]);
  await disk.append(still, LONG.slice(12));

  const healing = new Promise((resolve) => still.heal(resolve));
  assert.equal(still.isWounded, true);
  await disk.run(healing);

  assert.deepEqual([still.isWounded, still.woundText], [false, null]);
  const healed = await disk.reopen();
  assert.equal(healed.isWounded, false);
  same(allOf(healed), LONG);
});

test('what a crash makes of the batch that notes a wound, the wound is found again', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const { disk } = await filled();
    await disk.write([{ type: 'delete', key: recordKey(9) }]);
    const opening = disk.open();
    opening.catch(() => {});
    disk.crash('any-subset', seed);

    const store = await disk.open();

    assert.deepEqual([store.isWounded, store.lastIndex], [true, 8], `seed ${seed}`);
  }
});

test('an unknown chain at the base is taken from the leader by a reset in place, which keeps the configuration', async () => {
  const disk = new Disk();
  await disk.run(bootstrapLog(disk.storage, disk.ballot, UUID, ['a', 'b', 'c']));
  const store = await disk.open();
  const chain = store.chain(1);
  await disk.append(store, entriesOf([1, 1, 1], 2, chain));
  await disk.write([{ type: 'delete', key: recordKey(2) }]);
  const wounded = await disk.open({ index: 3, term: 1 });
  assert.equal(wounded.base.chain, UNKNOWN_CHAIN);
  const [, second, third] = entriesOf([1, 1, 1], 2, chain);
  assert(second !== undefined && third !== undefined);

  await disk.append(wounded, [third], STATE, { index: 3, term: 1, chain: second.chain });

  const again = await disk.reopen({ index: 3, term: 1 });
  assert.deepEqual(again.base, { index: 3, term: 1, chain: second.chain });
  same(allOf(again), [third]);
  assert.deepEqual(again.configurations, [
    { configuration: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }, index: 1 },
  ]);
});

test('a hole does not lose a configuration: the ballot file has it', async () => {
  const disk = new Disk();
  const store = await disk.open();
  const log = withConfigurations(entriesOf([1, 1, 1, 1, 1]), new Map([[2, ['a', 'b']]]));
  for (const entry of log) await disk.append(store, [entry]);
  await disk.write([{ type: 'delete', key: recordKey(2) }]);

  const wounded = await disk.open({ index: 4, term: 1 });

  assert.deepEqual(wounded.base, { index: 4, term: 1, chain: log[3]?.chain });
  assert.deepEqual(
    wounded.configurations.map(({ index }) => index),
    [2],
  );
  const broken = (await disk.reopen({ index: 4, term: 1 })).configurations;
  assert.deepEqual(broken, wounded.configurations);
});

test('term and vote are not durable before the ballot file is, and a vote in either place holds', async () => {
  const { disk, store } = await filled();
  const replace = disk.ballot.replace;
  let release = (): void => {};
  Object.assign(disk.ballot, {
    replace: (content: Uint8Array, done: (error: Error | null) => void) => {
      release = () => replace(content, done);
    },
  });
  let isDone = false;
  appendTo(store, [], { term: 8, vote: 'n5', commit: 0 }).then(
    () => {
      isDone = true;
    },
    () => {},
  );
  for (let step = 0; step < 20; step += 1) {
    disk.clock.advance(1);
    await Promise.resolve();
  }
  assert.equal(isDone, false);
  release();
  disk.clock.advance(1);
  for (let step = 0; step < 8; step += 1) await Promise.resolve();
  assert.equal(isDone, true);
  Object.assign(disk.ballot, { replace });

  disk.ballotBytes = encodeBallot(clusterHash(UUID), { term: 9, vote: 'n1', configurations: [] });
  assert.deepEqual((await disk.reopen()).hardState, { term: 9, vote: 'n1', commit: 0 });
  disk.ballotBytes = encodeBallot(clusterHash(UUID), { term: 9, vote: 'other', configurations: [] });
  await assert.rejects(disk.open(), { code: 'storage-failed', message: /two votes in term 9/ });
  disk.ballotBytes = encodeBallot(clusterHash('another'), { term: 9, vote: 'n1', configurations: [] });
  await assert.rejects(disk.open(), { code: 'foreign-directory' });
});

test('a flipped bit anywhere in the ballot file or in the note is found, and costs nothing while the log is whole', async () => {
  const { disk, store } = await filled();
  const point = { index: 60, term: 2, chain: 5 };
  await disk.append(store, [], { term: 2, vote: 'n3', commit: 12 });
  await disk.run(new Promise((resolve) => store.noteInstall(point, NO_CONFIGURATION, resolve)));
  const ballot = Buffer.from(disk.ballotBytes ?? []);
  for (let at = 0; at < ballot.length * 8; at += 1) {
    disk.ballotBytes = flipped(ballot, at);
    const again = await disk.open();
    assert.deepEqual([again.isWounded, again.hardState], [false, { term: 2, vote: 'n3', commit: 12 }], `bit ${at}`);
    assert.deepEqual(Buffer.from(disk.ballotBytes), ballot);
  }
  const note = Buffer.from(disk.storage.get('installing') ?? []);
  for (let at = 0; at < note.length * 8; at += 1) {
    await disk.write([{ type: 'put', key: 'installing', value: flipped(note, at) }]);
    assert.equal(decodeNote(flipped(note, at)), undefined);
  }
  // The state has gone ahead, and nobody knows why.
  const lost = await disk.open({ index: 60, term: 2 });
  assert.deepEqual([lost.isWounded, lost.base], [true, { index: 60, term: 2, chain: UNKNOWN_CHAIN }]);
});

test('an announced snapshot makes up for a hole below it', async () => {
  const { disk, store } = await filled();
  const point = { index: 60, term: 2, chain: 5 };
  await disk.run(new Promise((resolve) => store.noteInstall(point, NO_CONFIGURATION, resolve)));
  await disk.write([{ type: 'delete', key: recordKey(9) }]);

  const again = await disk.open({ index: 60, term: 2 });

  assert.deepEqual([again.isWounded, again.base], [false, point]);
});

test('a state that went ahead by an announced snapshot resets the log; without the note the log is wounded', async () => {
  const { disk, store } = await filled();
  const open = await disk.reopen({ index: 40, term: 1 });
  assert.equal(open.lastIndex, store.lastIndex);
  const point = { index: 60, term: 2, chain: 5 };

  await disk.run(new Promise((resolve) => open.noteInstall(point, NO_CONFIGURATION, resolve)));
  const again = await disk.reopen({ index: 60, term: 2 });

  assert.deepEqual([again.base, again.lastIndex], [point, 60]);
  assert.deepEqual(again.hardState, { term: 2, vote: null, commit: 60 });
  assert.deepEqual((await disk.reopen({ index: 60, term: 2 })).base, point);

  const unannounced = (await filled()).disk;
  const lost = await unannounced.reopen({ index: 60, term: 2 });
  assert.match(lost.woundText ?? '', /the state has applied entry 60 of term 2, the log ends at 40/);
});
