import type { Random } from '../base/random.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';
import type { Actor, ActorRef, ActorSpec, AskOutcome } from './actor.ts';
import { type AskGroup, type AskTable, describeError, failAll, type PendingAsk } from './ask.ts';
import type { DeadLetters } from './dead-letters.ts';
import { Incarnation, type OwnMessage, type WatchableRef } from './incarnation.ts';
import { Mailbox } from './mailbox.ts';
import { Ring } from './ring.ts';
import { decideAfterFailure } from './supervision.ts';

const MAILBOX_CAPACITY = 10_000;

export type ActorState = 'running' | 'restarting' | 'stopped';

/** What a cell needs from its system. */
export interface CellHost {
  readonly thread: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly asks: AskTable;
  readonly deadLetters: DeadLetters;
  /** Monotonic time for a message that comes now; within a turn it may lag by a burst. */
  stampMs(): number;
  /** The cell has messages to handle. */
  wake(cell: Cell): void;
  /** The cell has stopped for good. */
  forget(cell: Cell): void;
  stopProcess(error: unknown, address: string): void;
}

/**
 * The place of one actor in its system. It outlives the actor's restarts: mailbox, ref, and who watches stay, while
 * the actor itself and its context are made anew.
 */
export class Cell {
  readonly name: string;
  readonly ref: LocalRef;
  state: ActorState = 'running';
  restarts = 0;
  /** Whether the cell stands in the system's round of cells with messages. */
  isQueued = false;
  readonly #host: CellHost;
  readonly #spec: ActorSpec<unknown, unknown>;
  readonly #log: Log;
  readonly #mailbox: Mailbox<PendingAsk>;
  /** Bounded by what the actor orders itself: its timers, watches and asks. They come ahead of the mailbox. */
  readonly #ownMessages = new Ring<OwnMessage>();
  readonly #asks: AskGroup = new Map();
  readonly #stopListeners = new Set<() => void>();
  #actor: Actor<unknown, unknown> | undefined;
  #incarnation: Incarnation | undefined;
  #restartTimer: Timer | undefined;
  #restartsMs: readonly number[] = [];
  #isReceiving = false;

