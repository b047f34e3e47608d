import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Supervision } from '../../src/actors/actor.ts';
import { decideAfterFailure } from '../../src/actors/supervision.ts';

const restart = (escalate: 'stop' | 'stop-process'): Supervision => ({
  type: 'restart',
  restartsMax: 3,
  withinMs: 1000,
  backoffMs: 50,
  backoffMsMax: 150,
  escalate,
});

const CASES: readonly {
  readonly name: string;
  readonly strategy: Supervision;
  readonly restartsMs: readonly number[];
  readonly expected: unknown;
}[] = [
  { name: 'stop stops', strategy: { type: 'stop' }, restartsMs: [], expected: { type: 'stop' } },
  {
    name: 'stop-process stops the process',
    strategy: { type: 'stop-process' },
    restartsMs: [],
    expected: { type: 'stop-process' },
  },
  {
    name: 'the first restart waits the backoff',
    strategy: restart('stop'),
    restartsMs: [],
    expected: { type: 'restart', delayMs: 50, restartsMs: [5000] },
  },
  {
    name: 'the second restart waits twice the backoff',
    strategy: restart('stop'),
    restartsMs: [4900],
    expected: { type: 'restart', delayMs: 100, restartsMs: [4900, 5000] },
  },
  {
    name: 'the backoff has a bound',
    strategy: restart('stop'),
    restartsMs: [4800, 4900],
    expected: { type: 'restart', delayMs: 150, restartsMs: [4800, 4900, 5000] },
  },
  {
    name: 'one more than allowed escalates to stop',
    strategy: restart('stop'),
    restartsMs: [4700, 4800, 4900],
    expected: { type: 'stop' },
  },
  {
    name: 'one more than allowed escalates to stop-process',
    strategy: restart('stop-process'),
    restartsMs: [4700, 4800, 4900],
    expected: { type: 'stop-process' },
  },
  {
    name: 'restarts outside of the window count no more',
    strategy: restart('stop'),
    restartsMs: [3900, 4000, 4001],
    expected: { type: 'restart', delayMs: 100, restartsMs: [4001, 5000] },
  },
];

for (const { name, strategy, restartsMs, expected } of CASES) {
  test(name, () => {
    assert.deepEqual(decideAfterFailure(strategy, restartsMs, 5000), expected);
  });
}
