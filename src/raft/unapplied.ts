/** Handed on and not applied: bounded, so that a slow state machine slows agreement instead of filling memory. */
import { entryBytes, type LogEntry } from './types.ts';

export class Unapplied {
  #batches: { readonly index: number; readonly count: number; readonly bytes: number }[] = [];
  #count = 0;
  #bytes = 0;

  get roomEntries(): number {
    return ENTRIES_MAX - this.#count;
  }

  get roomBytes(): number {
    return BYTES_MAX - this.#bytes;
  }

  /** These were handed on now; at least one. */
  add(entries: readonly LogEntry[]): void {
    const last = entries[entries.length - 1] as LogEntry;
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    this.#batches.push({ index: last.index, count: entries.length, bytes });
    this.#count += entries.length;
    this.#bytes += bytes;
  }

  /** A batch makes room once all of it is applied. */
  appliedTo(index: number): void {
    let first = this.#batches[0];
    while (first !== undefined && first.index <= index) {
      this.#count -= first.count;
      this.#bytes -= first.bytes;
      this.#batches.shift();
      first = this.#batches[0];
    }
  }

  clear(): void {
    this.#batches = [];
    this.#count = 0;
    this.#bytes = 0;
  }
}

const ENTRIES_MAX = 4_096;
const BYTES_MAX = 8 * 1024 * 1024;
