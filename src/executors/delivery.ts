import type { Storage } from '../store/storage.ts';
import { putTail, readTail } from './node-store.ts';
import type { Outbox } from './outbox.ts';
import { chunksOf } from './output-chunks.ts';
import type { FromNode, OutputChunk } from './protocol.ts';
import type { WriteQueue } from './write-queue.ts';

/** Messages of finishes in one go; the rest follows with the next acknowledgement or tick. */
const FINISH_BURST_MESSAGES = 5;
const TAIL_BURST_BYTES = 4 * 1024 * 1024;
const TAIL_COPIES_WANTED = 2;
const NO_BYTES = new Uint8Array(0);

export interface DeliveryOptions {
  readonly node: string;
  readonly boot: number;
  readonly outbox: Outbox;
  readonly writes: WriteQueue;
  readonly storage: Storage;
  readonly toLeader: (leader: string, message: FromNode) => void;
  readonly toServer: (server: string, message: OutputChunk) => void;
  /** nodeIds of all that may hold tails. */
  readonly servers: () => readonly string[];
}

/** Sends what the outbox holds and is due, in bounded messages and bursts. */
export class Delivery {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Servers that have to hold a full tail before it is let go. */
  copiesWanted(): number {
    return Math.max(1, Math.min(TAIL_COPIES_WANTED, this.#options.servers().length));
  }

  sendFinishes(leader: string | null, nowMs: number): void {
    if (leader === null) return;
    const { node, boot, outbox, toLeader } = this.#options;
    for (let message = 0; message < FINISH_BURST_MESSAGES; message += 1) {
      const finishes = outbox.takeDueFinishes(nowMs);
      if (finishes.length === 0) return;
      toLeader(leader, { type: 'finish', node, boot, finishes });
    }
  }

  sendTails(nowMs: number): void {
    const { outbox, writes, storage, servers, toServer } = this.#options;
    const due = outbox.takeDueTails(nowMs, servers(), this.copiesWanted(), TAIL_BURST_BYTES);
    for (const { execution, servers: chosen } of due) {
      // What is not durable yet is still in memory.
      const bytes = writes.peek(putTail(execution, NO_BYTES).key) ?? readTail(storage, execution);
      if (bytes === undefined) throw new Error(`outbox: the tail of ${execution} is missing from the node store`);
      const chunks = chunksOf(execution, bytes);
      for (const server of chosen) for (const chunk of chunks) toServer(server, chunk);
    }
  }
}
