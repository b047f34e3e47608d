import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

test('timers run by due time, those of one instant in the order in which they were set', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ delayMs: fc.nat(20), isCancelled: fc.boolean() })), (timers) => {
      const clock = new VirtualClock();
      const ran: number[] = [];
      const handles = timers.map(({ delayMs }, index) => clock.after(delayMs, () => ran.push(index)));
      timers.forEach(({ isCancelled }, index) => {
        if (isCancelled) handles[index]?.cancel();
      });

      clock.advance(20);

      const expected = timers
        .map((timer, index) => ({ ...timer, index }))
        .filter((timer) => !timer.isCancelled)
        .sort((left, right) => left.delayMs - right.delayMs || left.index - right.index)
        .map((timer) => timer.index);
      assert.deepEqual(ran, expected);
      assert.equal(clock.pending, 0);
    }),
  );
});

test('advance stops at each timer on its way, and runs those that are set meanwhile', () => {
  const clock = new VirtualClock(1000);
  const seen: [number, number][] = [];
  const tick = () => {
    seen.push([clock.monotonic(), clock.now()]);
    clock.after(10, tick);
  };
  clock.after(10, tick);

  clock.advance(35);

  assert.deepEqual(seen, [
    [10, 1010],
    [20, 1020],
    [30, 1030],
  ]);
  assert.equal(clock.monotonic(), 35);
});

test('a skewed wall clock moves neither monotonic time nor timers', () => {
  const clock = new VirtualClock(1000);
  let isRun = false;
  clock.after(10, () => {
    isRun = true;
  });

  clock.skewMs = 3_600_000;
  clock.advance(10);

  assert.equal(isRun, true);
  assert.equal(clock.monotonic(), 10);
  assert.equal(clock.now(), 3_601_010);
});

test('a view shares the time but has its own skew, and loses its timers alone', () => {
  const clock = new VirtualClock(0);
  const left = clock.view();
  const right = clock.view();
  const ran: string[] = [];
  left.after(10, () => ran.push('left before the crash'));
  right.after(10, () => ran.push('right'));
  right.skewMs = 5;

  left.dropTimers();
  left.after(10, () => ran.push('left after the crash'));
  clock.advance(10);

  assert.deepEqual(ran, ['right', 'left after the crash']);
  assert.equal(right.now(), 15);
  assert.equal(left.now(), 10);
  assert.equal(clock.pending, 0);
});

test('cancelled timers do not pile up', () => {
  const clock = new VirtualClock();
  const ran: number[] = [];
  clock.after(5, () => ran.push(1));

  for (let index = 0; index < 50_000; index++) clock.after(10 + index, () => ran.push(2)).cancel();

  assert.equal(clock.pending, 1);
  assert.equal(clock.runNext(), true);
  assert.equal(clock.runNext(), false);
  assert.deepEqual(ran, [1]);
  assert.equal(clock.monotonic(), 5);
});
