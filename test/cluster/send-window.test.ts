import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendWindow } from '../../src/cluster/send-window.ts';

test('what is not confirmed fills the window; what is makes room', () => {
  const window = new SendWindow({ bytesMax: 100, markEveryBytes: 40 });
  assert.deepEqual([window.take(30), window.mark()], [true, false]);
  assert.deepEqual([window.take(30), window.mark()], [true, true]);
  assert.deepEqual([window.take(40), window.mark()], [true, false], 'one mark at a time');
  assert.equal(window.take(1), false);

  window.confirm();

  assert.deepEqual([window.mark(), window.take(60), window.take(1)], [true, true, false]);
});

test('a new connection begins with an empty window', () => {
  const window = new SendWindow({ bytesMax: 100, markEveryBytes: 40 });
  window.take(60);
  window.mark();
  window.take(40);

  window.reset();

  assert.equal(window.take(100), true);
});
