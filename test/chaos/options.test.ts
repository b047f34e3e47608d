import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions } from './options.ts';
import { replayLine } from './report.ts';

test('without words it is a quarter of an hour of three servers with a drawn seed', () => {
  const options = readOptions([], () => 77);

  assert.equal(replayLine(options), 'npm run chaos -- --seed 77 --minutes 15 --servers 3 --nats 1');
});

test('the line that replays a run gives the same options', () => {
  const words = '--seed 4 --minutes 2.5 --servers 5 --nats 3 --faults nats-kill,disk-full'.split(' ');
  const options = readOptions(words, () => 0);

  const [, , , , ...again] = replayLine(options).split(' ');

  assert.deepEqual(
    readOptions(again, () => 1),
    options,
  );
});

const REFUSED = ['--seed -1', '--seed x', '--minutes 0', '--servers 4', '--nats 2', '--faults flood', '--speed 3'];

for (const words of REFUSED) {
  test(`refused: ${words}`, () => {
    assert.throws(() => readOptions(words.split(' '), () => 0));
  });
}
