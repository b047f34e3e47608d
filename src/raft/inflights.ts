import { strict as assert } from 'node:assert';

/** Append messages on their way to one follower: a ring of (last index, bytes), bounded in number and in bytes. */
export class Inflights {
  readonly #indexes: number[] = [];
  readonly #bytes: number[] = [];
  readonly #countMax: number;
  readonly #bytesMax: number;
  #start = 0;
  #count = 0;
  #totalBytes = 0;

  constructor(countMax: number, bytesMax: number) {
    assert(countMax > 0 && bytesMax > 0);
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#totalBytes;
  }

  /** One message may overshoot the bytes, so that a large entry passes at all. */
  get isFull(): boolean {
    return this.#count === this.#countMax || this.#totalBytes >= this.#bytesMax;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, 'inflights: add to a full window');
    const slot = (this.#start + this.#count) % this.#countMax;
    this.#indexes[slot] = lastIndex;
    this.#bytes[slot] = bytes;
    this.#count += 1;
    this.#totalBytes += bytes;
  }

  /** Frees every message whose last index is at most `index`. */
  freeUpTo(index: number): void {
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#totalBytes -= this.#bytes[this.#start] as number;
      this.#start = (this.#start + 1) % this.#countMax;
      this.#count -= 1;
    }
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#totalBytes = 0;
  }
}
