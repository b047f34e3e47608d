import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeasedCache } from '../../src/executors/leased-cache.ts';

function setup(countMax: number) {
  const dropped: string[] = [];
  const made: string[] = [];
  const cache = new LeasedCache<string>({ countMax, drop: (value) => dropped.push(value) });
  const lease = (key: string) =>
    cache.lease(key, () => {
      made.push(key);
      return key;
    });
  const use = (...keys: readonly string[]) => {
    for (const key of keys) lease(key).release();
  };
  return { cache, lease, use, made, dropped };
}

test('what is there is used again', () => {
  const { use, made } = setup(2);

  use('a', 'a', 'b', 'a');

  assert.deepEqual(made, ['a', 'b']);
});

test('above the bound the one that was not used for longest goes, however old', () => {
  const { use, dropped } = setup(2);

  use('a', 'b', 'a', 'c');

  assert.deepEqual(dropped, ['b']);
});

test('what is in use stays, above the bound too, and goes once it is released', () => {
  const { cache, lease, use, dropped } = setup(1);
  const first = lease('a');
  const again = lease('a');
  const other = lease('b');
  use('c');
  assert.deepEqual([cache.size, dropped], [2, ['c']]);

  first.release();
  assert.deepEqual(dropped, ['c']);
  again.release();
  other.release();

  assert.deepEqual([cache.size, dropped], [1, ['c', 'a']]);
});

test('what cannot be made leaves nothing behind', () => {
  const { cache } = setup(1);

  const failing = () =>
    cache.lease('a', () => {
      throw new Error('no such file');
    });

  assert.throws(failing, /no such file/);
  assert.equal(cache.size, 0);
});
