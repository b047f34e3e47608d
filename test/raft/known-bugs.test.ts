/** What `known-bugs.md` names must be there, under that name. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../helpers/project-root.ts';

const root = projectRoot();
const raft = join(root, 'test', 'raft');
const text = readFileSync(join(raft, 'known-bugs.md'), 'utf8');
const rows = text.split('\n').filter((line) => /^\| \d+ \|/.test(line));

test('the table has all 44 bugs in their order', () => {
  assert.deepEqual(
    rows.map((row) => Number(row.split('|')[1])),
    Array.from({ length: 44 }, (_, number) => number + 1),
  );
});

test('each scenario and each file that is named exists', () => {
  const missing = rows.flatMap((row) => [
    ...[...row.matchAll(/`([a-z0-9_]+\.txt)`/g)].filter(([, name]) => !existsSync(join(raft, name ?? ''))),
    ...[...row.matchAll(/test\/[a-z/-]+\.ts/g)].filter(([name]) => !existsSync(join(root, name))),
  ]);

  assert.deepEqual(
    missing.map(([name]) => name),
    [],
  );
});

test('each test and each planted mistake that is quoted exists under its name', () => {
  const sources = [...readdirSync(raft).filter((name) => name.endsWith('.test.ts')), '../sim/mistakes.ts'].map((name) =>
    readFileSync(join(raft, name), 'utf8'),
  );
  const quoted = rows.flatMap((row) => [...row.matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? ''));
  const missing = quoted.filter((name) => !sources.some((source) => source.includes(name)));

  assert(quoted.length > 40);
  assert.deepEqual(missing, []);
});
