import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { matchesBody } from '../../src/executors/body-pattern.ts';
import { BodyStart } from '../../src/executors/body-start.ts';
import { tailText } from '../../src/executors/finishes.ts';
import { findCulprit } from '../../src/executors/memory-culprit.ts';
import { Tail } from '../../src/executors/tail.ts';
import { Tombstones } from '../../src/executors/tombstones.ts';
import { WriteQueue } from '../../src/executors/write-queue.ts';

test('a tail is the end of all that was written, and counts all', () => {
  const property = fc.property(
    fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 600 }),
    fc.integer({ min: 1, max: 100 }),
    (writes, bytesMax) => {
      const tail = new Tail(bytesMax);
      for (const bytes of writes) tail.write(bytes);

      const all = Buffer.concat(writes);
      assert.equal(tail.totalBytes, all.length);
      assert.deepEqual(Buffer.from(tail.read()), Buffer.from(all.subarray(Math.max(0, all.length - bytesMax))));
    },
  );

  fc.assert(property);
});

test('the text of a tail never begins within a character', () => {
  const property = fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 4, max: 40 }), (text, bytesMax) => {
    const tail = tailText(Buffer.from(text), bytesMax);

    assert.ok(text.endsWith(tail));
    assert.ok(Buffer.byteLength(tail) > Math.min(Buffer.byteLength(text), bytesMax) - 4);
  });

  fc.assert(property);
});

test('the culprit: who explains the excess, else the biggest of the silent, else the biggest', () => {
  const honest = { memoryBytes: 300, silentMs: 0 };
  const small = { memoryBytes: 10, silentMs: 0 };
  const silent = { memoryBytes: 20, silentMs: 500 };

  assert.equal(findCulprit([small, honest, silent], 200), honest);
  assert.equal(findCulprit([small, honest, silent], 400), silent);
  assert.equal(findCulprit([small, honest], 400), honest);
  assert.equal(findCulprit([], 400), undefined);
});

test('tombstones are kept at least their time, and the older half goes at the bound', () => {
  const stones = new Tombstones({ keepMs: 100, countMax: 4, nowMs: 0 });
  stones.add('a', 'cancelled', 0);
  stones.expire(100);
  assert.equal(stones.get('a'), 'cancelled');
  stones.expire(200);
  assert.equal(stones.get('a'), undefined);

  for (const name of ['b', 'c', 'd', 'e', 'f']) stones.add(name, 'over', 200);

  assert.deepEqual(
    ['b', 'c', 'd', 'e', 'f'].map((name) => stones.get(name)),
    [undefined, undefined, 'over', 'over', 'over'],
  );
});

test('a put that has not left yet is undone without a write, one that has left is deleted', () => {
  const queue = new WriteQueue();
  const put = (key: string) => ({ type: 'put', key, value: new Uint8Array(1) }) as const;
  queue.add(put('a'));
  queue.undoPut({ type: 'delete', key: 'a' });
  assert.equal(queue.take(), null);

  queue.add(put('b'));
  assert.deepEqual(queue.take()?.length, 1);
  queue.undoPut({ type: 'delete', key: 'b' });
  assert.equal(queue.take(), null, 'one batch at a time');
  queue.written();

  assert.deepEqual(queue.take(), [{ type: 'delete', key: 'b' }]);
});

test('of a body the start is kept, without a character that is cut in two', () => {
  const start = new BodyStart(7);
  for (const text of ['ab', 'cdé', 'é', 'more', 'and more']) start.write(Buffer.from(text));

  assert.equal(start.text(), 'abcdé');
});

test('an expression that backtracks without end is given up, and the next one is not the worse for it', () => {
  const matches = (source: string, body: string, flags = '') => matchesBody({ source, flags }, body);

  assert.equal(matches('a+b', 'xaab'), true);
  assert.equal(matches('^b', 'ab'), false);
  assert.equal(matches('(a+a+)+b', 'a'.repeat(60)), 'too-slow');
  assert.equal(matches('ok', 'OK', 'i'), true);
});
