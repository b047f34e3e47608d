import { strict as assert } from 'node:assert';
import { type Random, randomInteger } from '../base/random.ts';
import type { RaftLog } from './log.ts';
import { Progress } from './progress.ts';
import type { Electorate } from './quorum.ts';
import { ReadQueue } from './read-queue.ts';
import type {
  AppendAnswer,
  CoreRole,
  HardState,
  HeartbeatAnswer,
  LogEntry,
  Message,
  ReadRequest,
  ReadResult,
  ReadWork,
} from './types.ts';

/** The limits of one core. All in ticks, bytes or messages; the shell says how long a tick is. */
export interface RaftLimits {
  /** A follower waits a random time in [T, 2T) for a leader; a leader without a quorum for T steps down. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Entries of one append message; one larger entry goes alone. Must fit the transport with its header. */
  readonly appendBytesMax: number;
  readonly appendEntriesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** A leader refuses proposals beyond this: memory stays bounded without a quorum. */
  readonly uncommittedBytesMax: number;
}

export const DEFAULT_LIMITS: RaftLimits = {
  electionTicks: 6,
  heartbeatTicks: 1,
  appendBytesMax: 512 * 1024,
  appendEntriesMax: 4_096,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 32 * 1024 * 1024,
};

/** What the files of the core share: the fields of a Raft server, and the few steps that every role takes. */
export class RaftState {
  readonly id: string;
  readonly log: RaftLog;
  readonly limits: RaftLimits;
  readonly random: Random;

  role: CoreRole = 'follower';
  term: number;
  vote: string | null;
  leader: string | null = null;

  /** Follower: ticks since it heard a leader or voted. Leader: ticks since the last check of its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  electionTimeout = 0;
  readonly votes = new Map<string, boolean>();
  /** Follower: nobody listens for its leader any more, as a hint says. Until that one is heard or the term changes. */
  isLeaderGone = false;
  /** Above 0 from such a hint until a leader is followed: elections are repeated soon; this counts them. */
  hurriedElections = 0;

  /** Leader only: index of the entry that opened its term. */
  termStart = 0;
  /** Leader only; empty in other roles. All members, those who leave and must hear of it, and the leader itself. */
  readonly progress = new Map<string, Progress>();
  /** Appended by this leader and not committed: one item per append, so that `uncommittedBytes` can be given back. */
  uncommitted: { readonly index: number; readonly bytes: number }[] = [];
  uncommittedBytes = 0;
  /** Ticks since the leader's own log last became durable, while something is not. */
  stalledTicks = 0;
  /** Leader: it hands its leadership over. */
  transfer: Transfer | null = null;
  /** Leader: where its log ended at the last tick, or when it was elected. Who has that has caught up. */
  lastIndexAtTick = 0;
  /** Leader: the reads that wait for a quorum. */
  readonly readQueue = new ReadQueue();

  /** Entries of the log are lost that this server had acknowledged. */
  isWounded: boolean;
  /** Wounded: the read whose answer says up to where the log must reach again, and that answer. */
  wound: Wound | null = null;
  nextReadId: number;

  /** May leave at once. */
  messages: Message[] = [];
  /** Count as votes: leave once what they depend on is durable. */
  answers: Message[] = [];
  reads: ReadWork[] = [];
  snapshots: string[] = [];
  readResults: ReadResult[] = [];
  hasHealed = false;
  /** Term, vote and commit as the last write has them. */
  handedOut: HardState;
  /** Committed entries that were read from disk, next to be handed on. */
  readEntries: readonly LogEntry[] = [];
  isReadingToHandOn = false;
  /** A snapshot replaces the state right now: nothing is handed on. */
  isInstalling = false;

  constructor(options: {
    readonly id: string;
    readonly log: RaftLog;
    readonly hardState: HardState;
    readonly limits: RaftLimits;
    readonly random: Random;
    readonly isWounded: boolean;
    readonly firstReadId: number;
  }) {
    this.id = options.id;
    this.log = options.log;
    this.limits = options.limits;
    this.random = options.random;
    this.term = options.hardState.term;
    this.vote = options.hardState.vote;
    this.handedOut = options.hardState;
    this.isWounded = options.isWounded;
    this.nextReadId = options.firstReadId;
    this.#drawElectionTimeout();
  }

  /** Of both sides of a change that is under way. */
  get voters(): readonly string[] {
    return this.log.configurations.voters;
  }

  get electorate(): Electorate {
    return this.log.configurations.latest.configuration;
  }

  get isVoter(): boolean {
    return this.voters.includes(this.id);
  }

  becomeFollower(term: number, leader: string | null): void {
    if (leader !== null) this.hurriedElections = 0;
    this.#reset(term);
    this.role = 'follower';
    this.leader = leader;
  }

