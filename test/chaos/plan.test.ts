import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_KINDS, planFaults } from './plan.ts';

const MINUTE_MS = 60_000;

test('one seed is one plan, and another is another', () => {
  const options = { seed: 7, loadMs: 5 * MINUTE_MS, kinds: FAULT_KINDS };

  assert.deepEqual(planFaults(options), planFaults(options));
  assert.notDeepEqual(planFaults(options), planFaults({ ...options, seed: 8 }));
});

test('all faults have ended when the load does, and each lasts', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const loadMs = (1 + (seed % 15)) * MINUTE_MS;

    for (const { atMs, durationMs, draw } of planFaults({ seed, loadMs, kinds: FAULT_KINDS })) {
      assert.ok(atMs >= 1_000 && durationMs >= 200 && atMs + durationMs <= loadMs, `seed ${seed}`);
      assert.ok(draw >= 0 && draw < 1);
    }
  }
});

test('fifteen minutes have every kind several times', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const plan = planFaults({ seed, loadMs: 15 * MINUTE_MS, kinds: FAULT_KINDS });

    for (const kind of FAULT_KINDS) {
      assert.ok(plan.filter((fault) => fault.kind === kind).length >= 3, `seed ${seed}: ${kind}`);
    }
  }
});

test('NATS is away for up to a minute in a long run, and for seconds in a short one', () => {
  const longest = (loadMs: number): number => {
    const plans = Array.from({ length: 50 }, (_unused, seed) => planFaults({ seed, loadMs, kinds: ['nats-kill'] }));
    return Math.max(...plans.flat().map(({ durationMs }) => durationMs));
  };

  assert.ok(longest(15 * MINUTE_MS) > 50_000);
  assert.ok(longest(MINUTE_MS) <= 12_000);
});
