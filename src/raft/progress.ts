import { strict as assert } from 'node:assert';
import { Inflights } from './inflights.ts';

/**
 * What the leader knows of one follower.
 *
 *   probe ──── accepted ───► replicate     probe: one message per heartbeat until the logs are known to match
 *     ▲  ◄──── rejected ────    │          replicate: optimistic, a window of messages in flight
 *     │                         │          snapshot: entries are compacted; nothing is sent until it is there
 *     └── sent, or failed ── snapshot ◄── next entry compacted
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export class Progress {
  state: ProgressState = 'probe';
  match: number;
  next: number;
  /** The highest commit index that a message to this follower carried. */
  sentCommit = 0;
  /** Index of the snapshot on its way, 0 while the shell has not said. Only in state snapshot. */
  pendingSnapshot = 0;
  /** Heard from since the last check of the quorum. */
  isRecentlyActive = false;
  /** The same of the period before, so that what an operator sees does not flicker. */
  wasRecentlyActive = false;
  /** A heartbeat was sent that may also repair what is stuck. Those of reads come too often for that. */
  isHeartbeatDue = false;
  /** The newest round of reads that it has answered a heartbeat of. */
  readPosition = 0;
  /** Its log has lost entries: nothing that it says counts, until it says that it is whole (decision 0016). */
  isWounded = false;
  /** A leaver is told so for a while. Null: a member. */
  ticksToLeave: number | null = null;
  /** No append until a heartbeat's answer, or an append's, shows that the follower listens. */
  isPaused = false;
  /** The shell reads entries for this follower from disk. */
  isReading = false;
  readonly inflights: Inflights;

  constructor(match: number, next: number, inflightCountMax: number, inflightBytesMax: number) {
    assert(next > match);
    this.match = match;
    this.next = next;
    this.inflights = new Inflights(inflightCountMax, inflightBytesMax);
  }

  becomeProbe(): void {
    // What was sent as a snapshot is what the follower will have, if it arrived.
    const reached = this.state === 'snapshot' ? this.pendingSnapshot : 0;
    this.#reset('probe');
    this.next = Math.max(this.match + 1, reached + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#reset('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(): void {
    this.#reset('snapshot');
    this.next = this.match + 1;
    this.sentCommit = Math.min(this.sentCommit, this.match);
  }

  /** It has lost entries, and it is not known which: the one case in which match goes back. */
  restart(): void {
    this.#reset('probe');
    this.match = 0;
    this.sentCommit = 0;
  }

  /** The follower has everything up to `index`. False if that is no news. */
  advance(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.isPaused = false;
    return true;
  }

  /** The follower rejected an append after `rejected`; `hint` is where it may match. False if the answer is stale. */
  retreat(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.next - 1);
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.isPaused = false;
    return true;
  }

  sent(count: number, bytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.isPaused = this.inflights.isFull;
    } else if (count > 0) {
      assert(this.state === 'probe', 'progress: entries sent during a snapshot');
      this.isPaused = true;
    }
  }

  get isBlocked(): boolean {
    return this.state === 'snapshot' || this.isPaused || this.isReading;
  }

  /** Would an empty append tell this follower of a higher commit index? */
  canRaiseCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  #reset(state: ProgressState): void {
    this.state = state;
    this.isPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.clear();
  }
}
