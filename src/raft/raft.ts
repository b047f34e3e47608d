/**
 * Agreement. This folder makes several servers keep one log; it knows nothing of jobs: bytes in, bytes out.
 *
 *                    step(message)  tick()  propose()          files of the core, all of them rules:
 *   transport, timer ────────────► Raft                        `election` who leads, `replication` the leader's side,
 *                                    │ ready()                 `follower` the other side, `log` and `unstable` the one
 *               ┌────────────────────┼──────────────┐          view of the log, `progress` and `inflights` what a leader
 *         messages now        append: one write   committed    knows of a follower, `quorum`, `state`, `invariants`
 *               ▼                    ▼              ▼
 *           transport            LogStore       state machine  `raft-actor` is the shell: it obeys `ready`
 *                                    │ durable
 *                       persisted(receipt), then the answers leave
 *
 * The core is a deterministic function of what it is given: no clock (time is ticks), no I/O, no randomness of its
 * own, no await. Storage is asynchronous: any number of writes may be under way while messages are handled. Three
 * rules make that safe. Answers that count as votes (to appends, to votes, the leader's own and a candidate's own)
 * leave only when what they say is durable. A receipt carries the term in which its write was handed out, and one of
 * an older term marks nothing as durable, for its entries may have been replaced and put back since. Entries are
 * handed on only once they are durable here.
 *
 * Membership is fixed; `configuration` entries exist and are handed on like all others.
 */
import { strict as assert } from 'node:assert';
import type { Random } from '../base/random.ts';
import { handleVoteAnswer, handleVoteRequest, refuseVote, startElection, startTransferElection } from './election.ts';
import { handleAppend, handleHeartbeat, restore } from './follower.ts';
import { checkInvariants } from './invariants.ts';
import { isWithinLease, silentLeader, suspectLeader } from './leader-watch.ts';
import { limitBytes, RaftLog } from './log.ts';
import { majority } from './quorum.ts';
import {
  appendEntries,
  broadcastAppend,
  broadcastHeartbeat,
  handleAppendAnswer,
  handleEntriesRead,
  handleHeartbeatAnswer,
  handleSnapshotSent,
  handleUnreachable,
  NO_HINT,
} from './replication.ts';
import { DEFAULT_LIMITS, type RaftLimits, RaftState } from './state.ts';
import { beginTransfer, continueTransfer, leaveTarget, tickTransfer } from './transfer.ts';
import {
  type AppendWork,
  entryBytes,
  type HardState,
  type LogEntry,
  type LogPoint,
  type Message,
  type Probe,
  type ReadWork,
  type Ready,
  type Receipt,
  type Room,
  type StableLog,
} from './types.ts';

export interface RaftOptions {
  readonly id: string;
  readonly voters: readonly string[];
  readonly log: StableLog;
  readonly hardState: HardState;
  /** What the state machine has durably applied. */
  readonly appliedIndex: number;
  readonly random: Random;
  readonly limits?: Partial<RaftLimits>;
}

export type ProposeResult =
  /** The first `count` of the proposals stand in the log from `index` on; the others were one too many. */
  | { readonly type: 'accepted'; readonly index: number; readonly term: number; readonly count: number }
  | {
      readonly type: 'refused';
      readonly code: 'no-leader' | 'not-leader' | 'overloaded';
      readonly leader: string | null;
    };

export class Raft {
  /** Read by tests, invariants and status; changed only by the core. */
  readonly state: RaftState;
  #handedOut: HardState;

  constructor(options: RaftOptions) {
    const commit = Math.max(options.hardState.commit, options.appliedIndex, options.log.base.index);
    const log = new RaftLog(options.log, commit, options.appliedIndex);
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { id, voters, hardState, random } = options;
    this.state = new RaftState({ id, voters, log, hardState, limits, random });
    this.#handedOut = hardState;
  }

