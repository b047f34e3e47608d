/**
 * One life of a node: its threads with their clocks and turns, which end with it even for code that is still on its
 * way. A thread can be held up: what it would do meanwhile waits, and its timers are late when it goes on.
 */
import type { Turns } from '../../src/actors/turns.ts';
import type { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import type { Clock, Timer } from '../../src/base/time.ts';
import type { VirtualClock, VirtualClockView } from '../../src/base/virtual-clock.ts';
import type { RunningNode } from '../../src/node.ts';

export interface LifeOptions {
  readonly clock: VirtualClock;
  readonly turns: VirtualTurns;
  readonly isThreaded: boolean;
  readonly skewMs: () => number;
  /** How fast its monotonic clock goes. */
  readonly rate: number;
}

export class Life {
  isStopping = false;
  isDrained = false;
  /** Under way. */
  promises = 0;
  /** Takes hints to raft. */
  hearHint: ((about: string) => boolean) | undefined;
  /** Ends the thread of consensus alone. */
  killThread: (() => void) | undefined;
  node: RunningNode | undefined;
  readonly main: Thread;
  /** The same one, where the node has but one. */
  readonly consensus: Thread;

  constructor(options: LifeOptions) {
    this.main = new Thread(options);
    this.consensus = options.isThreaded ? new Thread(options) : this.main;
  }

  get isOver(): boolean {
    return this.main.isOver;
  }

  get isHeldUp(): boolean {
    return this.main.isHeldUp || this.consensus.isHeldUp;
  }

  get threads(): readonly Thread[] {
    return this.main === this.consensus ? [this.main] : [this.main, this.consensus];
  }

  end(): void {
    for (const thread of this.threads) thread.end();
  }
}

export class Thread implements Turns {
  isOver = false;
  readonly clock: Clock;
  readonly #view: VirtualClockView;
  readonly #turns: VirtualTurns;
  /** Of those who hold it up; several may. */
  #holds = 0;
  #held: (() => void)[] = [];

  constructor({ clock, turns, skewMs, rate }: LifeOptions) {
    const view = clock.view();
    this.#view = view;
    this.#turns = turns;
    this.clock = {
      now: () => view.now() + skewMs(),
      monotonic: () => view.monotonic() * rate,
      after: (delayMs, run) => (this.isOver ? NO_TIMER : new ThreadTimer(this, view, delayMs / rate, run)),
    };
  }

  get isHeldUp(): boolean {
    return this.#holds > 0;
  }

  schedule(run: () => void): void {
    this.#turns.schedule(() => this.pass(run));
  }

  /** Runs it now, or when the thread goes on; never once it is over. */
  pass(run: () => void): void {
    if (this.isOver) return;
    if (this.#holds > 0) this.#held.push(run);
    else run();
  }

  holdUp(): void {
    this.#holds += 1;
  }

  /** One of those who hold it up lets go; `all`: whoever does. */
  goOn(who: 'one' | 'all' = 'one'): void {
    if (this.#holds === 0) return;
    this.#holds = who === 'all' ? 0 : this.#holds - 1;
    while (this.#holds === 0 && !this.isOver) {
      const next = this.#held;
      if (next.length === 0) return;
      this.#held = [];
      for (const run of next) this.pass(run);
    }
  }

  end(): void {
    this.isOver = true;
    this.#held = [];
    this.#view.dropTimers();
  }
}

class ThreadTimer implements Timer {
  readonly #thread: Thread;
  readonly #timer: Timer;
  #run: (() => void) | undefined;

  constructor(thread: Thread, view: VirtualClockView, delayMs: number, run: () => void) {
    this.#thread = thread;
    this.#run = run;
    this.#timer = view.after(delayMs, this.#due);
  }

  cancel(): void {
    this.#run = undefined;
    this.#timer.cancel();
  }

  readonly #due = (): void => {
    this.#thread.pass(this.#ring);
  };

  /** It may have been cancelled while its thread was held up. */
  readonly #ring = (): void => {
    const run = this.#run;
    this.#run = undefined;
    run?.();
  };
}

const NO_TIMER: Timer = { cancel() {} };
