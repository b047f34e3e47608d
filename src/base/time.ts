/** A pending call of `Clock.after`. Cancelling one that has run, or twice, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * The port through which everything that lives in time learns of it. Production uses `system-clock.ts`, tests and
 * the simulator `virtual-clock.ts`. Rules never get a `Clock`: they get numbers.
 */
export interface Clock {
  /** Wall clock, ms since 1970 UTC. May jump; only for nominal times and for what people read. */
  now(): number;
  /** Monotonic time in ms, with fractions. For durations, leases and deadlines. */
  monotonic(): number;
  /** Calls `run` once, `delayMs` from now (0 or more). Never before the caller has returned. */
  after(delayMs: number, run: () => void): Timer;
}
