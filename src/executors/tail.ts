/** Many small writes are joined once there are so many of them, so that a byte costs no object. */
const CHUNKS_MAX = 256;

/**
 * Keeps the last `bytesMax` bytes that were written, and counts all. Cheap at any rate: a write is one push, and what
 * falls out is dropped by whole chunks.
 */
export class Tail {
  readonly #bytesMax: number;
  #chunks: Uint8Array[] = [];
  #keptBytes = 0;
  #totalBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** All bytes that were written, kept or not. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Keeps a reference: the caller must not change the bytes afterwards. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#totalBytes += bytes.length;
    this.#chunks.push(bytes);
    this.#keptBytes += bytes.length;
    let dropped = 0;
    for (const chunk of this.#chunks) {
      if (this.#keptBytes - chunk.length < this.#bytesMax) break;
      this.#keptBytes -= chunk.length;
      dropped += 1;
    }
    if (dropped > 0) this.#chunks.splice(0, dropped);
    if (this.#chunks.length <= CHUNKS_MAX) return;
    const joined = this.read();
    this.#chunks = [joined];
    this.#keptBytes = joined.length;
  }

  /** A copy of the kept bytes. */
  read(): Uint8Array {
    const joined = Buffer.concat(this.#chunks);
    return joined.subarray(Math.max(0, joined.length - this.#bytesMax));
  }
}
