/** Between two dials of one server. */
export const REDIAL_MS = 200;
const JITTER_MS = 100;
/** What wall and monotonic clock may part by without a clock having been set. */
const TOLERANCE_MS = 100;
/** More than there are servers in a cluster of NATS. */
const DIALS_MAX = 16;

/**
 * How long NATS's client waits before it dials a server again. It compares with the wall time of its last dial, so after a
 * clock was set back by an hour it would not dial for an hour. What the clock lost is taken off the wait then, until every
 * server may have been dialled once by the new time.
 */
export class RedialDelay {
  /** Wall clock less monotonic clock, as it was when servers were dialled. */
  #offsetMs = Number.NEGATIVE_INFINITY;
  #dials = 0;

  /** In ms. Negative where the client is to dial although its clock says it is too early. */
  next(wallMs: number, monotonicMs: number): number {
    // Nodes did not all start in the same millisecond, so they do not all come at once.
    const delayMs = REDIAL_MS + (Math.floor(monotonicMs) % JITTER_MS);
    const offsetMs = wallMs - monotonicMs;
    const lostMs = this.#offsetMs - offsetMs;
    if (lostMs <= TOLERANCE_MS) {
      this.#offsetMs = Math.max(this.#offsetMs, offsetMs);
      return delayMs;
    }
    this.#dials += 1;
    if (this.#dials <= DIALS_MAX) return delayMs - lostMs;
    this.#dials = 0;
    this.#offsetMs = offsetMs;
    return delayMs;
  }
}
