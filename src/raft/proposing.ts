/** Proposals from the door to the log: refused at once with a reason, or appended together with the next write. */
import type { Reply } from '../actors/actor.ts';
import type { Metrics } from '../base/telemetry.ts';
import { ProposalQueue } from './proposals.ts';
import type { Raft } from './raft.ts';
import type { ProposeAnswer } from './raft-protocol.ts';
import type { RaftLimits } from './state.ts';

type RefusalCode = Extract<ProposeAnswer, { readonly type: 'refused' }>['code'];

export class Proposing {
  readonly #raft: Raft;
  readonly #limits: RaftLimits;
  readonly #metrics: Metrics;
  readonly #queue: ProposalQueue;

  constructor(raft: Raft, limits: RaftLimits, metrics: Metrics) {
    this.#raft = raft;
    this.#limits = limits;
    this.#metrics = metrics;
    this.#queue = new ProposalQueue(limits.uncommittedBytesMax);
  }

  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  /** True if it waits for `append` now. */
  take(data: Uint8Array, isInternal: boolean, reply: Reply<ProposeAnswer>): boolean {
    const { role, leader, uncommittedBytes } = this.#raft.state;
    if (role !== 'leader') this.#refuse(reply, leader === null ? 'no-leader' : 'not-leader', leader);
    else if (this.#raft.isTransferring) this.#refuse(reply, 'no-leader', null);
    else if (data.length > this.#limits.appendBytesMax) this.#refuse(reply, 'too-large', leader);
    else if (!this.#queue.hasRoom(data, isInternal, uncommittedBytes)) this.#refuse(reply, 'overloaded', leader);
    else {
      this.#queue.push({ data, reply });
      return true;
    }
    return false;
  }

  append(): void {
    const proposals = this.#queue.takeAll();
    if (proposals.length === 0) return;
    const result = this.#raft.propose(
      proposals.map((proposal) => proposal.data),
      Number.POSITIVE_INFINITY,
    );
    if (result.type === 'refused') {
      for (const { reply } of proposals) this.#refuse(reply, result.code, result.leader);
      return;
    }
    const { index, term } = result;
    for (const [position, { reply }] of proposals.entries()) reply({ type: 'accepted', index: index + position, term });
    this.#metrics.count('carillon_raft_proposals_total', { outcome: 'accepted' }, proposals.length);
  }

  end(): void {
    for (const { reply } of this.#queue.takeAll()) reply({ type: 'refused', code: 'no-leader', leader: null });
  }

  #refuse(reply: Reply<ProposeAnswer>, code: RefusalCode, leader: string | null): void {
    this.#metrics.count('carillon_raft_proposals_total', { outcome: code });
    reply({ type: 'refused', code, leader });
  }
}