  /** A follower has heard its leader. */
  heardLeader(leader: string): void {
    assert(this.role === 'follower');
    this.leader = leader;
    this.electionElapsed = 0;
    this.isLeaderGone = false;
    if (this.hurriedElections === 0) return;
    this.hurriedElections = 0;
    this.#drawElectionTimeout();
  }

  becomePreCandidate(): void {
    assert(this.role !== 'leader');
    // Neither term nor vote change: a pre-vote only asks.
    this.votes.clear();
    this.role = 'pre-candidate';
    this.leader = null;
    if (this.hurriedElections > 0) this.#hurryOn();
  }

  becomeCandidate(): void {
    assert(this.role !== 'leader');
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.role = 'candidate';
  }

  becomeLeader(): void {
    assert(this.role === 'candidate');
    this.hurriedElections = 0;
    this.#reset(this.term);
    this.role = 'leader';
    this.leader = this.id;
    const next = this.log.lastIndex + 1;
    this.termStart = next;
    this.lastIndexAtTick = next;
    for (const member of this.log.configurations.members) this.track(member, next);
    if (!this.progress.has(this.id)) this.track(this.id, next);
    const own = this.progressOf(this.id);
    own.becomeReplicate();
    own.next = next;
    own.isRecentlyActive = true;
  }

  /** Leader: begins to replicate to a server, of which nothing is known. */
  track(peer: string, next: number): void {
    const { inflightMessagesMax, inflightBytesMax } = this.limits;
    this.progress.set(peer, new Progress(0, next, inflightMessagesMax, inflightBytesMax));
  }

  /** Is every configuration up to the one in force committed? */
  get isConfigurationCommitted(): boolean {
    return this.log.configurations.latest.index <= this.log.committed;
  }

  /** Leader: has an entry of its term been committed? Before, it does not know what is (§8). */
  get hasCommittedInTerm(): boolean {
    return this.role === 'leader' && this.log.committed >= this.termStart;
  }

  progressOf(peer: string): Progress {
    const progress = this.progress.get(peer);
    assert(progress !== undefined, `raft: no progress of ${peer}`);
    return progress;
  }

  send(message: Message): void {
    assert(message.to !== this.id, 'raft: a message to oneself must wait for durability');
    this.messages.push(message);
  }

  sendAfterAppend(message: Message): void {
    this.answers.push(message);
  }

  /** Says in an answer what this server must not hide. */
  markWound<Answer extends AppendAnswer | HeartbeatAnswer | ReadRequest>(answer: Answer): Answer {
    return this.isWounded ? { ...answer, isWounded: true } : answer;
  }

  #reset(term: number): void {
    assert(term >= this.term, `raft: term ${term} after ${this.term}`);
    if (term !== this.term) {
      this.term = term;
      this.vote = null;
    }
    this.leader = null;
    this.electionElapsed = 0;
    this.isLeaderGone = false;
    this.heartbeatElapsed = 0;
    this.#drawElectionTimeout();
    this.votes.clear();
    this.progress.clear();
    this.uncommitted = [];
    this.uncommittedBytes = 0;
    this.stalledTicks = 0;
    this.transfer = null;
    for (const { node, id } of this.readQueue.takeAll())
      if (node === this.id) this.readResults.push({ id, index: null });
    this.snapshots = [];
    this.reads = this.reads.filter((read) => read.target === null);
  }

  /** One more election in a hurry. After a few that came to nothing there is no reason to hurry any more. */
  #hurryOn(): void {
    this.hurriedElections = this.hurriedElections < HURRIED_ELECTIONS_MAX ? this.hurriedElections + 1 : 0;
    this.#drawElectionTimeout();
  }

  #drawElectionTimeout(): void {
    const { electionTicks } = this.limits;
    const hurried = this.hurriedElections;
    // At least two ticks, for the first may come at once; and a wider choice each time, so that rivals part.
    if (hurried > 0) this.electionTimeout = randomInteger(this.random, 2, 2 + hurried);
    else this.electionTimeout = randomInteger(this.random, electionTicks, 2 * electionTicks - 1);
  }
}

export interface Transfer {
  /** Null: the first follower that is heard. */
  readonly target: string | null;
  /** Somebody wants this one: no other will do. */
  readonly isNamed: boolean;
  readonly elapsed: number;
}

export interface Wound {
  /** Of the read that this server asks of its leader. */
  readonly readId: number;
  /** Its answer. Null: none yet. */
  readonly index: number | null;
  /** The log is whole again; that has yet to become durable. */
  readonly isHealed: boolean;
}

const HURRIED_ELECTIONS_MAX = 5;
