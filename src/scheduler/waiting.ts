/** The leader's list of what waits for a place: oldest first, retries once their delay is over, and what has waited too long. */
import { Heap } from '../base/heap.ts';
import { keys, type WaitRow } from './rows.ts';

interface Alarm {
  readonly key: string;
  readonly atMs: number;
}

/** Alarms beyond twice the waits that are kept before those of waits that are over are dropped. */
const STALE_ALARMS_MAX = 1_000;

export class Waiting {
  readonly #waits = new Map<string, WaitRow>();
  readonly #starts = new Heap<Alarm>((left, right) => left.atMs < right.atMs);
  readonly #ends = new Heap<Alarm>((left, right) => left.atMs < right.atMs);
  /** May be placed now, in the order in which they came or became ready. */
  readonly #ready = new Set<string>();

  get size(): number {
    return this.#waits.size;
  }

  add(wait: WaitRow): void {
    const key = keys.wait(wait.run, wait.ordinal);
    const known = this.#waits.get(key);
    if (known?.attempt === wait.attempt && known.fromMs === wait.fromMs) return;
    // The end of an earlier wait of the same target was not heard.
    this.#ready.delete(key);
    this.#waits.set(key, wait);
    if (wait.fromMs === 0) this.#ready.add(key);
    else this.#starts.push({ key, atMs: wait.fromMs });
    this.#ends.push({ key, atMs: wait.untilMs });
  }

  remove(run: string, ordinal: number | null): void {
    const key = keys.wait(run, ordinal);
    this.#waits.delete(key);
    this.#ready.delete(key);
    this.#dropStaleAlarms();
  }

  /** Exactly these wait, as a sweep of the rows has found; what was `touched` meanwhile is known better here. */
  keep(found: ReadonlyMap<string, WaitRow>, touched: ReadonlySet<string>): void {
    for (const [key, wait] of this.#waits) {
      if (!found.has(key) && !touched.has(key)) this.remove(wait.run, wait.ordinal);
    }
    for (const [key, wait] of found) if (!touched.has(key)) this.add(wait);
  }

  *ready(nowMs: number): Iterable<WaitRow> {
    for (let first = this.#starts.peek(); first !== undefined && first.atMs <= nowMs; first = this.#starts.peek()) {
      this.#starts.pop();
      // Of an earlier wait, perhaps: this one may begin later.
      if ((this.#waits.get(first.key)?.fromMs ?? Number.POSITIVE_INFINITY) <= nowMs) this.#ready.add(first.key);
    }
    for (const key of this.#ready) yield this.#waits.get(key) as WaitRow;
  }

  /** Puts these behind all others that may be placed. */
  postpone(waits: readonly string[]): void {
    for (const key of waits) if (this.#ready.delete(key)) this.#ready.add(key);
  }

  /** Those whose time is over, at most so many; they stay until an entry has ended them. */
  expired(nowMs: number, max: number): WaitRow[] {
    const over: WaitRow[] = [];
    while (over.length < max) {
      const first = this.#ends.peek();
      if (first === undefined || first.atMs > nowMs) break;
      this.#ends.pop();
      const wait = this.#waits.get(first.key);
      if (wait !== undefined && wait.untilMs <= nowMs) over.push(wait);
    }
    return over;
  }

  /** Puts one back whose end could not be proposed. */
  expireAgain(wait: WaitRow, atMs: number): void {
    const key = keys.wait(wait.run, wait.ordinal);
    if (this.#waits.has(key)) this.#ends.push({ key, atMs });
  }

  /** When the list must be looked at next, or null. */
  nextMs(): number | null {
    const start = this.#starts.peek()?.atMs ?? Number.POSITIVE_INFINITY;
    const end = this.#ends.peek()?.atMs ?? Number.POSITIVE_INFINITY;
    const next = Math.min(start, end);
    return next === Number.POSITIVE_INFINITY ? null : next;
  }

  clear(): void {
    this.#waits.clear();
    this.#ready.clear();
    this.#starts.clear();
    this.#ends.clear();
  }

  /** Most waits end within milliseconds, their alarms would stay for minutes. */
  #dropStaleAlarms(): void {
    if (this.#starts.size + this.#ends.size <= 2 * this.#waits.size + STALE_ALARMS_MAX) return;
    this.#starts.clear();
    this.#ends.clear();
    for (const [key, { fromMs, untilMs }] of this.#waits) {
      if (fromMs !== 0 && !this.#ready.has(key)) this.#starts.push({ key, atMs: fromMs });
      this.#ends.push({ key, atMs: untilMs });
    }
  }
}
