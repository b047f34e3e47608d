import { crc32Of } from '../base/hash.ts';
import type { OutputChunk } from './protocol.ts';

interface Partial {
  readonly totalBytes: number;
  readonly crc: number;
  readonly chunks: Map<number, Uint8Array>;
  receivedBytes: number;
}

/**
 * Puts the chunks of tails together, in whatever order and however often they come. Bounded: above `bytesMax` the tail
 * that was begun longest ago is dropped, since its node sends it again until it is stored.
 */
export class OutputAssembly {
  readonly #bytesMax: number;
  /** Begun longest ago first. */
  readonly #partials = new Map<string, Partial>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The whole tail once its last chunk is there and the checksum fits, else null. */
  add(chunk: Omit<OutputChunk, 'type'>): Uint8Array | null {
    const { execution, offset, totalBytes, crc, bytes } = chunk;
    if (totalBytes > this.#bytesMax || offset + bytes.length > totalBytes) return null;
    let partial = this.#partials.get(execution);
    if (partial === undefined || partial.totalBytes !== totalBytes || partial.crc !== crc) {
      this.drop(execution);
      partial = { totalBytes, crc, chunks: new Map(), receivedBytes: 0 };
      this.#partials.set(execution, partial);
    }
    if (partial.chunks.has(offset)) return null;
    partial.chunks.set(offset, bytes);
    partial.receivedBytes += bytes.length;
    this.#bytes += bytes.length;
    if (partial.receivedBytes >= totalBytes) {
      this.drop(execution);
      const whole = join(partial);
      return crc32Of(whole) === crc ? whole : null;
    }
    for (const oldest of this.#partials.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.drop(oldest);
    }
    return null;
  }

  /** Forgets what has come of a tail so far. */
  drop(execution: string): void {
    const partial = this.#partials.get(execution);
    if (partial === undefined) return;
    this.#partials.delete(execution);
    this.#bytes -= partial.receivedBytes;
  }
}

function join(partial: Partial): Uint8Array {
  const whole = new Uint8Array(partial.totalBytes);
  for (const [offset, bytes] of partial.chunks) whole.set(bytes, offset);
  return whole;
}
