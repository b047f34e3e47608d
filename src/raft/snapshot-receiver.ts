import type { SnapshotMeta, SnapshotPort, SnapshotWriter } from './raft-protocol.ts';
import type { LogPoint, LogReset } from './types.ts';
import { encodeTransfer, type SnapshotAnswer, type SnapshotChunk } from './wire.ts';

export interface SnapshotReceiverOptions {
  readonly port: SnapshotPort;
  readonly send: (to: string, body: Uint8Array) => void;
  readonly later: (run: () => void) => void;
  /** Would this snapshot bring anything new? */
  readonly isWanted: (point: LogPoint) => boolean;
  /** Notes durably what is about to happen, and stops handing entries on. False: no longer wanted. */
  readonly begin: (reset: LogReset, done: (isWanted: boolean) => void) => void;
  /** The state stands there. */
  readonly onInstalled: (reset: LogReset) => void;
  readonly onFailed: (error: Error) => void;
  readonly onUseless: () => void;
}

interface Transfer {
  readonly from: string;
  /** The first. */
  readonly chunk: SnapshotChunk;
  readonly reset: LogReset;
  writer: SnapshotWriter | null;
  offset: number;
  isBusy: boolean;
  isFinishing: boolean;
}

/** Takes one snapshot at a time; a newer attempt replaces an unfinished one, unless that is being installed already. */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  #transfer: Transfer | null = null;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  /** A chunk from the present leader. */
  take(from: string, chunk: SnapshotChunk): void {
    const present = this.#transfer;
    const isSame =
      present !== null &&
      present.from === from &&
      present.chunk.term === chunk.term &&
      present.chunk.transfer === chunk.transfer;
    if (isSame) this.#continue(present, chunk);
    else if (present?.isFinishing !== true && !isOlder(present, from, chunk)) this.#start(from, chunk);
  }

  close(): void {
    this.#transfer?.writer?.abort();
    this.#transfer = null;
  }

  #start(from: string, chunk: SnapshotChunk): void {
    this.close();
    if (!this.#options.isWanted(chunk.point)) {
      this.#options.onUseless();
      this.#answer(from, chunk, chunk.offset, 'done');
      return;
    }
    const { point, configuration } = chunk;
    if (chunk.offset !== 0 || configuration === null) {
      this.#answer(from, chunk, 0, 'failed');
      return;
    }
    const reset: LogReset = { point, configuration };
    const transfer: Transfer = { from, chunk, reset, writer: null, offset: 0, isBusy: true, isFinishing: false };
    this.#transfer = transfer;
    const meta: SnapshotMeta = { index: point.index, term: point.term };
    this.#options.port.receive(meta, (error, writer) =>
      this.#options.later(() => {
        if (this.#transfer !== transfer || error !== null || writer === null) {
          writer?.abort();
          this.#fail(transfer, error);
          return;
        }
        transfer.writer = writer;
        transfer.isBusy = false;
        this.#continue(transfer, chunk);
      }),
    );
  }

  #continue(transfer: Transfer, chunk: SnapshotChunk): void {
    // The same chunk again while it is being written: the answer is on its way.
    if (transfer.isBusy || transfer.writer === null) return;
    if (chunk.offset !== transfer.offset) {
      this.#answer(transfer.from, chunk, transfer.offset, 'next');
      return;
    }
    transfer.isBusy = true;
    if (chunk.isLast) this.#finish(transfer, transfer.writer);
    else this.#write(transfer, transfer.writer, chunk);
  }

  #write(transfer: Transfer, writer: SnapshotWriter, chunk: SnapshotChunk): void {
    writer.write(chunk.data, (error) =>
      this.#options.later(() => {
        if (this.#transfer !== transfer) return;
        if (error !== null) {
          this.#fail(transfer, error);
          return;
        }
        transfer.isBusy = false;
        transfer.offset += chunk.data.length;
        this.#answer(transfer.from, chunk, transfer.offset, 'next');
      }),
    );
  }

  #finish(transfer: Transfer, writer: SnapshotWriter): void {
    transfer.isFinishing = true;
    this.#options.begin(transfer.reset, (isWanted) => {
      if (!isWanted) {
        this.close();
        this.#options.onUseless();
        this.#answer(transfer.from, transfer.chunk, transfer.offset, 'done');
        return;
      }
      writer.finish((error) =>
        this.#options.later(() => {
          if (error !== null) {
            this.#fail(transfer, error);
            return;
          }
          this.#transfer = null;
          this.#options.onInstalled(transfer.reset);
          this.#answer(transfer.from, transfer.chunk, transfer.offset, 'done');
        }),
      );
    });
  }

  #fail(transfer: Transfer, error: Error | null): void {
    if (this.#transfer !== transfer) return;
    this.close();
    this.#answer(transfer.from, transfer.chunk, transfer.offset, 'failed');
    this.#options.onFailed(error ?? new Error('raft: the state machine gave no place to write a snapshot to'));
  }

  #answer(to: string, chunk: SnapshotChunk, offset: number, outcome: SnapshotAnswer['outcome']): void {
    const { term, transfer } = chunk;
    const index = chunk.point.index;
    this.#options.send(to, encodeTransfer({ type: 'snapshot-answer', term, index, transfer, offset, outcome }));
  }
}

/** A late chunk of an attempt that the same leader has given up since. */
function isOlder(present: Transfer | null, from: string, { term, transfer }: SnapshotChunk): boolean {
  return present?.from === from && present.chunk.term === term && transfer < present.chunk.transfer;
}
