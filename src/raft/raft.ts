/**
 * Agreement. This folder makes several servers keep one log; it knows nothing of jobs: bytes in, bytes out.
 *
 *                    step(message)  tick()  propose()          files of the core, all of them rules:
 *   transport, timer ────────────► Raft                        `election` who leads, `replication` the leader's side,
 *                                    │ ready()                 `follower` the other side, `log` and `unstable` the one
 *               ┌────────────────────┼──────────────┐          view of the log, `progress` and `inflights` what a leader
 *         messages now        append: one write   committed    knows of a follower, `quorum`, `membership` and
 *               ▼                    ▼              ▼          `reconfiguration`, `reads`, `wounds`, `transfer`, `work`
 *           transport            LogStore       state machine
 *                                    │ durable                 `raft-actor` is the shell: it obeys `ready`
 *                       persisted(receipt), then the answers leave
 *
 * The core is a deterministic function of what it is given: no clock (time is ticks), no I/O, no randomness of its
 * own, no await. Storage is asynchronous: any number of writes may be under way while messages are handled. Three
 * rules make that safe. Answers that count as votes (to appends, to votes, the leader's own and a candidate's own)
 * leave only when what they say is durable. A receipt carries the term in which its write was handed out, and one of
 * an older term marks nothing as durable, for its entries may have been replaced and put back since. Entries are
 * handed on only once they are durable here.
 *
 * Who agrees stands in the log, in `configuration` entries, and is in force as soon as one is there; a server that has
 * none yet follows whoever leads. Entries of this kind are handed on like all others.
 */
import { strict as assert } from 'node:assert';
import { type Random, randomInteger } from '../base/random.ts';
import type { PlacedConfiguration } from './configuration.ts';
import {
  electionTimedOut,
  handleVoteAnswer,
  handleVoteRequest,
  refuseVote,
  startElection,
  startTransferElection,
} from './election.ts';
import { accept, handleAppend, handleHeartbeat, reject, restore } from './follower.ts';
import { checkInvariants } from './invariants.ts';
import { isWithinLease, silentLeader, suspectLeader } from './leader-watch.ts';
import { RaftLog } from './log.ts';
import { jointVoteResult } from './quorum.ts';
import type { ConfigurationChange } from './raft-protocol.ts';
import { type AskReadResult, askRead, beginReadRound, confirmReads, handleReadRequest } from './reads.ts';
import { type ConfigureResult, configure, continueReconfiguration, tickReconfiguration } from './reconfiguration.ts';
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
import { takeAppend, takeCommitted } from './work.ts';
import { askHowFar, checkHealed, learnHowFar } from './wounds.ts';

export interface RaftOptions {
  readonly id: string;
  /** Who votes stands in it. */
  readonly log: StableLog;
  readonly hardState: HardState;
  /** What the state machine has durably applied. */
  readonly appliedIndex: number;
  readonly random: Random;
  readonly limits?: Partial<RaftLimits>;
  /** The log has lost entries that this server had acknowledged: no vote until `healed`. */
  readonly isWounded?: boolean;
  /** Default: drawn, so that no answer to a question of an earlier life is taken for one of this. */
  readonly firstReadId?: number;
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

  constructor(options: RaftOptions) {
    const commit = Math.max(options.hardState.commit, options.appliedIndex, options.log.base.index);
    const log = new RaftLog(options.log, commit, options.appliedIndex);
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { id, hardState, random, isWounded = false } = options;
    const firstReadId = options.firstReadId ?? randomInteger(random, 1, READ_IDS);
    this.state = new RaftState({ id, log, hardState, limits, random, isWounded, firstReadId });
  }