  /** A message from a peer, or one of this node's own answers once it is durable. */
  step(message: Message): void {
    const { state } = this;
    assert(message.to === state.id, 'raft: a message for another node');
    // That it arrived is all that it is for. Its sender may be of a later term, which must not depose anybody.
    if (message.type === 'probe') return;
    if (!state.voters.includes(message.from)) return;
    if (message.term > state.term && !this.#adoptTerm(message)) return;
    if (message.term < state.term) this.#answerOld(message);
    else this.#dispatch(message);
    checkInvariants(state);
  }

  /** One unit of time has passed. */
  tick(): void {
    const { state } = this;
    state.electionElapsed += 1;
    if (state.role === 'leader') this.#tickLeader();
    else if (state.electionElapsed >= state.electionTimeout) {
      state.electionElapsed = 0;
      startElection(state);
    }
    checkInvariants(state);
  }

  /** Begins an election now, with the pre-vote. */
  campaign(): boolean {
    return startElection(this.state);
  }

  /** All of them, or the first few if the quota `bytesMax` (default: the core's own) of uncommitted bytes is reached. */
  propose(data: readonly Uint8Array[], bytesMax = this.state.limits.uncommittedBytesMax): ProposeResult {
    const { state } = this;
    if (state.role !== 'leader') {
      return { type: 'refused', code: state.leader === null ? 'no-leader' : 'not-leader', leader: state.leader };
    }
    if (state.transfer !== null) return { type: 'refused', code: 'no-leader', leader: null };
    const count = this.#countWithinQuota(data, bytesMax);
    if (count === 0) return { type: 'refused', code: 'overloaded', leader: state.id };
    const index = state.log.lastIndex + 1;
    appendEntries(state, 'command', count === data.length ? data : data.slice(0, count));
    broadcastAppend(state);
    checkInvariants(state);
    return { type: 'accepted', index, term: state.term, count };
  }

  /** What is to be done now. Everything in it is handed out once; the shell must do all of it. */
  ready(room: Room): Ready {
    const { state } = this;
    const append = room.append ? this.#takeAppend() : null;
    const committed = this.#takeCommitted(room);
    const { messages, reads, snapshots } = state;
    if (messages.length > 0) state.messages = [];
    if (reads.length > 0) state.reads = [];
    if (snapshots.length > 0) state.snapshots = [];
    return { messages, append, committed, reads, snapshots };
  }

  /** A write is durable; `StableLog` shows it already. The shell then delivers the answers that waited for it. */
  persisted(receipt: Receipt): void {
    const { log, term } = this.state;
    // Snapshots are committed, so a late receipt of one is as good as a timely one.
    if (receipt.resetIndex > 0) log.unstable.stableSnapshotTo(receipt.resetIndex);
    if (receipt.term === term && receipt.last !== null) log.unstable.stableTo(receipt.last);
    checkInvariants(this.state);
  }

  /** The state machine has applied everything up to `index`. */
  applied(index: number): void {
    this.state.log.appliedTo(index);
  }

  /** Answers a `ReadWork`. Empty if the entries were compacted meanwhile. */
  entriesRead(work: ReadWork, entries: readonly LogEntry[]): void {
    const { state } = this;
    if (work.target === null) {
      state.isReadingToHandOn = false;
      state.readEntries = entries;
    } else if (work.term === state.term && state.role === 'leader') {
      handleEntriesRead(state, work.target, entries);
    }
  }

  /** Nobody listens for this server any more, or a frame to it was lost: a hint. */
  unreachable(peer: string): void {
    const { state } = this;
    handleUnreachable(state, peer);
    leaveTarget(state, peer);
    suspectLeader(state, peer);
    checkInvariants(state);
  }

  /** A leader that has not been heard for two heartbeats. The shell sends it a `probe` each tick. */
  get silentLeader(): string | null {
    return silentLeader(this.state);
  }

  /** Hands leadership to `target`, or to the follower that is furthest. False if it cannot even begin. */
  transfer(target: string | null = null): boolean {
    const hasBegun = beginTransfer(this.state, target);
    checkInvariants(this.state);
    return hasBegun;
  }

  /** Until another leads or an election timeout is over. Proposals are refused meanwhile. */
  get isTransferring(): boolean {
    return this.state.transfer !== null;
  }

  snapshotSent(peer: string, index: number, isDone: boolean): void {
    handleSnapshotSent(this.state, peer, index, isDone);
  }

  /**
   * The state is about to be replaced by a snapshot: until `restored` or `installFailed` nothing is handed on.
   * False if this node has got there on its own; the caller then drops the snapshot.
   */
  beginInstall(point: LogPoint): boolean {
    const { state } = this;
    if (state.role === 'leader' || point.index <= state.log.committed) return false;
    state.isInstalling = true;
    return true;
  }

  restored(point: LogPoint): void {
    assert(this.state.isInstalling);
    this.state.isInstalling = false;
    restore(this.state, point);
    checkInvariants(this.state);
  }

  /** For a snapshot that is of no use: tells the leader where this node stands. */
  answerUselessSnapshot(): void {
    const { id: from, term, leader: to, log, role } = this.state;
    if (role !== 'follower' || to === null) return;
    const index = log.committed;
    this.state.sendAfterAppend({ type: 'append-answer', from, to, term, index, isRejected: false, hint: NO_HINT });
  }

  installFailed(): void {
    this.state.isInstalling = false;
  }

  /** A message of a later term. False if it is to be ignored altogether. */
  #adoptTerm(message: Message): boolean {
    const { state } = this;
    // Whoever asks while a leader is well was cut off from it; it must not end its term (thesis §4.2.3).
    if (message.type === 'vote-request' && !message.isTransfer && isWithinLease(state)) return false;
    if (message.type === 'vote-request' && message.isPreVote) return true;
    // A granted pre-vote carries the term that was asked for, which nobody is in yet.
    if (message.type === 'vote-answer' && message.isPreVote && message.isGranted) return true;
    const isFromLeader = message.type === 'append' || message.type === 'heartbeat' || message.type === 'timeout-now';
    state.becomeFollower(message.term, isFromLeader ? message.from : null);
    return true;
  }

