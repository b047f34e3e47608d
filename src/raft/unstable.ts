import { strict as assert } from 'node:assert';
import type { EntryId, LogEntry, LogPoint } from './types.ts';

/**
 * The tail of the log that is not known to be durable.
 *
 *   durable ...  | handed out to be written | not yet handed out |
 *                offset                     inProgressEnd        lastIndex + 1
 *
 * It hides whatever the durable log holds from `offset` on: a write that will cut that is under way.
 */
export class Unstable {
  /** A snapshot that the durable log has not been reset to yet. */
  snapshot: LogPoint | null = null;
  isSnapshotInProgress = false;
  offset: number;
  entries: LogEntry[] = [];
  #inProgressEnd: number;

  constructor(offset: number) {
    this.offset = offset;
    this.#inProgressEnd = offset;
  }

  get lastIndex(): number {
    return this.offset + this.entries.length - 1;
  }

  get hasNext(): boolean {
    return this.#inProgressEnd <= this.lastIndex;
  }

  entry(index: number): LogEntry | undefined {
    return this.entries[index - this.offset];
  }

  /** What has not been handed out. Handed out by `acceptInProgress`, so that nothing is written twice. */
  next(): readonly LogEntry[] {
    return this.#inProgressEnd === this.offset
      ? this.entries.slice()
      : this.entries.slice(this.#inProgressEnd - this.offset);
  }

  acceptInProgress(): void {
    this.#inProgressEnd = this.lastIndex + 1;
    if (this.snapshot !== null) this.isSnapshotInProgress = true;
  }

  /** Forgets what is durable. The caller has checked that the receipt is of the present term. */
  stableTo(id: EntryId): void {
    const entry = this.entry(id.index);
    // Overwritten since, or forgotten already: the receipt of the newer write will tell.
    if (entry === undefined || entry.term !== id.term) return;
    const count = id.index + 1 - this.offset;
    this.entries = count === this.entries.length ? [] : this.entries.slice(count);
    this.offset = id.index + 1;
    this.#inProgressEnd = Math.max(this.#inProgressEnd, this.offset);
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.index !== index || !this.isSnapshotInProgress) return;
    this.snapshot = null;
    this.isSnapshotInProgress = false;
  }

  restore(snapshot: LogPoint): void {
    this.snapshot = snapshot;
    this.isSnapshotInProgress = false;
    this.offset = snapshot.index + 1;
    this.#inProgressEnd = this.offset;
    this.entries = [];
  }

  /** Appends; what conflicts is dropped here, whether or not it was handed out. */
  truncateAndAppend(entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index === this.lastIndex + 1) {
      for (const entry of entries) this.entries.push(entry);
      return;
    }
    if (first.index <= this.offset) {
      assert(this.snapshot === null || first.index > this.snapshot.index, 'unstable: append into a snapshot');
      this.offset = first.index;
      this.#inProgressEnd = first.index;
      this.entries = entries.slice();
      return;
    }
    assert(first.index <= this.lastIndex, `unstable: gap before ${first.index}, last is ${this.lastIndex}`);
    this.entries.length = first.index - this.offset;
    for (const entry of entries) this.entries.push(entry);
    this.#inProgressEnd = Math.min(this.#inProgressEnd, first.index);
  }
}
