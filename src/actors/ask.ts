import type { Log } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';
import type { ActorRef, AskOutcome } from './actor.ts';
import { Ring } from './ring.ts';

export type AskFailureCode = Extract<AskOutcome<never>, { readonly type: 'failed' }>['code'];

/** The asks that wait for one target, by id: a local actor, or everything behind a link. */
export type AskGroup = Map<number, PendingAsk>;

type Done = (outcome: AskOutcome<never>) => void;

/** For code at the edge that lives in promises. Never rejects: failures are values. */
export function askPromise<Message, Answer>(
  ref: ActorRef<Message, Answer>,
  message: Message,
  deadlineMs: number,
): Promise<AskOutcome<Answer>> {
  return new Promise((resolve) => {
    ref.ask(message, deadlineMs, resolve);
  });
}

/**
 * The pending asks of one system. Each has exactly one outcome: the first of answer, deadline, and loss of the
 * target. Outcomes are handed over between messages, never inside of `ask` or `reply`. At `capacity` an ask fails at
 * once with `mailbox-full`.
 */
export class AskTable {
  readonly capacity: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #wake: () => void;
  readonly #settled = new Ring<SettledAsk>();
  #pendingCount = 0;
  #nextId = 1;

  /** `wake` is called when there is something for `handOver` to do. */
  constructor(options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly capacity: number;
    readonly wake: () => void;
  }) {
    this.capacity = options.capacity;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#wake = options.wake;
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Undefined at the bound: the ask has failed already. */
  open(group: AskGroup, target: string, deadlineMs: number, done: Done): PendingAsk | undefined {
    if (this.#pendingCount >= this.capacity) {
      const message = `${target} was not asked: ${this.capacity} asks of this thread are pending; ask less at a time`;
      this.#handOverLater(done, { type: 'failed', code: 'mailbox-full', message });
      return undefined;
    }
    const ask = new PendingAsk(this.#nextId++, target, group, (outcome) => {
      this.#pendingCount--;
      this.#handOverLater(done, outcome);
    });
    this.#pendingCount++;
    group.set(ask.id, ask);
    ask.timer = this.#clock.after(deadlineMs, () => {
      ask.fail('deadline', `${target} gave no answer within ${deadlineMs} ms`);
    });
    return ask;
  }

  /** Calls `done` of all asks that are settled. */
  handOver(): void {
    for (let settled = this.#settled.shift(); settled !== undefined; settled = this.#settled.shift()) {
      try {
        settled.done(settled.outcome);
      } catch (error) {
        // The one who asked failed, neither the actor that answered nor this loop may suffer for it.
        this.#log.error('what an asker did with the outcome of an ask threw', { error: describeError(error) });
      }
    }
  }

  #handOverLater(done: Done, outcome: AskOutcome<never>): void {
    this.#settled.push({ done, outcome });
    this.#wake();
  }
}

export class PendingAsk {
  readonly id: number;
  timer: Timer | undefined;
  /** The target has begun to handle the message: if the target is made anew, nobody is left who would answer. */
  isTaken = false;
  readonly #target: string;
  readonly #group: AskGroup;
  #settle: ((outcome: AskOutcome<never>) => void) | undefined;

  constructor(id: number, target: string, group: AskGroup, settle: (outcome: AskOutcome<never>) => void) {
    this.id = id;
    this.#target = target;
    this.#group = group;
    this.#settle = settle;
  }

  /** What the asked actor gets as `reply`; bound, since it may be kept and called later. */
  readonly reply = (answer: unknown): void => {
    this.settle({ type: 'answer', answer: answer as never });
  };

  /** Does nothing after the first call. */
  settle(outcome: AskOutcome<never>): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    this.#settle = undefined;
    this.timer?.cancel();
    this.#group.delete(this.id);
    settle(outcome);
  }

  fail(code: AskFailureCode, message = `${this.#target}: ${code}`): void {
    this.settle({ type: 'failed', code, message });
  }
}

export function failAll(group: AskGroup, code: AskFailureCode, message: string): void {
  for (const ask of [...group.values()]) ask.fail(code, message);
}

interface SettledAsk {
  readonly done: Done;
  readonly outcome: AskOutcome<never>;
}

/** An error as one log field: the stack, which opens with the message. */
export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
