import { CodedError } from '../base/errors.ts';
import type { Write } from './storage.ts';

export interface WaitingBatch {
  readonly batch: readonly Write[];
  readonly bytes: number;
  readonly done: (error: Error | null) => void;
}

/** One synced write at a time. Batches that come meanwhile wait, and share the next one. */
export class GroupCommit {
  readonly #label: string;
  readonly #writeGroup: (group: readonly WaitingBatch[]) => Promise<Error | null>;
  #waiting: WaitingBatch[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #onIdle: (() => void) | undefined;

  /** `writeGroup` never rejects; after its first error it gives that for every group. */
  constructor(label: string, writeGroup: (group: readonly WaitingBatch[]) => Promise<Error | null>) {
    this.#label = label;
    this.#writeGroup = writeGroup;
  }

  /** Gives why not: a queue this long means that the disk cannot keep up. What waits already stands. */
  write(batch: readonly Write[], done: (error: Error | null) => void): CodedError | undefined {
    const refusal = this.#push(batch, done);
    if (refusal === undefined && !this.#isWriting) void this.#writeWaiting();
    return refusal;
  }

  /** Resolves when all that waits is written. For one caller, who lets nobody write any more. */
  async untilIdle(): Promise<void> {
    if (this.#isWriting) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** A `done` that throws is our bug and ends the process as an unhandled rejection. */
  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      const error = await this.#writeGroup(group);
      for (const { done } of group) done(error);
    }
    this.#isWriting = false;
    this.#onIdle?.();
  }

  #push(batch: readonly Write[], done: (error: Error | null) => void): CodedError | undefined {
    const bytes = sizeOf(batch);
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      return new CodedError('overloaded', `${this.#waiting.length} batches wait to be written to ${this.#label}`);
    }
    this.#waiting.push({ batch, bytes, done });
    this.#waitingBytes += bytes;
    return undefined;
  }

  /** The oldest batches that fit into one group; always at least one, however large. */
  #takeGroup(): readonly WaitingBatch[] {
    let count = 0;
    let groupBytes = 0;
    for (const { bytes } of this.#waiting) {
      groupBytes += bytes;
      if (count > 0 && groupBytes > GROUP_BYTES_MAX) break;
      count += 1;
    }
    const group = this.#waiting.splice(0, count);
    for (const { bytes } of group) this.#waitingBytes -= bytes;
    return group;
  }
}

const GROUP_BYTES_MAX = 4 * 1024 * 1024;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
/** What a write costs beside key and value, so that many small ones count as well. */
const WRITE_OVERHEAD_BYTES = 64;

function sizeOf(batch: readonly Write[]): number {
  let bytes = 0;
  for (const write of batch) {
    bytes += WRITE_OVERHEAD_BYTES + write.key.length + (write.type === 'put' ? write.value.byteLength : 0);
  }
  return bytes;
}
