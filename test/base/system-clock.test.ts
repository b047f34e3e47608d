import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SystemClock } from '../../src/base/system-clock.ts';

test('a timer runs once, never early, and never before the caller has returned', async () => {
  const clock = new SystemClock();
  const startMs = clock.monotonic();
  let hasReturned = false;

  const ranMs = await new Promise<number>((resolve) => {
    clock.after(20, () => {
      assert.equal(hasReturned, true);
      resolve(clock.monotonic());
    });
    hasReturned = true;
  });

  assert.ok(ranMs - startMs >= 20);
});

test('a cancelled timer does not run, and cancelling twice does nothing', async () => {
  const clock = new SystemClock();
  const timer = clock.after(1, () => assert.fail('it was cancelled'));

  timer.cancel();
  timer.cancel();

  await new Promise<void>((resolve) => clock.after(10, resolve));
});

test('a delay beyond the reach of setTimeout is cut into pieces instead of running at once', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let isRun = false;
    const timer = new SystemClock().after(2 ** 31 + 5000, () => {
      isRun = true;
    });

    mock.timers.tick(2 ** 31 - 1);
    mock.timers.tick(6000);

    // Only the fake timers have moved, so by the machine's monotonic time the call is still far away.
    assert.equal(isRun, false);
    timer.cancel();
  } finally {
    mock.timers.reset();
  }
});

test('an unref timer does not keep the process alive', () => {
  const clock = new SystemClock({ unref: true });

  clock.after(3_600_000, () => assert.fail('the process should have ended'));

  assert.ok(!process.getActiveResourcesInfo().includes('Timeout'));
});
