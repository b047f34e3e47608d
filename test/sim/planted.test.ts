import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { MISTAKES } from './mistakes.ts';
import { plantAndRun } from './planted.ts';

/** Those that show within a few seeds; `planted.ts` plants them all. */
const SEEDS_MAX = 3;
const EVENTS = 20_000;

test('every mistake still has its one place in the code', async () => {
  for (const { name, file, find } of MISTAKES) {
    const text = await readFile(new URL(`../../src/${file}`, import.meta.url), 'utf8');

    assert.equal(text.split(find).length - 1, 1, `${name}: '${find}' in ${file}`);
  }
});

test('the simulation sees mistakes that are planted into a built copy', async (context) => {
  const quick = MISTAKES.filter(({ seedsMax }) => seedsMax <= SEEDS_MAX);
  assert(quick.length >= 6);

  for (const mistake of quick) {
    await context.test(mistake.name, async () => {
      const { isCaught, text } = await plantAndRun(mistake, EVENTS);

      assert(isCaught, `not caught within ${mistake.seedsMax} seeds: ${text}`);
    });
  }
});
