/**
 * How many calls are handed to threads. Waking a thread costs more than a short call, and the machine works on no more
 * calls at a time than it has cores; so only so many may be *young*. One that has run for longer is young no more and
 * waits for something, or is hard work: then the next may start beside it, up to `runningMax`.
 */
export interface AdmissionOptions {
  readonly runningMax: number;
  readonly youngMax: number;
}

export class Admission<Call> {
  readonly #options: AdmissionOptions;
  readonly #waiting = new Set<Call>();
  readonly #running = new Set<Call>();
  #young = new Set<Call>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Some wait for nothing but the young to grow older. */
  get isHeldByYoung(): boolean {
    return this.#waiting.size > 0 && this.#running.size < this.#options.runningMax;
  }

  /** At the end of the line; `take` says when it may start. */
  add(call: Call): void {
    this.#waiting.add(call);
  }

  /** The next that may start now. */
  take(): Call | undefined {
    const { runningMax, youngMax } = this.#options;
    if (this.#running.size >= runningMax || this.#young.size >= youngMax) return undefined;
    const [call] = this.#waiting;
    if (call === undefined) return undefined;
    this.#waiting.delete(call);
    this.#running.add(call);
    this.#young.add(call);
    return call;
  }

  /** All that run have run for a while. */
  age(): void {
    this.#young = new Set();
  }

  /** It is over, or no longer wanted. */
  remove(call: Call): void {
    this.#waiting.delete(call);
    this.#young.delete(call);
    this.#running.delete(call);
  }
}
