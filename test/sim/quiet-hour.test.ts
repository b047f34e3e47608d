import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUIET } from './plan.ts';
import { simulate } from './simulate.ts';

const HOUR_MS = 3_600_000;

test('in a quiet hour one leader is elected and every instant has its outcome', async () => {
  const report = await simulate({ seed: 1, virtualMs: HOUR_MS, plan: { ...QUIET, operateEveryMs: 60_000 } });

  assert.equal(report.failure, null, `${report.failure?.message}\n${report.failure?.lastLines}`);
  // The last one was ordered, to end the story: the hour itself saw one.
  assert.equal(report.operator.transferred, 1);
  assert.equal(report.elections - report.operator.transferred, 1);
  assert.equal(report.counts.failed, 0);
});
