/** Ticks from the monotonic clock. */
import type { Clock, Timer } from '../base/time.ts';

export class TickTimer {
  readonly tickMs: number;
  readonly #clock: Clock;
  readonly #after: (delayMs: number) => Timer;
  #lastMs: number;
  #timer: Timer | null = null;

  /** `after` sends the actor a message, with which it calls `take`. */
  constructor(tickMs: number, clock: Clock, after: (delayMs: number) => Timer) {
    this.tickMs = tickMs;
    this.#clock = clock;
    this.#after = after;
    this.#lastMs = clock.monotonic();
    this.#arm();
  }

  /** The timer's own message may have met a full mailbox. */
  get isLate(): boolean {
    return this.#clock.monotonic() - this.#lastMs >= 2 * this.tickMs;
  }

  /**
   * The ticks that are due, and from when on the next is. A process that slept must not let all timeouts fire at once:
   * what is over two ticks late never was.
   */
  take(): number {
    this.#arm();
    const nowMs = this.#clock.monotonic();
    const due = Math.floor((nowMs - this.#lastMs) / this.tickMs);
    if (due <= 0) return 0;
    const ticks = Math.min(due, CATCH_UP_TICKS_MAX);
    this.#lastMs = due > ticks ? nowMs : this.#lastMs + ticks * this.tickMs;
    return ticks;
  }

  #arm(): void {
    this.#timer?.cancel();
    const delayMs = Math.max(1, this.#lastMs + this.tickMs - this.#clock.monotonic());
    this.#timer = this.#after(Math.min(this.tickMs, delayMs));
  }
}

const CATCH_UP_TICKS_MAX = 2;
