import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, outputText, table, when } from '../../src/cli/output.ts';

const NOW_MS = Date.UTC(2026, 10, 25, 12);

for (const [ms, text] of [
  [0, '0ms'],
  [999, '999ms'],
  [1_440, '1.4s'],
  [59_999, '59s'],
  [90_000, '1m 30s'],
  [3_600_000, '1h'],
  [90_061_000, '1d 1h'],
  [86_400_000 + 5_000, '1d'],
] as const) {
  test(`${ms} ms is ${text}`, () => {
    assert.equal(duration(ms), text);
  });
}

for (const [instant, text] of [
  ['2026-11-25T12:01:30.5Z', 'in 1m 30s (2026-11-25 12:01:30Z)'],
  ['2026-11-25T11:00:00Z', '1h ago (2026-11-25 11:00:00Z)'],
  ['2026-11-25T12:00:00.2Z', 'now (2026-11-25 12:00:00Z)'],
  ['0001-01-01T00:00:00Z', '-'],
  [null, '-'],
] as const) {
  test(`${instant} reads ${text}`, () => {
    assert.equal(when(instant, NOW_MS), text);
  });
}

test('columns are aligned, and no cell moves the cursor', () => {
  const text = table(
    ['A', 'LONG'],
    [
      ['wide cell', 'x'],
      ['\u001b[31mred\u001b[0m\nnext', 'größer'],
    ],
    'none',
  );

  assert.equal(text, 'A          LONG\nwide cell  x\nred next   größer\n');
  assert.equal(table(['A'], [], 'none'), 'none\n');
});

test('output of one node is left as it is, that of several has the node in front', () => {
  assert.equal(outputText([{ node: 'a', output: 'x\n\ny' }]), 'x\n\ny\n');
  assert.equal(
    outputText([
      { node: 'a', output: 'x\n' },
      { node: 'long', output: '' },
      { node: 'b', output: '1\n2' },
    ]),
    'a    | x\nb    | 1\nb    | 2\n',
  );
});
