import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { AskOutcome } from '../../src/actors/actor.ts';
import { setup } from './harness.ts';
import { lamp } from './lamp.ts';

test('the lamp of docs/actors.md goes out by itself', () => {
  const { system, advance, settle } = setup();
  const ref = system.spawn(lamp);
  const outcomes: AskOutcome<boolean>[] = [];
  const ask = () => ref.ask({ type: 'is-on' }, 1_000, (outcome) => outcomes.push(outcome));

  ref.send({ type: 'switch-on', forMs: 60_000 });
  ask();
  advance(60_000);
  ask();
  settle();

  assert.deepEqual(outcomes, [
    { type: 'answer', answer: true },
    { type: 'answer', answer: false },
  ]);
});

test('the lamp of docs/actors.md survives a message that it cannot handle', () => {
  const { system, advance } = setup();
  const ref = system.spawn(lamp);
  const outcomes: AskOutcome<boolean>[] = [];

  ref.send({ type: 'switch-on', forMs: -1 });
  ref.ask({ type: 'is-on' }, 1_000, (outcome) => outcomes.push(outcome));
  advance(100);

  assert.deepEqual(outcomes, [{ type: 'answer', answer: false }]);
  assert.equal(system.inspect()[0]?.restarts, 1);
});

test('docs/actors.md shows the lamp and its test as they are', () => {
  const document = read('docs/actors.md');
  const sources = [read('test/actors/lamp.ts'), read('test/actors/lamp.test.ts')];

  const blocks = [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

  assert.equal(blocks.length, 2);
  for (const block of blocks)
    assert.ok(
      sources.some((source) => source.includes(block)),
      block,
    );
});

/** Reads a file of the repository, from wherever this test was built to. */
function read(path: string): string {
  let folder = new URL('.', import.meta.url);
  while (!existsSync(new URL(`docs/actors.md`, folder))) {
    const parent = new URL('..', folder);
    assert.notEqual(parent.href, folder.href, 'docs/actors.md is not above this test');
    folder = parent;
  }
  return readFileSync(new URL(path, folder), 'utf8');
}
