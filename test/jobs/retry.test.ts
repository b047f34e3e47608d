import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRetry, retryDelayMs } from '../../src/jobs/retry.ts';

test('the delay doubles from one second to thirty', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 100, 1_000_000].map(retryDelayMs);

  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
});

test('what follows an attempt depends on its outcome, its number and the job', () => {
  const sameNode = { type: 'retry', delayMs: 1_000, sameNode: true };
  const table = [
    ['succeeded', 1, 3, 'retry', { type: 'none' }],
    ['cancelled', 1, 3, 'retry', { type: 'none' }],
    ['failed', 1, 0, 'fail', { type: 'none' }],
    ['failed', 1, 1, 'fail', sameNode],
    ['failed', 2, 1, 'fail', { type: 'none' }],
    ['failed', 3, 3, 'fail', { type: 'retry', delayMs: 4_000, sameNode: true }],
    ['timed-out', 1, 1, 'fail', sameNode],
    ['timed-out', 2, 1, 'retry', { type: 'none' }],
    ['lost', 1, 3, 'fail', { type: 'none' }],
    ['lost', 1, 3, 'retry', { type: 'retry', delayMs: 1_000, sameNode: false }],
    ['lost', 4, 3, 'retry', { type: 'none' }],
    ['lost', 1, 0, 'retry', { type: 'none' }],
    ['refused', 1, 0, 'fail', { type: 'place-again' }],
    ['refused', 9, 3, 'fail', { type: 'place-again' }],
  ] as const;
  for (const [outcome, attempt, retries, onLost, expected] of table) {
    const decision = decideRetry({ outcome, attempt, retries, onLost });

    assert.deepEqual(decision, expected, `${outcome}, attempt ${attempt} of ${retries} retries, on lost ${onLost}`);
  }
});
