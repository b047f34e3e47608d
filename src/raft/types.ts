/** The words of the pure core: what it keeps, what it says to its peers, and what it asks of its shell. */
import type { PlacedConfiguration } from './configuration.ts';
import type { Entry } from './raft-protocol.ts';

export interface EntryId {
  readonly index: number;
  readonly term: number;
}

/** A place in the log together with the hash of everything up to it. */
export interface LogPoint extends EntryId {
  readonly chain: number;
}

/**
 * In place of a chain that nobody knows: at the base of a wounded log that starts anew where the state stands. The
 * leader's word on that place is taken for it.
 */
export const UNKNOWN_CHAIN = -1;

/** Where a log starts anew, with the configuration in force there. */
export interface LogReset {
  readonly point: LogPoint;
  readonly configuration: PlacedConfiguration;
}

/** An entry that has found its place: `chain` is the hash of the chain before it and of its own content. */
export interface LogEntry extends Entry {
  readonly chain: number;
}

/** What must survive a crash beside the entries. `commit` may lag behind what was known: it is never synced alone. */
export interface HardState {
  readonly term: number;
  readonly vote: string | null;
  readonly commit: number;
}

export type CoreRole = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

interface Addressed {
  readonly from: string;
  readonly to: string;
  readonly term: number;
}

export interface Append extends Addressed {
  readonly type: 'append';
  /** The place just before `entries` in the leader's log. */
  readonly previous: LogPoint;
  readonly entries: readonly LogEntry[];
  readonly commit: number;
}

export interface AppendAnswer extends Addressed {
  readonly type: 'append-answer';
  /** Accepted: the follower's log matches the leader's up to here. Rejected: `previous.index` of what it answers. */
  readonly index: number;
  readonly isRejected: boolean;
  /** Only if rejected: the newest place where the logs may still agree, as the follower sees it. */
  readonly hint: EntryId;
  /** The log of who answers has lost entries: whatever it acknowledged before, it does not count (decision 0016). */
  readonly isWounded?: true;
}

export interface VoteRequest extends Addressed {
  readonly type: 'vote-request';
  readonly isPreVote: boolean;
  readonly last: EntryId;
  /** The leader itself asked for this election: that it was heard a moment ago is no reason to refuse. */
  readonly isTransfer?: true;
}

export interface VoteAnswer extends Addressed {
  readonly type: 'vote-answer';
  readonly isPreVote: boolean;
  readonly isGranted: boolean;
}

export interface Heartbeat extends Addressed {
  readonly type: 'heartbeat';
  readonly commit: number;
  /** Number of the newest round of reads; 0 before the first. */
  readonly position: number;
}

export interface HeartbeatAnswer extends Addressed {
  readonly type: 'heartbeat-answer';
  /** That of the heartbeat which this answers, so that a late answer confirms nothing newer. */
  readonly position: number;
  readonly isWounded?: true;
}

/** To the leader: up to where must I apply for a read that begins now? (ReadIndex, thesis §6.4) */
export interface ReadRequest extends Addressed {
  readonly type: 'read-request';
  /** Of the asker, unique among all its lives, so that an answer meant for an earlier one is not taken. */
  readonly id: number;
  readonly isWounded?: true;
}

export interface ReadAnswer extends Addressed {
  readonly type: 'read-answer';
  readonly id: number;
  readonly index: number;
}

/** From a leader that hands over to a follower that is level: stand for election now. */
export interface TimeoutNow extends Addressed {
  readonly type: 'timeout-now';
}

/**
 * Changes nothing. To a leader that has fallen silent, so that the transport learns whether anybody listens there; and to
 * everybody once a second, so that each life is known before it asks for a vote.
 */
export interface Probe extends Addressed {
  readonly type: 'probe';
}

export type Message =
  | Append
  | AppendAnswer
  | VoteRequest
  | VoteAnswer
  | Heartbeat
  | HeartbeatAnswer
  | ReadRequest
  | ReadAnswer
  | TimeoutNow
  | Probe;

/** Says which state a write made durable. Comes back to `persisted`; the term tells a stale one (ABA). */
export interface Receipt {
  readonly term: number;
  /** The last entry of the log when the write was handed out, or null if nothing was unstable. */
  readonly last: EntryId | null;
  /** Index of the snapshot that the log was reset to by this write, or 0. */
  readonly resetIndex: number;
}

/**
 * One atomic write. `entries` may start below the end of the durable log: what conflicts is cut in the same write.
 * `answers` count as votes and leave only once the write is durable; those to the node itself are stepped back.
 */
export interface AppendWork {
  readonly reset: LogReset | null;
  readonly entries: readonly LogEntry[];
  /** The chain just before `entries`; 0 without any. */
  readonly chainBefore: number;
  /** Null when term and vote are as the last write left them. */
  readonly hardState: HardState | null;
  readonly answers: readonly Message[];
  readonly receipt: Receipt;
}

/** Entries that are not in memory. The shell reads them and calls `entriesRead`. `target` null: to be handed on here. */
export interface ReadWork {
  readonly target: string | null;
  readonly term: number;
  readonly low: number;
  readonly high: number;
  readonly bytesMax: number;
}

/** What became of a read that was asked here; index null: refused, for this server no longer leads. */
export interface ReadResult {
  readonly id: number;
  readonly index: number | null;
}

/** What the shell has room for at this moment. */
export interface Room {
  /** No write is in flight, or the shell takes several. */
  readonly append: boolean;
  readonly committedBytes: number;
  readonly committedEntries: number;
}

export interface Ready {
  /** May leave at once. */
  readonly messages: readonly Message[];
  readonly append: AppendWork | null;
  /** Durable here and committed: to be applied in order. */
  readonly committed: readonly LogEntry[];
  readonly reads: readonly ReadWork[];
  /** Followers whose next entry is compacted: the shell streams them a snapshot and calls `snapshotSent`. */
  readonly snapshots: readonly string[];
  readonly readResults: readonly ReadResult[];
  /** The wound has healed: the shell makes that durable (`LogStore.heal`) and then calls `healed`. */
  readonly hasHealed: boolean;
}

/** The durable part of the log as the core sees it: places always, entries as far as they are in memory. */
export interface StableLog {
  /** The last place that is compacted away; (0, 0, 0) if nothing is. */
  readonly base: LogPoint;
  readonly lastIndex: number;
  /** Ascending by index: first the one in force at `base`, then all that stand in the durable log above it. */
  readonly configurations: readonly PlacedConfiguration[];
  /** For `base.index <= index <= lastIndex`. */
  term(index: number): number;
  chain(index: number): number;
  /** Entries in [low, high), at least one, else as many as fit `bytesMax`; undefined if `low` is not in memory. */
  slice(low: number, high: number, bytesMax: number): readonly LogEntry[] | undefined;
}

/** What an entry weighs in quotas and message limits: its data and a constant for the rest. */
export function entryBytes(entry: { readonly data: Uint8Array }): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

export const ENTRY_OVERHEAD_BYTES = 16;
