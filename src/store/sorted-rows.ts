import type { ScanRange } from './storage.ts';

/**
 * A sorted map from key to value, bytes as a rule, with cheap copies: rows lie in chunks of at most 128, and a copy shares all chunks
 * until one side writes to one. So a snapshot costs one array of chunk pointers, and a write at most one chunk.
 */
export class SortedRows<Value = Uint8Array> {
  #chunks: Chunk<Value>[] = [];
  #size = 0;
  /** Chunks that carry this token belong to this map alone and may be changed in place. */
  #owner: object = {};

  get size(): number {
    return this.#size;
  }

  copy(): SortedRows<Value> {
    const copied = new SortedRows<Value>();
    copied.#chunks = this.#chunks.slice();
    copied.#size = this.#size;
    // From here on neither side owns what both see.
    this.#owner = {};
    return copied;
  }

  get(key: string): Value | undefined {
    const chunk = this.#chunks[this.#chunkFor(key)];
    if (chunk === undefined) return undefined;
    const index = lowerBound(chunk.keys, key);
    return chunk.keys[index] === key ? chunk.values[index] : undefined;
  }

  put(key: string, value: Value): void {
    const position = this.#chunkFor(key);
    const chunk = this.#ownChunk(position);
    const index = lowerBound(chunk.keys, key);
    if (chunk.keys[index] === key) {
      chunk.values[index] = value;
      return;
    }
    chunk.keys.splice(index, 0, key);
    chunk.values.splice(index, 0, value);
    this.#size += 1;
    if (chunk.keys.length > CHUNK_ROWS_MAX) this.#split(position, chunk);
  }

  delete(key: string): void {
    const position = this.#chunkFor(key);
    const shared = this.#chunks[position];
    if (shared === undefined) return;
    const index = lowerBound(shared.keys, key);
    if (shared.keys[index] !== key) return;
    const chunk = this.#ownChunk(position);
    chunk.keys.splice(index, 1);
    chunk.values.splice(index, 1);
    this.#size -= 1;
    if (chunk.keys.length === 0) this.#chunks.splice(position, 1);
  }

  scan(range: ScanRange): SortedRow<Value>[] {
    if (range.from >= range.to) return [];
    return range.reverse === true ? this.#scanBackwards(range) : this.#scanForwards(range);
  }

  #scanForwards({ from, to, limit }: ScanRange): SortedRow<Value>[] {
    const rows: SortedRow<Value>[] = [];
    let position = this.#chunkFor(from);
    let chunk = this.#chunks[position];
    let index = chunk === undefined ? 0 : lowerBound(chunk.keys, from);
    while (chunk !== undefined && rows.length < limit) {
      const key = chunk.keys[index];
      if (key === undefined) {
        position += 1;
        chunk = this.#chunks[position];
        index = 0;
        continue;
      }
      if (key >= to) break;
      rows.push({ key, value: chunk.values[index] as Value });
      index += 1;
    }
    return rows;
  }

  #scanBackwards({ from, to, limit }: ScanRange): SortedRow<Value>[] {
    const rows: SortedRow<Value>[] = [];
    let position = this.#chunkFor(to);
    let chunk = this.#chunks[position];
    let index = chunk === undefined ? -1 : lowerBound(chunk.keys, to) - 1;
    while (chunk !== undefined && rows.length < limit) {
      const key = chunk.keys[index];
      if (key === undefined) {
        position -= 1;
        chunk = this.#chunks[position];
        index = chunk === undefined ? -1 : chunk.keys.length - 1;
        continue;
      }
      if (key < from) break;
      rows.push({ key, value: chunk.values[index] as Value });
      index -= 1;
    }
    return rows;
  }

  /** The last chunk whose first key is not above `key`, or the first one. */
  #chunkFor(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const first = this.#chunks[middle]?.keys[0];
      if (first !== undefined && first <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #ownChunk(position: number): Chunk<Value> {
    const chunk = this.#chunks[position];
    if (chunk !== undefined && chunk.owner === this.#owner) return chunk;
    const owned: Chunk<Value> =
      chunk === undefined
        ? { owner: this.#owner, keys: [], values: [] }
        : { owner: this.#owner, keys: chunk.keys.slice(), values: chunk.values.slice() };
    this.#chunks[position] = owned;
    return owned;
  }

  #split(position: number, chunk: Chunk<Value>): void {
    // Keys mostly grow at the end (log indexes, times), so a full last chunk stays full and a new one begins.
    const isAppend = position === this.#chunks.length - 1;
    const half = isAppend ? CHUNK_ROWS_MAX : CHUNK_ROWS_MAX >> 1;
    this.#chunks.splice(position + 1, 0, {
      owner: this.#owner,
      keys: chunk.keys.splice(half),
      values: chunk.values.splice(half),
    });
  }
}

const CHUNK_ROWS_MAX = 128;

export interface SortedRow<Value> {
  readonly key: string;
  readonly value: Value;
}

interface Chunk<Value> {
  readonly owner: object;
  readonly keys: string[];
  readonly values: Value[];
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
