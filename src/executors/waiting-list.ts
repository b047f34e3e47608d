import { Heap } from '../base/heap.ts';

/** What waits until a wall time, and then for its turn. */
export interface Waiting {
  readonly notBeforeMs: number;
}

/**
 * Attempts that wait: first for their time, then for a slot, first come first served. Who leaves out of turn is not
 * looked for; the taker skips those for which `isWaiting` is false.
 */
export class WaitingList<Item extends Waiting> {
  readonly #isWaiting: (item: Item) => boolean;
  readonly #early = new Heap<Item>((left, right) => left.notBeforeMs < right.notBeforeMs);
  #ready: Item[] = [];
  /** Taken from the front of `#ready`, and cut off now and then. */
  #taken = 0;

  constructor(isWaiting: (item: Item) => boolean) {
    this.#isWaiting = isWaiting;
  }

  /** Wall time of the next one that waits for its time. */
  get nextDueMs(): number | undefined {
    return this.#early.peek()?.notBeforeMs;
  }

  add(item: Item, nowMs: number): void {
    if (item.notBeforeMs > nowMs) this.#early.push(item);
    else this.#ready.push(item);
  }

  /** Back to the front: it was taken too early. */
  putBack(item: Item): void {
    this.#ready.splice(this.#taken, 0, item);
  }

  /** The first whose time has come, left where it is. */
  peek(nowMs: number): Item | undefined {
    for (let item = this.#early.peek(); item !== undefined && item.notBeforeMs <= nowMs; item = this.#early.peek()) {
      this.#early.pop();
      this.#ready.push(item);
    }
    for (; this.#taken < this.#ready.length; this.#taken += 1) {
      const item = this.#ready[this.#taken] as Item;
      if (this.#isWaiting(item)) return item;
    }
    this.#ready = [];
    this.#taken = 0;
    return undefined;
  }

  /** Takes the one that `peek` gave. */
  shift(): void {
    this.#taken += 1;
    if (2 * this.#taken < this.#ready.length) return;
    this.#ready = this.#ready.slice(this.#taken);
    this.#taken = 0;
  }
}
