import type { Random } from '../base/random.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';
import type { ActorContext, ActorRef, AskOutcome } from './actor.ts';

/** What the runtime's own refs can do beyond an `ActorRef`. */
export interface WatchableRef {
  /** Calls `run` once when the actor has stopped for good, at once if it has already. Gives what undoes it. */
  onStopped(run: () => void): () => void;
}

/** A message that an actor ordered for itself: a timer, the outcome of an ask, a death notice. */
export interface OwnMessage {
  readonly message: unknown;
  isCancelled: boolean;
}

/**
 * One life of an actor, from `create` to its stop or restart: the context it gets, and all that ends with it. An
 * outcome or a timer of an earlier life never reaches a later one.
 */
export class Incarnation implements ActorContext<unknown, unknown> {
  readonly self: ActorRef<unknown, unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly #deliver: (own: OwnMessage) => void;
  readonly #timers = new Set<Timer>();
  readonly #unwatches = new Set<() => void>();
  #isOver = false;

  constructor(options: {
    readonly self: ActorRef<unknown, unknown>;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly deliver: (own: OwnMessage) => void;
  }) {
    this.self = options.self;
    this.clock = options.clock;
    this.random = options.random;
    this.log = options.log;
    this.metrics = options.metrics;
    this.#deliver = options.deliver;
  }

  after(delayMs: number, message: unknown): Timer {
    if (this.#isOver) return { cancel() {} };
    const own: OwnMessage = { message, isCancelled: false };
    const timer = this.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      this.#deliver(own);
    });
    this.#timers.add(timer);
    // Cancelling also takes back a message that is due but not yet handled, so no actor meets a timer it cancelled.
    return {
      cancel: () => {
        own.isCancelled = true;
        timer.cancel();
        this.#timers.delete(timer);
      },
    };
  }

  ask<OtherMessage, OtherAnswer>(
    ref: ActorRef<OtherMessage, OtherAnswer>,
    message: OtherMessage,
    deadlineMs: number,
    toMessage: (outcome: AskOutcome<OtherAnswer>) => unknown,
  ): void {
    ref.ask(message, deadlineMs, (outcome) => {
      if (!this.#isOver) this.#deliver({ message: toMessage(outcome), isCancelled: false });
    });
  }

  watch(ref: ActorRef<never, unknown>, message: unknown): void {
    if (this.#isOver) return;
    if (!isWatchable(ref)) throw new Error(`${ref.address} cannot be watched: no actor system made this ref`);
    let unwatch: (() => void) | undefined;
    const stopWatching = ref.onStopped(() => {
      if (unwatch !== undefined) this.#unwatches.delete(unwatch);
      this.#deliver({ message, isCancelled: false });
    });
    unwatch = stopWatching;
    this.#unwatches.add(stopWatching);
  }

  end(): void {
    this.#isOver = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const unwatch of this.#unwatches) unwatch();
    this.#unwatches.clear();
  }
}

function isWatchable(ref: object): ref is WatchableRef {
  return 'onStopped' in ref && typeof ref.onStopped === 'function';
}
