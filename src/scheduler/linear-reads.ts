/**
 * Reads that must see every write acknowledged before them, on any server: raft says how far this server has to be
 * (ReadIndex, thesis §6.4). A read may only use an answer that was asked for after it came; those that come while raft
 * is asked wait together for the next answer, so any number of reads costs one question at a time.
 */
export class LinearReads<Reader> {
  #asking: Reader[] = [];
  #next: Reader[] = [];

  /** Whether raft is to be asked now; null: too many wait already. */
  add(reader: Reader): boolean | null {
    if (this.#next.length >= READERS_MAX) return null;
    this.#next.push(reader);
    return this.#begin();
  }

  /** Raft has answered, however: those whom it concerns. `mustAsk`: others have come meanwhile. */
  takeAnswered(): { readonly readers: readonly Reader[]; readonly mustAsk: boolean } {
    const readers = this.#asking;
    this.#asking = [];
    return { readers, mustAsk: this.#begin() };
  }

  #begin(): boolean {
    if (this.#asking.length > 0 || this.#next.length === 0) return false;
    this.#asking = this.#next;
    this.#next = [];
    return true;
  }
}

const READERS_MAX = 10_000;

/** Raft answers sooner, by its own election timeout; this is for one that does not. */
export const READ_INDEX_MS = 4_000;