  #answerOld(message: Message): void {
    const { state } = this;
    if (message.type === 'append' || message.type === 'heartbeat') {
      // That leader is deposed and may not know; without a vote request from us, this is how it learns our term.
      const { id: from, term } = state;
      state.sendAfterAppend({
        type: 'append-answer',
        from,
        to: message.from,
        term,
        index: 0,
        isRejected: true,
        hint: NO_HINT,
      });
    } else if (message.type === 'vote-request' && message.isPreVote) {
      refuseVote(state, message);
    }
  }

  /** A message of this term, or a pre-vote for a later one. */
  #dispatch(message: Exclude<Message, Probe>): void {
    const { state } = this;
    switch (message.type) {
      case 'vote-request':
        handleVoteRequest(state, message);
        return;
      case 'vote-answer':
        if (state.role === 'candidate' || state.role === 'pre-candidate') handleVoteAnswer(state, message);
        return;
      case 'append':
        this.#followLeader(message.from);
        handleAppend(state, message);
        return;
      case 'heartbeat':
        this.#followLeader(message.from);
        handleHeartbeat(state, message);
        return;
      case 'append-answer':
        if (state.role !== 'leader') return;
        handleAppendAnswer(state, message);
        continueTransfer(state, message.from);
        return;
      case 'heartbeat-answer':
        if (state.role !== 'leader') return;
        handleHeartbeatAnswer(state, message.from);
        continueTransfer(state, message.from);
        return;
      case 'timeout-now':
        this.#followLeader(message.from);
        startTransferElection(state);
        return;
    }
  }

  #followLeader(leader: string): void {
    const { state } = this;
    assert(state.role !== 'leader', `raft: ${leader} and ${state.id} both lead term ${state.term}`);
    if (state.role === 'follower') {
      assert(state.leader === null || state.leader === leader, `raft: two leaders in term ${state.term}`);
      state.heardLeader(leader);
    } else {
      state.becomeFollower(state.term, leader);
    }
  }

  #tickLeader(): void {
    const { state } = this;
    const { electionTicks, heartbeatTicks } = state.limits;
    // A lone voter has nobody to make room for: it waits for its disk.
    const isStalled = state.log.stableIndex < state.log.lastIndex && state.voters.length > 1;
    state.stalledTicks = isStalled ? state.stalledTicks + 1 : 0;
    if (state.stalledTicks > electionTicks) {
      state.becomeFollower(state.term, null);
      return;
    }
    if (state.electionElapsed >= electionTicks) {
      state.electionElapsed = 0;
      if (!this.#hasActiveQuorum()) {
        state.becomeFollower(state.term, null);
        return;
      }
    }
    tickTransfer(state);
    state.heartbeatElapsed += 1;
    if (state.heartbeatElapsed < heartbeatTicks) return;
    state.heartbeatElapsed = 0;
    broadcastHeartbeat(state);
  }

  #hasActiveQuorum(): boolean {
    const { progress, voters, id } = this.state;
    let active = 0;
    for (const [peer, { isRecentlyActive }] of progress) if (peer === id || isRecentlyActive) active += 1;
    for (const [peer, follower] of progress) follower.isRecentlyActive = peer === id;
    return active >= majority(voters.length);
  }

  #countWithinQuota(data: readonly Uint8Array[], bytesMax: number): number {
    let bytes = this.state.uncommittedBytes;
    let count = 0;
    for (const content of data) {
      const weight = entryBytes({ data: content });
      // One entry always passes, however large: else it never would.
      if (bytes > 0 && bytes + weight > bytesMax) break;
      bytes += weight;
      count += 1;
    }
    return count;
  }

  #takeAppend(): AppendWork | null {
    const { state } = this;
    const { unstable, lastIndex } = state.log;
    const { term, vote } = state;
    const entries = unstable.hasNext ? unstable.next() : NO_ENTRIES;
    const reset = unstable.isSnapshotInProgress ? null : unstable.snapshot;
    const isChanged = term !== this.#handedOut.term || vote !== this.#handedOut.vote;
    const isWrite = entries.length > 0 || reset !== null || isChanged;
    if (!isWrite && state.answers.length === 0) return null;
    // The commit index goes along with other writes only: alone it is not worth a sync, a leader tells it again.
    const hardState = isWrite ? { term, vote, commit: state.log.committed } : null;
    if (hardState !== null) this.#handedOut = hardState;
    // Attested anew with each write, so that what an older term's receipt may not mark is marked by the next.
    const last = unstable.entries.length > 0 ? { index: lastIndex, term: state.log.term(lastIndex) as number } : null;
    unstable.acceptInProgress();
    const answers = state.answers;
    state.answers = [];
    const first = entries[0];
    const chainBefore = first === undefined ? 0 : state.log.point(first.index - 1).chain;
    return { reset, entries, chainBefore, hardState, answers, receipt: { term, last, resetIndex: reset?.index ?? 0 } };
  }

  #takeCommitted(room: Room): readonly LogEntry[] {
    const { state } = this;
    const { log } = state;
    if (state.isInstalling || room.committedEntries <= 0 || room.committedBytes <= 0) return NO_ENTRIES;
    const low = log.handedOn + 1;
    const high = Math.min(log.handOnEnd, low + room.committedEntries);
    if (low >= high || state.isReadingToHandOn) return NO_ENTRIES;
    let entries: readonly LogEntry[] | undefined;
    if (state.readEntries[0]?.index === low) {
      entries = limitBytes(state.readEntries, 0, Math.min(high - low, state.readEntries.length), room.committedBytes);
      state.readEntries = [];
    } else {
      entries = log.slice(low, high, room.committedBytes);
    }
    if (entries === undefined) {
      state.isReadingToHandOn = true;
      const bytesMax = Math.min(room.committedBytes, state.limits.appendBytesMax);
      state.reads.push({ target: null, term: state.term, low, high, bytesMax });
      return NO_ENTRIES;
    }
    log.handedOn += entries.length;
    return entries;
  }
}

const NO_ENTRIES: readonly LogEntry[] = [];
