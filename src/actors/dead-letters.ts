import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';

const LOG_LINES_PER_MINUTE = 6;

/** A message that reached nobody, and whose sender is not told: asks are not among them, they have an outcome. */
export interface DeadLetter {
  /** `<thread>/<name>` of the actor that should have got it. */
  readonly address: string;
  readonly message: unknown;
  readonly reason: 'stopped' | 'mailbox-full' | 'link-full' | 'thread-died' | 'not-cloneable';
}

/** Counts every dead letter, logs at most six lines a minute, and keeps none. */
export class DeadLetters {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #listener: ((letter: DeadLetter) => void) | undefined;
  #count = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly listener?: ((letter: DeadLetter) => void) | undefined;
  }) {
    this.#log = rateLimited(options.log, options.clock, LOG_LINES_PER_MINUTE);
    this.#metrics = options.metrics;
    this.#listener = options.listener;
  }

  get count(): number {
    return this.#count;
  }

  add(letter: DeadLetter): void {
    this.#count++;
    const name = letter.address.slice(letter.address.indexOf('/') + 1);
    this.#metrics.count('carillon_dead_letters_total', { actor: name });
    this.#listener?.(letter);
    this.#log.warn('a message reached nobody', { actor: letter.address, reason: letter.reason });
  }
}
