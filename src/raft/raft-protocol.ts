/**
 * What the raft actor says and hears: the seam between agreement and the rest of a server. Bytes in, bytes out.
 *
 *   propose, configure, read ──► raft actor ──► committed (to the state actor, in order, each entry once per process)
 *                                   │  ▲ applied, compact-to
 *                                   └──► role, configuration (to whoever must know who leads, and who votes)
 */
import type { ErrorCode } from '../base/errors.ts';

/** `configuration` names the voters; `no-op` opens a term; only `command` has bytes for the state machine. */
export type EntryKind = 'command' | 'no-op' | 'configuration';

export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

export type Role = 'follower' | 'candidate' | 'leader';

/**
 * Who agrees. While `outgoing` is not empty a change is under way, and everything takes two majorities: one of `voters`
 * and one of `outgoing` (joint consensus, thesis §4.3). In force as soon as it stands in a log. All lists ascending.
 */
export interface Configuration {
  /** nodeIds, one to seven. */
  readonly voters: readonly string[];
  readonly outgoing: readonly string[];
  /** They get the log and do not count. Nobody is a learner and a voter at once. */
  readonly learners: readonly Learner[];
}

export interface Learner {
  readonly node: string;
  /** The leader makes it a voter on its own once it has caught up. */
  readonly becomesVoter: boolean;
  /** The voter that leaves in the same change that makes this one a voter. */
  readonly replaces: string | null;
}

export type ConfigurationChange =
  /** As a learner first. A node that is one already gets the new intent. */
  | { readonly type: 'add'; readonly node: string; readonly becomesVoter: boolean; readonly replaces: string | null }
  /** A learner becomes a voter once it has caught up. */
  | { readonly type: 'promote'; readonly node: string }
  /** A voter or a learner. A leader that removes itself steps down once that is committed. */
  | { readonly type: 'remove'; readonly node: string };

/** To the raft actor. `propose`, `configure`, `read`, `status` and `transfer` are asked, the others are sent. */
export type RaftRequest =
  | { readonly type: 'propose'; readonly data: Uint8Array; readonly class: 'client' | 'internal' }
  /** A frame from another server's raft actor, as it came through the transport. */
  | { readonly type: 'frame'; readonly from: string; readonly channel: 'raft' | 'bulk'; readonly body: Uint8Array }
  /** The state machine has applied and durably stored everything up to here: the log may be compacted below it. */
  | { readonly type: 'stored'; readonly index: number }
  | { readonly type: 'applied'; readonly index: number }
  | { readonly type: 'status' }
  /** A hint of the transport: nobody listens for this server any more. Sooner an election at most, never a wrong one. */
  | { readonly type: 'unreachable'; readonly node: string }
  /**
   * Asked: hands leadership to `to`, or to the follower that is furthest, as before this server stops.
   * {@link TransferAnswer} comes when another leads or after one election timeout; at once where this server does not
   * lead, is alone, or where `to` does not vote.
   */
  | { readonly type: 'transfer'; readonly to?: string }
  /** Changes who agrees; {@link ConfigureAnswer} says whether the change stands in the leader's log. */
  | { readonly type: 'configure'; readonly change: ConfigurationChange }
  /** On any server: {@link ReadAnswer} says how far to apply before an answer sees every write acknowledged before. */
  | { readonly type: 'read' };

export type ConfigureAnswer =
  /** Appended at this place. Where nothing was to change, the place of the configuration that says so already. */
  | { readonly type: 'configured'; readonly index: number; readonly term: number }
  | {
      readonly type: 'configure-refused';
      readonly code: Extract<ErrorCode, 'no-leader' | 'not-leader' | 'conflict' | 'invalid'>;
      readonly leader: string | null;
      /** For people, where the change itself is refused: conflict (one is under way), invalid. */
      readonly message: string;
    };

export type ReadAnswer =
  /** A state that has applied up to here contains all that was acknowledged when the read was asked (ReadIndex, thesis §6.4). */
  | { readonly type: 'read'; readonly index: number }
  | {
      readonly type: 'read-refused';
      readonly code: Extract<ErrorCode, 'no-leader' | 'overloaded'>;
      readonly leader: string | null;
    };

export interface TransferAnswer {
  readonly type: 'transferred';
  /** Who leads now; null: nobody took over. */
  readonly leader: string | null;
}

export type ProposeAnswer =
  /** Appended to the leader's log at this place; committed when an entry of this index *and* term is. */
  | { readonly type: 'accepted'; readonly index: number; readonly term: number }
  | {
      readonly type: 'refused';
      readonly code: Extract<ErrorCode, 'no-leader' | 'not-leader' | 'overloaded' | 'too-large'>;
      readonly leader: string | null;
    };

export interface RaftStatus {
  readonly type: 'status';
  readonly role: Role;
  readonly term: number;
  readonly leader: string | null;
  /** The newest in the log, which is the one in force. */
  readonly configuration: Configuration;
  readonly isConfigurationCommitted: boolean;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
  /** This server's log has lost entries, and it does not vote until it has them again. */
  readonly isWounded: boolean;
  /** What a leader knows of the others; empty elsewhere. */
  readonly peers: readonly PeerStatus[];
}

export interface PeerStatus {
  readonly node: string;
  /** Its log is known to match the leader's up to here. */
  readonly matchIndex: number;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** Heard within the last election timeout. */
  readonly isActive: boolean;
  readonly isWounded: boolean;
}

/** What the raft actor answers; each to its own question. */
export type RaftAnswer = ProposeAnswer | RaftStatus | TransferAnswer | ConfigureAnswer | ReadAnswer;

/** From the raft actor to its listener (the state actor). */
export type RaftEvent =
  /** `commitIndex`: how far it goes, which is beyond these entries while the state machine is behind. */
  | { readonly type: 'committed'; readonly entries: readonly Entry[]; readonly commitIndex: number }
  /** `ready` is true for a leader once its no-op is committed *and* handed on. */
  | {
      readonly type: 'role';
      readonly role: Role;
      readonly term: number;
      readonly leader: string | null;
      readonly isReady: boolean;
    }
  /** A snapshot from the leader has replaced the state (through `SnapshotPort.receive`). */
  | { readonly type: 'installed'; readonly index: number; readonly term: number }
  /** The configuration in force is another one, or it is committed now. The first is told at the start. */
  | {
      readonly type: 'configuration';
      readonly configuration: Configuration;
      /** Of its entry; 0: none yet. */
      readonly index: number;
      readonly isCommitted: boolean;
    };

export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
}

/** What the state machine offers to the raft actor, so that a follower too far behind can be given the state itself. */
export interface SnapshotPort {
  /** Freezes the durable state; `reader.meta` is the last entry it contains. */
  open(done: (error: Error | null, reader: SnapshotReader | null) => void): void;
  /** Starts to receive a state that replaces the present one once `finish` is done; a new call drops an unfinished one. */
  receive(meta: SnapshotMeta, done: (error: Error | null, writer: SnapshotWriter | null) => void): void;
}

export interface SnapshotReader {
  readonly meta: SnapshotMeta;
  /** Chunks of at most 256 KiB in order, then null. */
  next(done: (error: Error | null, chunk: Uint8Array | null) => void): void;
  close(): void;
}

export interface SnapshotWriter {
  write(chunk: Uint8Array, done: (error: Error | null) => void): void;
  /** Checks what came, makes it the state, durably. After this the state machine stands at `meta`. */
  finish(done: (error: Error | null) => void): void;
  abort(): void;
}
