/**
 * Linearizable reads without an entry in the log (ReadIndex, thesis §6.4), as a numbered queue.
 *
 *   asks gather ──► round { position, index } ──► a quorum has answered a heartbeat that carried the position
 *                   one at a time                 ──► all of them may read at `index`
 *
 * The index of a round is the commit index when it begins, which is after all its asks have come. A heartbeat carries
 * the number of the newest round and its answer repeats it, so that an answer to an earlier heartbeat, however late or
 * often it comes, confirms no later round (known bug 9). Maps of contexts would have to tell that by themselves.
 */
import { strict as assert } from 'node:assert';

export interface ReadAsk {
  readonly node: string;
  readonly id: number;
}

export interface ReadRound {
  readonly position: number;
  readonly index: number;
  readonly asks: readonly ReadAsk[];
}

export class ReadQueue {
  #position = 0;
  #gathering: ReadAsk[] = [];
  #round: ReadRound | null = null;

  /** Of the newest round. Never goes back in the life of a server. */
  get position(): number {
    return this.#position;
  }

  get round(): ReadRound | null {
    return this.#round;
  }

  /** Is there something to begin, and nothing under way? */
  get isDue(): boolean {
    return this.#round === null && this.#gathering.length > 0;
  }

  /** False if too many wait. Each is a batch of reads of one server. */
  add(ask: ReadAsk): boolean {
    if (this.#gathering.length >= ASKS_MAX) return false;
    this.#gathering.push(ask);
    return true;
  }

  begin(index: number): void {
    assert(this.isDue);
    this.#position += 1;
    this.#round = { position: this.#position, index, asks: this.#gathering };
    this.#gathering = [];
  }

  /** A quorum has answered `position`. Gives the round that is over by that. */
  confirm(position: number): ReadRound | null {
    const round = this.#round;
    if (round === null || position < round.position) return null;
    this.#round = null;
    return round;
  }

  /** Leadership is lost: all that were not answered. */
  takeAll(): readonly ReadAsk[] {
    if (this.#round === null && this.#gathering.length === 0) return NO_ASKS;
    const asks = [...(this.#round?.asks ?? []), ...this.#gathering];
    this.#round = null;
    this.#gathering = [];
    return asks;
  }
}

const NO_ASKS: readonly ReadAsk[] = [];
const ASKS_MAX = 4_096;
