import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CodedError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { MemoryDrive } from '../../src/store/memory-disk.ts';
import { type CrashMode, MemoryDatabase } from '../../src/store/memory-storage.ts';
import type { Storage } from '../../src/store/storage.ts';
import { bytes, text } from '../suites/disk.ts';
import { hasCode, put } from '../suites/storage-calls.ts';

function setup({ writeDelayMs = () => 10 }: { writeDelayMs?: () => number } = {}) {
  const clock = new VirtualClock();
  const database = new MemoryDatabase({ label: 'memory', clock, writeDelayMs });
  return { clock, database, storage: database.open() };
}

describe('a batch on its way', () => {
  test('a batch is invisible until its delay has passed', () => {
    const { clock, storage } = setup();
    const done: (Error | null)[] = [];
    storage.write([put('a', '1')], (error) => done.push(error));

    clock.advance(9);
    assert.equal(storage.get('a'), undefined);
    assert.deepEqual(done, []);
    clock.advance(1);

    assert.equal(text(storage.get('a')), '1');
    assert.deepEqual(done, [null]);
  });

  test('a batch with a short delay does not overtake one with a long delay', () => {
    const delaysMs = [50, 1];
    const { clock, storage } = setup({ writeDelayMs: () => delaysMs.shift() ?? 0 });
    const order: string[] = [];
    storage.write([put('a', '1')], () => order.push('slow'));
    storage.write([put('a', '2')], () => order.push('fast'));

    clock.advance(49);
    assert.deepEqual(order, []);
    clock.advance(1);

    assert.deepEqual(order, ['slow', 'fast']);
    assert.equal(text(storage.get('a')), '2');
  });

  test('a frozen disk finishes nothing, reads go on, and thawing finishes what came due', () => {
    const { clock, database, storage } = setup();
    storage.write([put('a', '1')], () => {});
    clock.advance(10);
    database.freeze();
    const done: string[] = [];
    storage.write([put('b', '2')], () => done.push('b'));
    storage.write([put('c', '3')], () => done.push('c'));

    clock.advance(60_000);
    assert.deepEqual(done, []);
    assert.equal(text(storage.get('a')), '1');
    database.thaw();
    clock.advance(0);

    assert.deepEqual(done, ['b', 'c']);
  });
});

describe('a crash', () => {
  const crashed = (seed: number, mode: CrashMode): string => {
    const { clock, database, storage } = setup();
    storage.write([put('done', '1')], () => {});
    clock.advance(10);
    for (const name of ['a', 'b', 'c', 'd']) storage.write([put(name, '1'), put(`${name}-twin`, '1')], () => {});
    database.crash(seededRandom(seed), mode);
    const after = database.open();
    assert.equal(text(after.get('done')), '1', 'what was done is lost');
    return ['a', 'b', 'c', 'd']
      .filter((name) => {
        assert.equal(after.get(name) === undefined, after.get(`${name}-twin`) === undefined, 'a batch was torn');
        return after.get(name) !== undefined;
      })
      .join('');
  };
  const seeds = Array.from({ length: 200 }, (_, index) => index);

  test('a killed process leaves some first batches, whole, of those that were not done', () => {
    const outcomes = new Set(seeds.map((seed) => crashed(seed, 'prefix')));

    assert.deepEqual([...outcomes].sort(), ['', 'a', 'ab', 'abc', 'abcd']);
  });

  test('power loss leaves any subset, of whole batches, of those that were not done', () => {
    const outcomes = new Set(seeds.map((seed) => crashed(seed, 'any-subset')));

    assert.equal(outcomes.size, 16);
  });

  test('the same seed leaves the same batches', () => {
    assert.deepEqual(
      seeds.map((seed) => crashed(seed, 'any-subset')),
      seeds.map((seed) => crashed(seed, 'any-subset')),
    );
  });

  test('nothing is called back any more in a process that crashed', () => {
    const { clock, database, storage } = setup();
    const called: string[] = [];
    storage.write([put('a', '1')], () => called.push('write'));
    storage.scan({ from: 'a', to: 'b', limit: 1 }, () => called.push('scan'));

    database.crash(seededRandom(1), 'prefix');
    storage.write([put('b', '1')], () => called.push('late write'));
    storage.scan({ from: 'a', to: 'b', limit: 1 }, () => called.push('late scan'));
    clock.advance(60_000);

    assert.deepEqual(called, []);
    assert.throws(() => storage.get('a'), hasCode('stopped'));
    assert.equal(database.isOpen, false);
  });
});

