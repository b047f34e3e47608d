import type { Readable } from 'node:stream';
import type { Tail } from './tail.ts';

const WINDOW_MS = 20;

/**
 * Reads output into tails, all runs together at most `bytesPerSecond`, so that children that write without end take a
 * bounded share of a core here: their pipes fill, and they wait.
 */
export class OutputThrottle {
  readonly #windowBytes: number;
  #leftBytes: number;
  readonly #paused = new Set<Readable>();
  #timer: NodeJS.Timeout | null = null;

  constructor(bytesPerSecond: number) {
    this.#windowBytes = Math.max(1, Math.floor((bytesPerSecond * WINDOW_MS) / 1_000));
    this.#leftBytes = this.#windowBytes;
  }

  /** Calls `ended` once the stream is over, in whatever way. */
  attach(stream: Readable, tail: Tail, ended: () => void): void {
    stream.on('data', (bytes: Uint8Array) => {
      tail.write(bytes);
      this.#leftBytes -= bytes.length;
      this.#timer ??= setTimeout(() => this.#nextWindow(), WINDOW_MS);
      if (this.#leftBytes > 0) return;
      stream.pause();
      this.#paused.add(stream);
    });
    // A pipe that breaks has no more to say; what came before is kept.
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#paused.delete(stream);
      ended();
    });
  }

  #nextWindow(): void {
    this.#timer = null;
    this.#leftBytes = this.#windowBytes;
    const paused = [...this.#paused];
    this.#paused.clear();
    for (const stream of paused) stream.resume();
  }
}
