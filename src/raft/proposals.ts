import type { Reply } from '../actors/actor.ts';
import { CodedError } from '../base/errors.ts';
import type { ProposeAnswer } from './raft-protocol.ts';
import { ENTRY_OVERHEAD_BYTES } from './types.ts';

export interface Proposal {
  readonly data: Uint8Array;
  readonly reply: Reply<ProposeAnswer>;
}

/**
 * Proposals that wait for the next write. Bounded together with what is appended and not committed; the last quarter
 * of the room is for internal commands, which client writes must not lock out.
 */
export class ProposalQueue {
  readonly #bytesMax: number;
  #items: Proposal[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    if (bytesMax <= 0) throw new CodedError('settings', 'raft: the room for proposals must be above 0 bytes');
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#items.length;
  }

  hasRoom(data: Uint8Array, isInternal: boolean, uncommittedBytes: number): boolean {
    const used = this.#bytes + uncommittedBytes;
    const limit = isInternal ? this.#bytesMax : this.#bytesMax * CLIENT_SHARE;
    return used + data.length + ENTRY_OVERHEAD_BYTES <= limit && this.#items.length < ITEMS_MAX;
  }

  push(proposal: Proposal): void {
    this.#items.push(proposal);
    this.#bytes += proposal.data.length + ENTRY_OVERHEAD_BYTES;
  }

  takeAll(): readonly Proposal[] {
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    return items;
  }
}

const CLIENT_SHARE = 0.75;
const ITEMS_MAX = 100_000;
