import assert from 'node:assert/strict';
import type { Random } from '../base/random.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import type { ActorRef, ActorSpec } from './actor.ts';
import { AskTable } from './ask.ts';
import { type ActorState, Cell, type CellHost } from './cell.ts';
import { type DeadLetter, DeadLetters } from './dead-letters.ts';
import { Ring } from './ring.ts';
import type { Turns } from './turns.ts';

/** An actor with a long mailbox gives way to the others after so many messages. */
const BURST_MESSAGES = 64;
/** A turn ends after so long, or so many messages, whichever is first: then I/O and timers get theirs. */
const TURN_MS = 5;
const TURN_MESSAGES = 20_000;
const PENDING_ASKS_MAX = 100_000;

export interface ActorSystemOptions {
  /** The thread's name: the first part of its actors' addresses. */
  readonly thread: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly turns: Turns;
  /** The end of the process is due. The system has halted by then: none of its actors gets another message. */
  readonly onStopProcess: (error: unknown, actorAddress: string) => void;
  readonly onDeadLetter?: (letter: DeadLetter) => void;
  /** Default 100,000; an ask beyond it fails at once with `mailbox-full`. */
  readonly pendingAsksMax?: number;
}

export interface ActorInspection {
  readonly name: string;
  /** Messages that wait. */
  readonly depth: number;
  readonly oldestAgeMs: number;
  readonly restarts: number;
  readonly state: ActorState;
}

/** The actors of one thread: their registry, and the turns in which they get their messages. */
export class ActorSystem {
  readonly thread: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly asks: AskTable;
  readonly deadLetters: DeadLetters;
  readonly #turns: Turns;
  readonly #host: CellHost;
  readonly #cells = new Map<string, Cell>();
  readonly #runnable = new Ring<Cell>();
  readonly #turnEnds = new Ring<() => void>();
  #isScheduled = false;
  #isInTurn = false;
  #isHalted = false;
  #turnNowMs = 0;

  constructor(options: ActorSystemOptions) {
    this.thread = options.thread;
    this.clock = options.clock;
    this.log = options.log;
    this.metrics = options.metrics;
    this.#turns = options.turns;
    this.asks = new AskTable({
      clock: options.clock,
      log: options.log,
      capacity: options.pendingAsksMax ?? PENDING_ASKS_MAX,
      wake: () => this.#wake(),
    });
    this.deadLetters = new DeadLetters({
      clock: options.clock,
      log: options.log,
      metrics: options.metrics,
      listener: options.onDeadLetter,
    });
    this.#host = {
      thread: options.thread,
      clock: options.clock,
      random: options.random,
      log: options.log,
      metrics: options.metrics,
      asks: this.asks,
      deadLetters: this.deadLetters,
      stampMs: () => (this.#isInTurn ? this.#turnNowMs : this.clock.monotonic()),
      wake: (cell) => {
        cell.isQueued = true;
        this.#runnable.push(cell);
        this.#wake();
      },
      forget: (cell) => {
        if (this.#cells.get(cell.name) === cell) this.#cells.delete(cell.name);
      },
      stopProcess: (error, address) => {
        this.#isHalted = true;
        options.onStopProcess(error, address);
      },
    };
  }

  /** Makes the actor at once; what its first `create` throws goes to the caller. */
  spawn<Message, Answer = never>(spec: ActorSpec<Message, Answer>): ActorRef<Message, Answer> {
    assert.match(spec.name, /^[a-z0-9-]+$/, `actor name '${spec.name}': use a-z, 0-9 and -`);
    assert(!this.#cells.has(spec.name), `actor '${spec.name}' exists already on thread '${this.thread}'`);
    assert((spec.mailbox?.capacity ?? 1) >= 1, `actor '${spec.name}': a mailbox holds at least 1 message`);
    // From here on the types of its messages are known to the ref alone.
    const cell = new Cell(this.#host, spec as unknown as ActorSpec<unknown, unknown>);
    this.#cells.set(cell.name, cell);
    try {
      cell.create();
    } catch (error) {
      cell.stop();
      throw error;
    }
    return cell.ref as ActorRef<unknown, unknown> as ActorRef<Message, Answer>;
  }

  /** The types of its messages are for the caller to know. */
  find<Message = never, Answer = unknown>(name: string): ActorRef<Message, Answer> | undefined {
    return this.findCell(name)?.ref as ActorRef<unknown, unknown> | undefined as ActorRef<Message, Answer> | undefined;
  }

  /** For the links to other threads, which carry messages of any type. */
  findCell(name: string): Cell | undefined {
    return this.#cells.get(name);
  }

  /** Stops an actor for good. What waits in its mailbox becomes dead letters, its askers get `stopped`. */
  stop(name: string): void {
    this.#cells.get(name)?.stop();
  }

  /** Stops all actors, the youngest first. */
  stopAll(): void {
    for (const cell of [...this.#cells.values()].reverse()) cell.stop();
  }

  inspect(): ActorInspection[] {
    const nowMs = this.clock.monotonic();
    return [...this.#cells.values()].map((cell) => ({
      name: cell.name,
      depth: cell.depth,
      oldestAgeMs: cell.oldestAgeMs(nowMs),
      restarts: cell.restarts,
      state: cell.state,
    }));
  }

  /** Measures all mailboxes, the age being that of the oldest message; called when somebody wants to read it. */
  sample(): void {
    const nowMs = this.clock.monotonic();
    for (const cell of this.#cells.values()) {
      const labels = { actor: cell.name };
      this.metrics.gauge('carillon_mailbox_depth', cell.depth, labels);
      this.metrics.observe('carillon_message_age_seconds', cell.oldestAgeMs(nowMs) / 1000, labels);
    }
  }

  /** Calls `run` once at the end of this turn, or of the next if none is being taken. */
  atTurnEnd(run: () => void): void {
    this.#turnEnds.push(run);
    this.#wake();
  }

  #wake(): void {
    if (this.#isScheduled || this.#isInTurn || this.#isHalted) return;
    this.#isScheduled = true;
    this.#turns.schedule(this.#takeTurn);
  }

  /** Bound once, so that scheduling a turn makes no closure. */
  readonly #takeTurn = (): void => {
    this.#isScheduled = false;
    if (this.#isHalted) return;
    this.#isInTurn = true;
    try {
      this.#deliver();
      for (let run = this.#turnEnds.shift(); run !== undefined && !this.#isHalted; run = this.#turnEnds.shift()) run();
    } finally {
      this.#isInTurn = false;
    }
    if (this.#runnable.size > 0 || this.#turnEnds.size > 0) this.#wake();
  };

  /** One burst for each cell in turn, round after round. */
  #deliver(): void {
    this.#turnNowMs = this.clock.monotonic();
    const endMs = this.#turnNowMs + TURN_MS;
    let left = TURN_MESSAGES;
    this.asks.handOver();
    while (left > 0 && this.#turnNowMs < endMs && !this.#isHalted) {
      const cell = this.#runnable.shift();
      if (cell === undefined) return;
      left -= cell.run(BURST_MESSAGES);
      if (cell.hasWork) this.#runnable.push(cell);
      else cell.isQueued = false;
      this.#turnNowMs = this.clock.monotonic();
      this.asks.handOver();
    }
  }
}
