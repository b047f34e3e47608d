import type { DeleteWrite, Write } from '../store/storage.ts';

/**
 * Collects writes while one batch is on its way to the disk, so that many attempts share an fsync. A later write to a
 * key replaces an earlier one that has not left yet: a finish that is acknowledged quickly is never written at all.
 *
 * Bounded by what the executor actor lets in (slots, outbox), since each attempt has at most three keys.
 */
export class WriteQueue {
  /** Waiting, by key; the order of the last change. */
  #waiting = new Map<string, Write>();
  #inFlight: ReadonlyMap<string, Write> | null = null;

  get isIdle(): boolean {
    return this.#inFlight === null && this.#waiting.size === 0;
  }

  add(write: Write): void {
    this.#waiting.delete(write.key);
    this.#waiting.set(write.key, write);
  }

  /** Deletes a row that is put once at most: a put that has not left yet is dropped, and nothing is written. */
  undoPut(write: DeleteWrite): void {
    if (this.#waiting.get(write.key)?.type === 'put') this.#waiting.delete(write.key);
    else this.add(write);
  }

  /** The bytes of a put that is not durable yet, for readers that cannot wait. */
  peek(key: string): Uint8Array | undefined {
    const write = this.#waiting.get(key) ?? this.#inFlight?.get(key);
    return write?.type === 'put' ? write.value : undefined;
  }

  /** The next batch, or null while one is on its way or nothing waits. */
  take(): readonly Write[] | null {
    if (this.#inFlight !== null || this.#waiting.size === 0) return null;
    this.#inFlight = this.#waiting;
    this.#waiting = new Map();
    return [...this.#inFlight.values()];
  }

  /** The batch of the last `take` is durable. */
  written(): void {
    this.#inFlight = null;
  }
}
