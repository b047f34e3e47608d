/** Reads that were asked of this server and wait for their index, in batches: one question to the core for each. */
import type { Reply } from '../actors/actor.ts';
import type { Raft } from './raft.ts';
import type { ReadAnswer } from './raft-protocol.ts';
import type { ReadResult } from './types.ts';

interface Batch {
  readonly replies: readonly Reply<ReadAnswer>[];
  readonly untilMs: number;
  /** Asked of another server: the question or the answer may have got lost. */
  isForwarded: boolean;
}

export class PendingReads {
  readonly #raft: Raft;
  readonly #patienceMs: number;
  #gathering: Reply<ReadAnswer>[] = [];
  readonly #batches = new Map<number, Batch>();
  #count = 0;

  /** `patienceMs`: an unanswered read is refused after it. */
  constructor(raft: Raft, patienceMs: number) {
    this.#raft = raft;
    this.#patienceMs = patienceMs;
  }

  /** Beyond the bound, or where nobody leads, it is refused at once. */
  add(reply: Reply<ReadAnswer>): void {
    const { leader } = this.#raft.state;
    if (leader === null) this.#refuse([reply], 'no-leader');
    else if (this.#count >= READS_MAX) this.#refuse([reply], 'overloaded');
    else {
      this.#gathering.push(reply);
      this.#count += 1;
    }
  }

  /** All that have come so far begin now, together. */
  begin(nowMs: number): void {
    if (this.#gathering.length === 0) return;
    const replies = this.#gathering;
    this.#gathering = [];
    const result = this.#raft.read();
    if (result.type === 'asked') {
      const { id, isForwarded } = result;
      this.#batches.set(id, { replies, untilMs: nowMs + this.#patienceMs, isForwarded });
    } else {
      this.#count -= replies.length;
      this.#refuse(replies, result.code);
    }
  }

  answer({ id, index }: ReadResult): void {
    const replies = this.#take(id);
    if (index === null) this.#refuse(replies, 'no-leader');
    else for (const reply of replies) reply({ type: 'read', index });
  }

  /** Once a tick: repeats what may have got lost, to whoever leads now, and gives up what has waited too long. */
  tick(nowMs: number): void {
    for (const [id, batch] of this.#batches) {
      if (nowMs >= batch.untilMs) this.#refuse(this.#take(id), 'no-leader');
      else if (batch.isForwarded) {
        const result = this.#raft.read(id);
        if (result.type === 'asked') batch.isForwarded = result.isForwarded;
      }
    }
  }

  end(): void {
    this.#refuse(this.#gathering, 'no-leader');
    for (const id of [...this.#batches.keys()]) this.#refuse(this.#take(id), 'no-leader');
    this.#gathering = [];
    this.#count = 0;
  }

  #take(id: number): readonly Reply<ReadAnswer>[] {
    const replies = this.#batches.get(id)?.replies ?? [];
    this.#batches.delete(id);
    this.#count -= replies.length;
    return replies;
  }

  #refuse(replies: readonly Reply<ReadAnswer>[], code: 'no-leader' | 'overloaded'): void {
    const { leader } = this.#raft.state;
    for (const reply of replies) reply({ type: 'read-refused', code, leader });
  }
}

const READS_MAX = 50_000;