  constructor(host: CellHost, spec: ActorSpec<unknown, unknown>) {
    this.#host = host;
    this.#spec = spec;
    this.name = spec.name;
    this.ref = new LocalRef(`${host.thread}/${spec.name}`, this);
    this.#log = host.log.with({ actor: this.ref.address });
    this.#mailbox = new Mailbox({
      capacity: spec.mailbox?.capacity ?? MAILBOX_CAPACITY,
      whenFull: spec.mailbox?.whenFull ?? 'refuse',
      onLost: (message, ask) => this.#refuse(message, ask),
    });
  }

  get depth(): number {
    return this.#mailbox.size + this.#ownMessages.size;
  }

  get hasWork(): boolean {
    return this.state === 'running' && this.depth > 0;
  }

  oldestAgeMs(nowMs: number): number {
    return Math.max(0, nowMs - (this.#mailbox.oldestStampMs ?? nowMs));
  }

  /** Makes the actor. What `create` throws goes to the caller. */
  create(): void {
    const incarnation = new Incarnation({
      self: this.ref,
      clock: this.#host.clock,
      random: this.#host.random,
      log: this.#log,
      metrics: this.#host.metrics,
      deliver: (own) => this.#deliverOwn(own),
    });
    this.#incarnation = incarnation;
    this.#actor = this.#spec.create(incarnation);
  }

  send(message: unknown): void {
    if (this.state === 'stopped') {
      this.#host.deadLetters.add({ address: this.ref.address, message, reason: 'stopped' });
      return;
    }
    this.#mailbox.push(message, undefined, this.#host.stampMs());
    if (!this.isQueued && this.state === 'running') this.#host.wake(this);
  }

  ask(message: unknown, deadlineMs: number, done: (outcome: AskOutcome<never>) => void): void {
    const ask = this.#host.asks.open(this.#asks, this.ref.address, deadlineMs, done);
    if (ask === undefined) return;
    if (this.state === 'stopped') {
      ask.fail('stopped', `${this.ref.address} has stopped`);
      return;
    }
    this.#mailbox.push(message, ask, this.#host.stampMs());
    if (!this.isQueued && this.state === 'running') this.#host.wake(this);
  }

  onStopped(run: () => void): () => void {
    if (this.state === 'stopped') {
      run();
      return () => {};
    }
    const listener = () => run();
    this.#stopListeners.add(listener);
    return () => {
      this.#stopListeners.delete(listener);
    };
  }

  /** Handles at most `limit` messages, and says how many it took. */
  run(limit: number): number {
    let taken = 0;
    while (taken < limit && this.state === 'running') {
      const own = this.#ownMessages.shift();
      if (own !== undefined) {
        if (own.isCancelled) continue;
        taken++;
        this.#receive(own.message, ignoreAnswer);
      } else if (this.#mailbox.size > 0) {
        taken++;
        const ask = this.#mailbox.headAsk;
        const message = this.#mailbox.shift();
        if (ask === undefined) {
          this.#receive(message, ignoreAnswer);
        } else {
          ask.isTaken = true;
          this.#receive(message, ask.reply);
        }
      } else {
        break;
      }
    }
    return taken;
  }

  /** Stops for good: at once, or, if called from the actor's own `receive`, when that returns. */
  stop(): void {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    if (!this.#isReceiving) this.#finishStop();
  }

  #receive(message: unknown, reply: (answer: unknown) => void): void {
    this.#isReceiving = true;
    try {
      this.#actor?.receive(message, reply);
    } catch (error) {
      this.#isReceiving = false;
      this.#handleFailure(error);
      return;
    }
    this.#isReceiving = false;
    if (this.state === 'stopped') this.#finishStop();
  }

  #handleFailure(error: unknown): void {
    this.#log.error('an actor failed; the message it was handling is dropped', { error: describeError(error) });
    if (this.state === 'stopped') {
      this.#finishStop();
      return;
    }
    const verdict = decideAfterFailure(this.#spec.supervision, this.#restartsMs, this.#host.clock.monotonic());
    switch (verdict.type) {
      case 'restart':
        this.#restartsMs = verdict.restartsMs;
        this.#restartAfter(verdict.delayMs);
        return;
      case 'stop':
        this.stop();
        return;
      case 'stop-process':
        this.#host.stopProcess(error, this.ref.address);
        this.stop();
        return;
    }
  }

  #restartAfter(delayMs: number): void {
    this.state = 'restarting';
    this.#endLife();
    // The questions that the lost life had begun with will not be answered; those in the mailbox still can be.
    for (const ask of [...this.#asks.values()]) {
      if (ask.isTaken) ask.fail('stopped', `${this.ref.address} failed before it answered`);
    }
    this.#restartTimer = this.#host.clock.after(delayMs, () => this.#restart());
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.state = 'running';
    this.restarts++;
    this.#host.metrics.count('carillon_actor_restarts_total', { actor: this.name });
    try {
      this.create();
    } catch (error) {
      this.#handleFailure(error);
      return;
    }
    if (this.hasWork && !this.isQueued) this.#host.wake(this);
  }

  #finishStop(): void {
    this.#restartTimer?.cancel();
    this.#host.forget(this);
    this.#endLife();
    const address = this.ref.address;
    while (this.#mailbox.size > 0) {
      const ask = this.#mailbox.headAsk;
      const message = this.#mailbox.shift();
      if (ask === undefined) this.#host.deadLetters.add({ address, message, reason: 'stopped' });
    }
    failAll(this.#asks, 'stopped', `${address} has stopped`);
    const listeners = [...this.#stopListeners];
    this.#stopListeners.clear();
    for (const run of listeners) run();
  }

  #endLife(): void {
    const actor = this.#actor;
    this.#incarnation?.end();
    this.#actor = undefined;
    this.#incarnation = undefined;
    this.#ownMessages.clear();
    try {
      actor?.stop?.();
    } catch (error) {
      this.#log.error('the stop of an actor threw; it is gone all the same', { error: describeError(error) });
    }
  }

  #deliverOwn(own: OwnMessage): void {
    if (this.state === 'stopped') return;
    this.#ownMessages.push(own);
    if (!this.isQueued && this.state === 'running') this.#host.wake(this);
  }

  #refuse(message: unknown, ask: PendingAsk | undefined): void {
    if (ask === undefined) {
      this.#host.deadLetters.add({ address: this.ref.address, message, reason: 'mailbox-full' });
    } else {
      ask.fail('mailbox-full', `${this.ref.address} has ${this.#mailbox.capacity} messages waiting; try again later`);
    }
  }
}

/** A ref to an actor of this thread. */
export class LocalRef implements ActorRef<unknown, unknown>, WatchableRef {
  readonly address: string;
  readonly #cell: Cell;

  constructor(address: string, cell: Cell) {
    this.address = address;
    this.#cell = cell;
  }

  send(message: unknown): void {
    this.#cell.send(message);
  }

  ask(message: unknown, deadlineMs: number, done: (outcome: AskOutcome<unknown>) => void): void {
    this.#cell.ask(message, deadlineMs, done);
  }

  onStopped(run: () => void): () => void {
    return this.#cell.onStopped(run);
  }
}

function ignoreAnswer(): void {}
