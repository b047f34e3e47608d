import { Heap } from './heap.ts';
import type { Clock, Timer } from './time.ts';

/** Cancelled timers stay in the heap until they come out; above this many, and a majority, they are cleared away. */
const CANCELLED_MAX = 1024;

/**
 * Time that only moves when it is told to. Timers run in the order of their due time, those of one instant in the
 * order in which they were set, so the same calls give the same story. `view` gives each node of a simulated cluster
 * a clock of its own on the same line of time.
 */
export class VirtualClock implements Clock {
  /** Added to what `now` says, as if somebody had set the wall clock; `monotonic` and timers do not feel it. */
  skewMs = 0;
  readonly #startMs: number;
  readonly #line = new TimeLine();

  /** `startMs` is the wall clock at the start; monotonic time starts at 0. */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  /** Timers that wait; cancelled ones are not counted. */
  get pending(): number {
    return this.#line.pending;
  }

  /** When the next timer is due, in monotonic ms. */
  get nextDueMs(): number | undefined {
    return this.#line.peek()?.dueMs;
  }

  now(): number {
    return Math.floor(this.#startMs + this.#line.nowMs) + this.skewMs;
  }

  monotonic(): number {
    return this.#line.nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#line.add(delayMs, run, undefined);
  }

  /** Moves time on by `delayMs` and runs what falls due on the way, each at its own time. */
  advance(delayMs: number): void {
    const untilMs = this.#line.nowMs + delayMs;
    for (let next = this.#line.peek(); next !== undefined && next.dueMs <= untilMs; next = this.#line.peek()) {
      this.runNext();
    }
    this.#line.nowMs = Math.max(this.#line.nowMs, untilMs);
  }

  /** Moves time to the next timer and runs it. False if none waits. */
  runNext(): boolean {
    return this.#line.runNext();
  }

  view(): VirtualClockView {
    return new VirtualClockView(this.#startMs, this.#line);
  }
}

/** One node's clock: it shares the line of time, but has its own wall clock and can lose its timers in a crash. */
export class VirtualClockView implements Clock {
  skewMs = 0;
  readonly #startMs: number;
  readonly #line: TimeLine;
  #owner: TimerOwner = { isDropped: false };

  constructor(startMs: number, line: TimeLine) {
    this.#startMs = startMs;
    this.#line = line;
  }

  now(): number {
    return Math.floor(this.#startMs + this.#line.nowMs) + this.skewMs;
  }

  monotonic(): number {
    return this.#line.nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#line.add(delayMs, run, this.#owner);
  }

  /** None of the timers set so far runs. The view can be used again, for the node's next life. */
  dropTimers(): void {
    this.#owner.isDropped = true;
    this.#owner = { isDropped: false };
  }
}

interface TimerOwner {
  isDropped: boolean;
}

class TimeLine {
  nowMs = 0;
  pending = 0;
  #heap = new Heap<VirtualTimer>(isEarlier);
  #sequence = 0;

  add(delayMs: number, run: () => void, owner: TimerOwner | undefined): Timer {
    const timer = new VirtualTimer(this, this.nowMs + Math.max(0, delayMs), this.#sequence++, run, owner);
    this.#heap.push(timer);
    this.pending++;
    return timer;
  }

  peek(): VirtualTimer | undefined {
    for (let timer = this.#heap.peek(); timer !== undefined; timer = this.#heap.peek()) {
      if (timer.run !== undefined && timer.owner?.isDropped !== true) return timer;
      if (timer.run !== undefined) this.pending--;
      timer.run = undefined;
      this.#heap.pop();
    }
    return undefined;
  }

  runNext(): boolean {
    const timer = this.peek();
    if (timer === undefined) return false;
    this.#heap.pop();
    this.pending--;
    this.nowMs = Math.max(this.nowMs, timer.dueMs);
    const run = timer.run;
    timer.run = undefined;
    run?.();
    return true;
  }

  cancelled(): void {
    this.pending--;
    const cancelledCount = this.#heap.size - this.pending;
    if (cancelledCount > CANCELLED_MAX && cancelledCount > this.pending) this.#clearAway();
  }

  #clearAway(): void {
    const kept = new Heap<VirtualTimer>(isEarlier);
    for (let timer = this.#heap.pop(); timer !== undefined; timer = this.#heap.pop()) {
      if (timer.run === undefined) continue;
      if (timer.owner?.isDropped === true) this.pending--;
      else kept.push(timer);
    }
    this.#heap = kept;
  }
}

class VirtualTimer implements Timer {
  readonly dueMs: number;
  readonly sequence: number;
  readonly owner: TimerOwner | undefined;
  run: (() => void) | undefined;
  readonly #line: TimeLine;

  constructor(line: TimeLine, dueMs: number, sequence: number, run: () => void, owner: TimerOwner | undefined) {
    this.#line = line;
    this.dueMs = dueMs;
    this.sequence = sequence;
    this.run = run;
    this.owner = owner;
  }

  cancel(): void {
    if (this.run === undefined) return;
    this.run = undefined;
    this.#line.cancelled();
  }
}

function isEarlier(left: VirtualTimer, right: VirtualTimer): boolean {
  return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.sequence < right.sequence);
}
