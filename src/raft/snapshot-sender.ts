import type { SnapshotPort, SnapshotReader } from './raft-protocol.ts';
import type { LogReset } from './types.ts';
import { encodeTransfer, type SnapshotAnswer } from './wire.ts';

export interface SnapshotSenderOptions {
  readonly term: number;
  /** Tells this attempt from earlier ones to the same follower. */
  readonly transfer: number;
  readonly port: SnapshotPort;
  readonly send: (body: Uint8Array) => void;
  /** The place in the log and the configuration there; null if the log does not reach there. */
  readonly placeOf: (index: number, term: number) => LogReset | null;
  /** Runs what a port's answer asks for as a message of the actor. */
  readonly later: (run: () => void) => void;
  /** Called once. The index is 0 if it failed before it was known. */
  readonly onEnd: (index: number, isDone: boolean) => void;
}

/**
 * Streams one snapshot to one follower: one chunk at a time, the next when the last is acknowledged, again when no
 * answer comes. So it holds at most one chunk in memory, and never more than one on the wire.
 */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  #reader: SnapshotReader | null = null;
  #place: LogReset | null = null;
  #offset = 0;
  #chunk: Uint8Array | null = null;
  #isLast = false;
  #isEnded = false;
  #ticksWithoutProgress = 0;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
    options.port.open((error, reader) => options.later(() => this.#opened(error, reader)));
  }

  answer(answer: SnapshotAnswer): void {
    if (this.#isEnded || answer.transfer !== this.#options.transfer || this.#chunk === null) return;
    if (answer.outcome === 'done') this.#end(true);
    else if (answer.outcome === 'failed') this.#end(false);
    else if (answer.offset === this.#offset + this.#chunk.length && !this.#isLast) {
      this.#offset = answer.offset;
      this.#readNext();
    } else if (answer.offset < this.#offset) {
      // It has lost what we sent it, by a restart say.
      this.#end(false);
    }
  }

  tick(): void {
    this.#ticksWithoutProgress += 1;
    if (this.#ticksWithoutProgress > PATIENCE_TICKS) this.#end(false);
    else if (this.#chunk !== null && this.#ticksWithoutProgress % RESEND_TICKS === 0) this.#sendChunk();
  }

  /** Ends it without a word, for a leader that leads no longer. */
  close(): void {
    this.#isEnded = true;
    this.#chunk = null;
    this.#reader?.close();
    this.#reader = null;
  }

  #opened(error: Error | null, reader: SnapshotReader | null): void {
    if (this.#isEnded || error !== null || reader === null) {
      reader?.close();
      this.#end(false);
      return;
    }
    this.#reader = reader;
    this.#place = this.#options.placeOf(reader.meta.index, reader.meta.term);
    if (this.#place === null) this.#end(false);
    else this.#readNext();
  }

  #readNext(): void {
    this.#chunk = null;
    this.#ticksWithoutProgress = 0;
    this.#reader?.next((error, chunk) => this.#options.later(() => this.#read(error, chunk)));
  }

  #read(error: Error | null, chunk: Uint8Array | null): void {
    if (this.#isEnded) return;
    if (error !== null) {
      this.#end(false);
      return;
    }
    // The end is a chunk of its own, so that each chunk can leave as soon as it is read.
    this.#isLast = chunk === null;
    this.#chunk = chunk ?? new Uint8Array(0);
    this.#sendChunk();
  }

  #sendChunk(): void {
    const { term, transfer, send } = this.#options;
    if (this.#place === null || this.#chunk === null) return;
    const [offset, isLast, data] = [this.#offset, this.#isLast, this.#chunk];
    const { point } = this.#place;
    const configuration = offset === 0 ? this.#place.configuration : null;
    send(encodeTransfer({ type: 'snapshot-chunk', term, point, transfer, offset, isLast, configuration, data }));
  }

  #end(isDone: boolean): void {
    if (this.#isEnded) return;
    this.close();
    this.#options.onEnd(this.#place?.point.index ?? 0, isDone);
  }
}

const RESEND_TICKS = 3;
/** Without any progress for so long the attempt ends; the follower is probed and gets a new one. */
const PATIENCE_TICKS = 300;