describe('an error', () => {
  const fail = (database: MemoryDatabase, clock: VirtualClock, storage: Storage): (Error | null)[] => {
    const errors: (Error | null)[] = [];
    database.fail('no space left');
    storage.write([put('a', '1')], (error) => errors.push(error));
    storage.write([put('b', '1')], (error) => errors.push(error));
    clock.advance(10);
    storage.write([put('c', '1')], (error) => errors.push(error));
    clock.advance(10);
    return errors;
  };

  test('after the first error every write and read fails with its reason', () => {
    const { clock, database, storage } = setup();
    const errors = fail(database, clock, storage);

    assert.equal(errors.length, 3);
    for (const error of errors) {
      assert.ok(error instanceof CodedError);
      assert.equal(error.code, 'storage-failed');
      assert.match(error.message, /no space left/);
    }
    assert.throws(() => storage.get('a'), hasCode('storage-failed'));
    assert.throws(() => storage.snapshot(), hasCode('storage-failed'));
  });

  test('what became of a failed batch is known only after the crash', () => {
    const found = new Set<boolean>();
    for (let seed = 0; seed < 50; seed += 1) {
      const { clock, database, storage } = setup();
      fail(database, clock, storage);
      database.crash(seededRandom(seed), 'any-subset');
      found.add(database.open().get('a') !== undefined);
    }

    assert.deepEqual([...found].sort(), [false, true]);
  });
});

describe('a memory drive', () => {
  test('a crash frees the lock, kills the old disk and keeps files and what was done', async () => {
    const clock = new VirtualClock();
    const drive = new MemoryDrive({ label: 'drive', clock, writeDelayMs: () => 5 });
    const old = drive.open();
    const storage = await old.openStorage('state');
    storage.write([put('a', '1')], () => {});
    clock.advance(5);
    await old.replaceFile('node.json', bytes('one'));
    assert.throws(() => drive.open(), hasCode('directory-unusable'));

    drive.crash(seededRandom(1), 'prefix');
    const disk = drive.open();

    assert.equal(text((await disk.openStorage('state')).get('a')), '1');
    assert.equal(text(await disk.readFile('node.json')), 'one');
    const pending = Symbol('pending');
    assert.equal(await Promise.race([old.readFile('node.json'), Promise.resolve(pending)]), pending);
  });

  test('a failing drive fails files and storages, those opened later included', async () => {
    const clock = new VirtualClock();
    const drive = new MemoryDrive({ label: 'drive', clock });
    const disk = drive.open();
    drive.fail('the disk is gone');
    const storage = await disk.openStorage('state');
    const errors: (Error | null)[] = [];

    storage.write([put('a', '1')], (error) => errors.push(error));
    clock.advance(0);

    assert.deepEqual(
      errors.map((error) => error instanceof CodedError && error.code),
      ['storage-failed'],
    );
    await assert.rejects(disk.replaceFile('node.json', bytes('x')), hasCode('storage-failed'));
  });

  test('free space is what the test says', async () => {
    const drive = new MemoryDrive({ label: 'drive', clock: new VirtualClock() });
    const disk = drive.open();
    assert.equal(await disk.freeBytes(), Number.POSITIVE_INFINITY);

    drive.setFreeBytes(7);

    assert.equal(await disk.freeBytes(), 7);
  });
});
