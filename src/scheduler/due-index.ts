/**
 * What is due soon, in memory: the first stretch of the due index on disk. A leader with a million jobs holds only
 * those of the next seconds, so a change of leader costs the same however many jobs there are.
 */
import { Heap } from '../base/heap.ts';

interface DueJob {
  readonly uid: string;
  readonly nextMs: number;
}

export class DueIndex {
  readonly #heap = new Heap<DueJob>((left, right) => left.nextMs < right.nextMs);
  /** The valid entry of each job; entries in the heap that differ are leftovers. */
  readonly #next = new Map<string, number>();
  /** Instants after it are on disk only. */
  horizonMs = 0;

  get size(): number {
    return this.#next.size;
  }

  /** The job's next instant is this now. */
  move(uid: string, nextMs: number | null): void {
    if (nextMs === null || nextMs > this.horizonMs) {
      this.#next.delete(uid);
      return;
    }
    if (this.#next.get(uid) === nextMs) return;
    this.#next.set(uid, nextMs);
    this.#heap.push({ uid, nextMs });
  }

  /** When the earliest is due, or null. */
  peekMs(): number | null {
    for (;;) {
      const first = this.#heap.peek();
      if (first === undefined) return null;
      if (this.#next.get(first.uid) === first.nextMs) return first.nextMs;
      this.#heap.pop();
    }
  }

  /** Takes out what is due by now, at most so many. */
  take(nowMs: number, max: number): string[] {
    const due: string[] = [];
    while (due.length < max) {
      const nextMs = this.peekMs();
      if (nextMs === null || nextMs > nowMs) break;
      const { uid } = this.#heap.pop() as DueJob;
      this.#next.delete(uid);
      due.push(uid);
    }
    return due;
  }

  clear(): void {
    this.#heap.clear();
    this.#next.clear();
    this.horizonMs = 0;
  }
}
