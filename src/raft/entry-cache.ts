import { limitBytes } from './log.ts';
import { entryBytes, type LogEntry } from './types.ts';

/** The newest durable entries, up to a bound in bytes; at the bound the oldest go. */
export class EntryCache {
  readonly #bytesMax: number;
  #entries: LogEntry[] = [];
  #first: number;
  #bytes = 0;

  constructor(bytesMax: number, first: number) {
    this.#bytesMax = bytesMax;
    this.#first = first;
  }

  /** Entries that follow, or that replace the end. */
  put(entries: readonly LogEntry[]): void {
    const first = entries[0]?.index;
    if (first === undefined) return;
    if (first < this.#first) this.restart(first);
    while (this.#first + this.#entries.length > first) this.#bytes -= entryBytes(this.#entries.pop() as LogEntry);
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += entryBytes(entry);
    }
    // Some more than needed, so that the move costs little per entry.
    if (this.#bytes > this.#bytesMax) this.#dropTo(this.#bytesMax * 0.75);
  }

  slice(low: number, high: number, bytesMax: number): readonly LogEntry[] | undefined {
    if (low < this.#first) return undefined;
    const end = Math.min(high - this.#first, this.#entries.length);
    return limitBytes(this.#entries, low - this.#first, end, bytesMax);
  }

  dropBelow(index: number): void {
    if (index <= this.#first) return;
    for (const entry of this.#entries.splice(0, index - this.#first)) this.#bytes -= entryBytes(entry);
    this.#first = index;
  }

  restart(first: number): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#first = first;
  }

  #dropTo(bytes: number): void {
    let count = 0;
    let rest = this.#bytes;
    for (; rest > bytes && count < this.#entries.length; count += 1)
      rest -= entryBytes(this.#entries[count] as LogEntry);
    this.#entries.splice(0, count);
    this.#bytes = rest;
    this.#first += count;
  }
}
