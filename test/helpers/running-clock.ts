import type { Clock } from '../../src/base/time.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

/** A virtual clock that moves itself to its next timer whenever the event loop is idle: no waiting, no driving. */
export function runningClock(): Clock {
  const clock = new VirtualClock();
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delayMs, run) => {
      setImmediate(() => clock.runNext());
      return clock.after(delayMs, run);
    },
  };
}
