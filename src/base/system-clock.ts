import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from './time.ts';

/** The longest delay that `setTimeout` takes; a longer one would run at once. */
const CHUNK_MS_MAX = 2 ** 31 - 1;

/** The machine's clock. A call never comes early, not even by a fraction of a millisecond: leases rest on it. */
export class SystemClock implements Clock {
  readonly #isUnref: boolean;

  /** With `unref`, pending timers do not keep the process (or thread) alive. */
  constructor(options: { readonly unref?: boolean } = {}) {
    this.#isUnref = options.unref ?? false;
  }

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  after(delayMs: number, run: () => void): Timer {
    return new SystemTimer(Math.max(0, delayMs), run, this.#isUnref);
  }
}

class SystemTimer implements Timer {
  readonly #dueMs: number;
  readonly #isUnref: boolean;
  #run: (() => void) | undefined;
  #timeout: NodeJS.Timeout;

  constructor(delayMs: number, run: () => void, isUnref: boolean) {
    this.#dueMs = performance.now() + delayMs;
    this.#isUnref = isUnref;
    this.#run = run;
    this.#timeout = this.#arm(delayMs);
  }

  cancel(): void {
    this.#run = undefined;
    clearTimeout(this.#timeout);
  }

  #arm(delayMs: number): NodeJS.Timeout {
    const timeout = setTimeout(() => this.#fire(), Math.min(Math.ceil(delayMs), CHUNK_MS_MAX));
    if (this.#isUnref) timeout.unref();
    return timeout;
  }

  /** The due time is fixed at the start, so the pieces of a long delay do not add up their errors. */
  #fire(): void {
    const leftMs = this.#dueMs - performance.now();
    if (leftMs > 0) {
      this.#timeout = this.#arm(leftMs);
      return;
    }
    const run = this.#run;
    this.#run = undefined;
    run?.();
  }
}
