import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './scenario.ts';

/** The scripts stay in the source tree; this file runs from the output folder, which lies one or two levels below. */
function findScripts(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const up of ['.', '../../../test/raft', '../../../../test/raft']) {
    const folder = join(here, up);
    try {
      if (readdirSync(folder).some((name) => name.endsWith('.txt'))) return folder;
    } catch {
      // Not there: try the next one.
    }
  }
  throw new Error('no scenario files found');
}

const folder = findScripts();

for (const name of readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .sort()) {
  test(`scenario ${name.replace('.txt', '').replaceAll('_', ' ')} runs as written`, () => {
    const path = join(folder, name);
    const expected = readFileSync(path, 'utf8');

    const actual = runScenario(expected);

    if (process.env['REWRITE'] === '1') writeFileSync(path, actual);
    else assert.equal(actual, expected);
  });
}
