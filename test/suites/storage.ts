import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { endOfPrefix, type Storage, type Write } from '../../src/store/storage.ts';

/** One database that can be opened several times, and again after it was closed. */
import { ALL, byKey, hasCode, key, put, scan, scanKeys, scanRows, text, write } from './storage-calls.ts';

export interface StorageSubject {
  open(): Promise<Storage>;
  /** Removes it when the test is over. */
  dispose(): Promise<void>;
}

export interface StorageSuiteOptions {
  /** Whether a second open shares the database with the first, or is refused. Default `shared`. */
  readonly handles?: 'shared' | 'exclusive';
}

/** What every twin of the storage port must do. */
export function storageSuite(
  name: string,
  create: () => Promise<StorageSubject>,
  { handles = 'shared' }: StorageSuiteOptions = {},
): void {
  const check = (title: string, body: (storage: Storage, subject: StorageSubject) => Promise<void>): void => {
    test(title, async () => {
      const subject = await create();
      try {
        const storage = await subject.open();
        await body(storage, subject);
        await storage.close();
      } finally {
        await subject.dispose();
      }
    });
  };

  describe(`${name}: rows`, () => {
    check('a key that was never put is absent', async (storage) => {
      assert.equal(storage.get('a'), undefined);
      assert.deepEqual(await scan(storage, ALL), []);
    });

    check('a put is seen once it is done', async (storage) => {
      await write(storage, put('a', 'one'));

      assert.equal(text(storage.get('a')), 'one');
    });

    check('a second put replaces the value', async (storage) => {
      await write(storage, put('a', 'one'));
      await write(storage, put('a', 'two'));

      assert.equal(text(storage.get('a')), 'two');
      assert.deepEqual(await scan(storage, ALL), ['a=two']);
    });

    check('a delete removes the row', async (storage) => {
      await write(storage, put('a', 'one'), put('b', 'two'));
      await write(storage, { type: 'delete', key: 'a' });

      assert.equal(storage.get('a'), undefined);
      assert.deepEqual(await scan(storage, ALL), ['b=two']);
    });

    check('a delete of a missing key does nothing', async (storage) => {
      await write(storage, put('b', 'two'));
      await write(storage, { type: 'delete', key: 'a' });

      assert.deepEqual(await scan(storage, ALL), ['b=two']);
    });

    check('a value may be empty, which is not absent', async (storage) => {
      await write(storage, put('a', ''));

      assert.equal(storage.get('a')?.byteLength, 0);
      assert.deepEqual(await scan(storage, ALL), ['a=']);
    });

    check('a value keeps every byte', async (storage) => {
      const value = Uint8Array.from({ length: 256 }, (_, index) => index);
      await write(storage, { type: 'put', key: 'bytes', value });

      const [row] = await scanRows(storage, ALL);

      assert.deepEqual([...(storage.get('bytes') ?? [])], [...value]);
      assert.deepEqual([...(row?.value ?? [])], [...value]);
    });

    check('a value may be a view into a larger buffer', async (storage) => {
      const whole = new TextEncoder().encode('__inner__');
      await write(storage, { type: 'put', key: 'view', value: whole.subarray(2, 7) });

      assert.equal(text(storage.get('view')), 'inner');
    });

    check('a value of a megabyte comes back whole', async (storage) => {
      const value = new Uint8Array(1 << 20).fill(7);
      value[value.length - 1] = 9;
      await write(storage, { type: 'put', key: 'large', value });

      const read = storage.get('large');

      assert.equal(read?.byteLength, value.byteLength);
      assert.equal(read?.at(-1), 9);
    });

    check('a long key is a key like any other', async (storage) => {
      const key = 'k'.repeat(1_000);
      await write(storage, put(key, 'one'));
      await write(storage, put(`${key}k`, 'two'));

      assert.equal(text(storage.get(key)), 'one');
      assert.equal(text(storage.get(`${key}k`)), 'two');
    });

    check('a key that is empty or not printable ASCII is our own bug', async (storage) => {
      for (const key of ['', 'é', 'a\x00', 'a\x7f']) {
        assert.throws(() => storage.write([put(key, 'x')], () => {}), { name: 'AssertionError' });
      }
    });
  });

  describe(`${name}: batches`, () => {
    check('a batch is seen whole', async (storage) => {
      await write(storage, put('a', '1'), put('b', '2'), put('c', '3'));

      assert.deepEqual(await scan(storage, ALL), ['a=1', 'b=2', 'c=3']);
    });

    check('the last write to a key in a batch holds: delete, then put', async (storage) => {
      await write(storage, put('a', 'old'));
      await write(storage, { type: 'delete', key: 'a' }, put('a', 'new'));

      assert.equal(text(storage.get('a')), 'new');
    });

    check('the last write to a key in a batch holds: put, then delete', async (storage) => {
      await write(storage, put('a', 'old'));
      await write(storage, put('a', 'new'), { type: 'delete', key: 'a' });

      assert.equal(storage.get('a'), undefined);
    });

    check('an empty batch is done too', async (storage) => {
      await write(storage);

      assert.deepEqual(await scan(storage, ALL), []);
    });

    check('an empty batch is done after those before it', async (storage) => {
      const order: string[] = [];
      const first = write(storage, put('a', '1')).then(() => order.push('first'));
      const second = write(storage).then(() => order.push('second'));

      await Promise.all([first, second]);

      assert.deepEqual(order, ['first', 'second']);
    });

    check('done is never called before write has returned', async (storage) => {
      let hasReturned = false;
      const done = new Promise<boolean>((resolve) => {
        storage.write([put('a', '1')], () => resolve(hasReturned));
      });
      hasReturned = true;

      assert.equal(await done, true);
    });

    check('batches given at once are done in the order given', async (storage) => {
      const order: number[] = [];

      await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          await write(storage, put(`k${index}`, 'x'), put('last', String(index)));
          order.push(index);
        }),
      );

      assert.deepEqual(
        order,
        Array.from({ length: 100 }, (_, index) => index),
      );
      assert.equal(text(storage.get('last')), '99');
    });

    check('a batch can be written from within done', async (storage) => {
      await new Promise<void>((resolve, reject) => {
        storage.write([put('a', '1')], () => {
          storage.write([put('b', '2')], (error) => (error === null ? resolve() : reject(error)));
        });
      });

      assert.deepEqual(await scan(storage, ALL), ['a=1', 'b=2']);
    });

    check('a batch of ten thousand writes is one batch', async (storage) => {
      await write(storage, ...Array.from({ length: 10_000 }, (_, index) => put(key(index), 'x')));

      const rows = await scanRows(storage, { ...ALL, limit: 20_000 });

      assert.equal(rows.length, 10_000);
      assert.equal(rows.at(-1)?.key, key(9_999));
    });
  });

  describe(`${name}: scans`, () => {
    const filled = (title: string, body: (storage: Storage) => Promise<void>): void =>
      check(title, async (storage) => {
        await write(storage, ...['b/2', 'a', 'c', 'b/10', 'b', 'b/1', 'b0'].map((name) => put(name, name)));
        await body(storage);
      });

    filled('rows come in ASCII order', async (storage) => {
      assert.deepEqual(await scanKeys(storage, ALL), ['a', 'b', 'b/1', 'b/10', 'b/2', 'b0', 'c']);
    });

    filled('a range has its start and not its end', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { from: 'b', to: 'c', limit: 100 }), ['b', 'b/1', 'b/10', 'b/2', 'b0']);
    });

    filled('bounds need not be keys', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { from: 'aa', to: 'b/11', limit: 100 }), ['b', 'b/1', 'b/10']);
    });

    filled('endOfPrefix bounds exactly the keys that start with the prefix', async (storage) => {
      const range = { from: 'b/', to: endOfPrefix('b/'), limit: 100 };

      assert.deepEqual(await scanKeys(storage, range), ['b/1', 'b/10', 'b/2']);
    });

    filled('reverse starts at the end of the range', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { from: 'b', to: 'c', limit: 100, reverse: true }), [
        'b0',
        'b/2',
        'b/10',
        'b/1',
        'b',
      ]);
    });

    filled('a limit cuts at the far end', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { ...ALL, limit: 2 }), ['a', 'b']);
      assert.deepEqual(await scanKeys(storage, { ...ALL, limit: 2, reverse: true }), ['c', 'b0']);
    });

    filled('a limit of zero gives nothing, one without bound gives all', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { ...ALL, limit: 0 }), []);
      assert.equal((await scanKeys(storage, { ...ALL, limit: Number.POSITIVE_INFINITY })).length, 7);
    });

    filled('an empty or inverted range gives nothing', async (storage) => {
      assert.deepEqual(await scanKeys(storage, { from: 'b', to: 'b', limit: 100 }), []);
      assert.deepEqual(await scanKeys(storage, { from: 'c', to: 'a', limit: 100 }), []);
      assert.deepEqual(await scanKeys(storage, { from: 'c', to: 'a', limit: 100, reverse: true }), []);
      assert.deepEqual(await scanKeys(storage, { from: 'd', to: 'e', limit: 100 }), []);
    });

    filled('a scan goes on from the last key of the one before', async (storage) => {
      const first = await scanKeys(storage, { ...ALL, limit: 3 });
      const second = await scanKeys(storage, { ...ALL, from: `${first.at(-1)} `, limit: 100 });

      assert.deepEqual([...first, ...second], await scanKeys(storage, ALL));
    });

    filled('done is never called from within scan', async (storage) => {
      let hasReturned = false;
      const done = new Promise<boolean>((resolve) => {
        storage.scan(ALL, () => resolve(hasReturned));
      });
      hasReturned = true;

      assert.equal(await done, true);
    });

    filled('a scan sees the moment it was asked for', async (storage) => {
      const asked = scanKeys(storage, { from: 'c', to: 'e', limit: 100 });
      await write(storage, put('d', 'late'));

      assert.deepEqual(await asked, ['c']);
    });

    check('many rows come in order, forwards and backwards', async (storage) => {
      const keys = Array.from({ length: 5_000 }, (_, index) => key((index * 7_919) % 5_000));
      await write(storage, ...keys.map((name) => put(name, 'x')));

      const forwards = await scanKeys(storage, { ...ALL, limit: 10_000 });
      const backwards = await scanKeys(storage, { ...ALL, limit: 10_000, reverse: true });

      assert.deepEqual(forwards, keys.toSorted());
      assert.deepEqual(backwards, forwards.toReversed());
    });

    check('rows larger than a read-ahead buffer come whole', async (storage) => {
      const value = 'v'.repeat(200_000);
      await write(storage, ...Array.from({ length: 10 }, (_, index) => put(key(index), value)));

      const rows = await scanRows(storage, ALL);

      assert.equal(rows.length, 10);
      assert.ok(rows.every((row) => row.value.byteLength === 200_000));
    });

    check('random writes give what a plain map gives', async (storage) => {
      const random = seededRandom(11);
      const model = new Map<string, string>();
      for (let round = 0; round < 60; round += 1) {
        const batch = Array.from({ length: 25 }, (): Write => {
          const name = key(Math.floor(random() * 400));
          return random() < 0.6 ? put(name, String(random())) : { type: 'delete', key: name };
        });
        for (const item of batch) {
          if (item.type === 'put') model.set(item.key, text(item.value) ?? '');
          else model.delete(item.key);
        }
        await write(storage, ...batch);
        const [from = '', to = ''] = [key(Math.floor(random() * 400)), key(Math.floor(random() * 400))].sort();
        const limit = Math.floor(random() * 30);
        const reverse = random() < 0.5;

        const expected = [...model].filter(([name]) => name >= from && name < to).sort(byKey);
        if (reverse) expected.reverse();

        assert.deepEqual(
          await scan(storage, { from, to, limit, reverse }),
          expected.slice(0, limit).map(([name, value]) => `${name}=${value}`),
          `seed 11, round ${round}`,
        );
      }
    });
  });

  describe(`${name}: snapshots`, () => {
    check('a snapshot does not see later puts, replacements and deletes', async (storage) => {
      await write(storage, put('a', '1'), put('b', '2'));
      const snapshot = storage.snapshot();
      await write(storage, put('a', 'changed'), { type: 'delete', key: 'b' }, put('c', '3'));

      assert.deepEqual(await scan(snapshot, ALL), ['a=1', 'b=2']);
      assert.deepEqual(await scan(storage, ALL), ['a=changed', 'c=3']);
      snapshot.close();
    });

    check('two snapshots each keep their own moment', async (storage) => {
      await write(storage, put('a', '1'));
      const first = storage.snapshot();
      await write(storage, put('a', '2'));
      const second = storage.snapshot();
      await write(storage, put('a', '3'));

      assert.deepEqual(await scan(first, ALL), ['a=1']);
      assert.deepEqual(await scan(second, ALL), ['a=2']);
      first.close();
      assert.deepEqual(await scan(second, ALL), ['a=2']);
      second.close();
    });

    check('a large snapshot stays whole under many writes', async (storage) => {
      await write(storage, ...Array.from({ length: 2_000 }, (_, index) => put(key(index), 'old')));
      const snapshot = storage.snapshot();
      for (let index = 0; index < 2_000; index += 100) {
        await write(storage, { type: 'delete', key: key(index) }, put(key(index + 1), 'new'), put(`z${index}`, 'new'));
      }

      const rows = await scan(snapshot, { ...ALL, limit: 10_000 });

      assert.equal(rows.length, 2_000);
      assert.ok(rows.every((row) => row.endsWith('=old')));
      snapshot.close();
    });

    check('a snapshot has ranges, limits and reverse', async (storage) => {
      await write(storage, put('a', '1'), put('b', '2'), put('c', '3'));
      const snapshot = storage.snapshot();

      assert.deepEqual(await scan(snapshot, { from: 'a', to: 'c', limit: 1, reverse: true }), ['b=2']);
      snapshot.close();
    });

    check('a closed snapshot refuses scans, and may be closed twice', async (storage) => {
      const snapshot = storage.snapshot();
      snapshot.close();
      snapshot.close();

      await assert.rejects(scan(snapshot, ALL), hasCode('stopped'));
    });
  });

  describe(`${name}: opening and closing`, () => {
    check('what is done is there after closing and opening again', async (storage, subject) => {
      await write(storage, put('a', '1'), put('b', ''));
      await write(storage, { type: 'delete', key: 'a' }, put('c', '3'));
      await storage.close();
      const again = await subject.open();

      assert.deepEqual(await scan(again, ALL), ['b=', 'c=3']);
      await again.close();
    });

    check('close finishes the batches that were given before', async (storage, subject) => {
      const written = write(storage, put('a', '1'));
      const writtenToo = write(storage, put('b', '2'));
      await storage.close();
      await written;
      await writtenToo;
      const again = await subject.open();

      assert.deepEqual(await scan(again, ALL), ['a=1', 'b=2']);
      await again.close();
    });

    check('a closed storage refuses everything, and may be closed twice', async (storage) => {
      await storage.close();
      await storage.close();

      assert.throws(() => storage.get('a'), hasCode('stopped'));
      assert.throws(() => storage.snapshot(), hasCode('stopped'));
      await assert.rejects(write(storage, put('a', '1')), hasCode('stopped'));
      await assert.rejects(scan(storage, ALL), hasCode('stopped'));
    });

    if (handles === 'exclusive') {
      check('a second handle is refused while the first is open', async (_storage, subject) => {
        await assert.rejects(subject.open(), hasCode('directory-unusable'));
      });
      return;
    }

    check('a second handle sees what the first has done, and the other way round', async (storage, subject) => {
      const other = await subject.open();
      await write(storage, put('a', '1'));
      assert.equal(text(other.get('a')), '1');
      await write(other, put('b', '2'));
      assert.equal(text(storage.get('b')), '2');

      assert.deepEqual(await scan(other, ALL), ['a=1', 'b=2']);
      await other.close();
    });

    check('closing one handle leaves the other open', async (storage, subject) => {
      const other = await subject.open();
      await write(other, put('a', '1'));
      await other.close();

      await write(storage, put('b', '2'));

      assert.deepEqual(await scan(storage, ALL), ['a=1', 'b=2']);
    });
  });
}
