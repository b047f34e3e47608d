/** Those who asked for a transfer of leadership and wait for its end. */
import type { Reply } from '../actors/actor.ts';
import type { TransferAnswer } from './raft-protocol.ts';

/** What can be said of the leadership now, as seen from the server that hands it over. */
export interface Leadership {
  /** Itself, while it leads. */
  readonly leader: string | null;
  readonly isLeading: boolean;
  readonly isTransferring: boolean;
}

export class TransferAsks {
  #replies: Reply<TransferAnswer>[] = [];
  #untilMs = 0;

  /** All wait for the end of one transfer: its deadline is that of the first who asked. */
  add(reply: Reply<TransferAnswer>, untilMs: number): void {
    if (this.#replies.length >= ASKS_MAX) {
      reply({ type: 'transferred', leader: null });
      return;
    }
    if (this.#replies.length === 0) this.#untilMs = untilMs;
    this.#replies.push(reply);
  }

  /** Answers once another leads, the leader has given up, or the time is over. */
  settle({ leader, isLeading, isTransferring }: Leadership, nowMs: number): void {
    if (this.#replies.length === 0) return;
    const isPending = isLeading ? isTransferring : leader === null;
    if (isPending && nowMs < this.#untilMs) return;
    this.end(isLeading ? null : leader);
  }

  end(leader: string | null): void {
    const replies = this.#replies;
    this.#replies = [];
    for (const reply of replies) reply({ type: 'transferred', leader });
  }
}

/** More than that ask by mistake, and are told at once that nobody took over. */
const ASKS_MAX = 16;
