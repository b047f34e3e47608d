import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOfRun, lastAttempts } from '../../src/cli/exit-codes.ts';

const base = { outcome: 'failed', exit_code: null, signal: null };

test('the highest code of all targets counts, and only the last attempt of each', () => {
  const executions = [
    { ...base, id: 'r-0-1', exit_code: 9 },
    { ...base, id: 'r-0-2', exit_code: 2 },
    { ...base, id: 'r-1-1', exit_code: 3 },
  ];

  assert.equal(exitCodeOfRun('failed', executions), 3);
  assert.deepEqual(
    lastAttempts(executions).map((execution) => execution.id),
    ['r-0-2', 'r-1-1'],
  );
});

for (const [state, executions, code] of [
  [
    'succeeded',
    [
      { ...base, id: 'r-0-1', exit_code: 5 },
      { ...base, id: 'r-0-2', outcome: 'succeeded', exit_code: 0 },
    ],
    0,
  ],
  ['failed', [{ ...base, id: 'r-0-1', exit_code: 300 }], 255],
  ['failed', [{ ...base, id: 'r-0-1', exit_code: 0 }], 1],
  ['failed', [{ ...base, id: 'r-0-1', signal: 'SIGNOTHING' }], 1],
  ['cancelled', [], 130],
  ['missed', [], 1],
] as const) {
  test(`a run that is ${state} with ${JSON.stringify(executions)} ends with ${code}`, () => {
    assert.equal(exitCodeOfRun(state, executions), code);
  });
}