  /** A message from a peer, or one of this node's own answers once it is durable. */
  step(message: Message): void {
    const { state } = this;
    assert(message.to === state.id, 'raft: a message for another node');
    // That it arrived is all that it is for. Its sender may be of a later term, which must not depose anybody.
    if (message.type === 'probe') return;
    if (message.term > state.term && !this.#adoptTerm(message)) return;
    if (message.term < state.term) this.#answerOld(message);
    else this.#dispatch(message);
    checkHealed(state);
    checkInvariants(state);
  }

  /** One unit of time has passed. */
  tick(): void {
    const { state } = this;
    state.electionElapsed += 1;
    if (state.role === 'leader') this.#tickLeader();
    else if (state.electionElapsed >= state.electionTimeout) electionTimedOut(state);
    askHowFar(state);
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
    beginReadRound(state);
    const append = room.append ? takeAppend(state) : null;
    const committed = takeCommitted(state, room);
    const { messages, reads, snapshots, readResults, hasHealed } = state;
    if (messages.length > 0) state.messages = [];
    if (reads.length > 0) state.reads = [];
    if (snapshots.length > 0) state.snapshots = [];
    if (readResults.length > 0) state.readResults = [];
    state.hasHealed = false;
    return { messages, append, committed, reads, snapshots, readResults, hasHealed };
  }

  /** A write is durable; `StableLog` shows it already. The shell then delivers the answers that waited for it. */
  persisted(receipt: Receipt): void {
    const { log, term } = this.state;
    // Snapshots are committed, so a late receipt of one is as good as a timely one.
    if (receipt.resetIndex > 0) log.unstable.stableSnapshotTo(receipt.resetIndex);
    if (receipt.term === term && receipt.last !== null) log.unstable.stableTo(receipt.last);
    checkHealed(this.state);
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

  /** Leader: a change of membership, one at a time. In force when it stands in the log, which is when this returns. */
  configure(change: ConfigurationChange): ConfigureResult {
    const result = configure(this.state, change);
    checkInvariants(this.state);
    return result;
  }

  /** A linearizable read begins. Its answer comes in `readResults`, if it comes; with `id` it is asked once more. */
  read(id?: number): AskReadResult {
    return askRead(this.state, id);
  }

  /** That the log is whole again is durable. */
  healed(): void {
    this.state.isWounded = false;
    this.state.wound = null;
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

  /** `configuration` was in force at `point`. */
  restored(point: LogPoint, configuration: PlacedConfiguration): void {
    assert(this.state.isInstalling);
    this.state.isInstalling = false;
    restore(this.state, point, configuration);
    checkHealed(this.state);
    checkInvariants(this.state);
  }

  /** For a snapshot that is of no use: tells the leader where this node stands. */
  answerUselessSnapshot(): void {
    const { leader, log, role } = this.state;
    if (role === 'follower' && leader !== null) accept(this.state, leader, log.committed);
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
    state.becomeFollower(message.term, FROM_LEADER.has(message.type) ? message.from : null);
    return true;
  }

  #answerOld(message: Message): void {
    const { state } = this;
    if (message.type === 'append' || message.type === 'heartbeat') {
      // That leader is deposed and may not know; without a vote request from us, this is how it learns our term.
      reject(state, message.from, 0, NO_HINT);
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
        // Of a server that has left, and was let go, nothing is known any more.
        if (!state.progress.has(message.from)) return;
        handleAppendAnswer(state, message);
        continueTransfer(state, message.from);
        continueReconfiguration(state);
        return;
      case 'heartbeat-answer':
        if (!state.progress.has(message.from)) return;
        handleHeartbeatAnswer(state, message);
        confirmReads(state);
        continueTransfer(state, message.from);
        continueReconfiguration(state);
        return;
      case 'read-request':
        if (state.role === 'leader') handleReadRequest(state, message);
        return;
      case 'read-answer':
        if (learnHowFar(state, message.id, message.index)) return;
        state.readResults.push({ id: message.id, index: message.index });
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
    const isAlone = state.voters.every((voter) => voter === state.id);
    const isStalled = !isAlone && state.log.stableIndex < state.log.lastIndex;
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
    tickReconfiguration(state);
    if (state.role !== 'leader') return;
    state.heartbeatElapsed += 1;
    if (state.heartbeatElapsed < heartbeatTicks) return;
    state.heartbeatElapsed = 0;
    broadcastHeartbeat(state);
  }

  #hasActiveQuorum(): boolean {
    const { progress, electorate, id } = this.state;
    const result = jointVoteResult(electorate, (voter) => {
      const one = progress.get(voter);
      return voter === id || (one?.isRecentlyActive && !one.isWounded) ? true : undefined;
    });
    for (const [peer, one] of progress) {
      one.wasRecentlyActive = one.isRecentlyActive;
      one.isRecentlyActive = peer === id;
    }
    return result === 'won';
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
}

const FROM_LEADER: ReadonlySet<Message['type']> = new Set(['append', 'heartbeat', 'timeout-now', 'read-answer']);
/** Half of what fits an id on the wire: the other half is for those that follow the first. */
const READ_IDS = 2 ** 47;
