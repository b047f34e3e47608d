/** The words of the pure core: what it keeps, what it says to its peers, and what it asks of its shell. */
import type { Entry } from './raft-protocol.ts';

export interface EntryId {
  readonly index: number;
  readonly term: number;
}

/** A place in the log together with the hash of everything up to it. */
export interface LogPoint extends EntryId {
  readonly chain: number;
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
}

export interface HeartbeatAnswer extends Addressed {
  readonly type: 'heartbeat-answer';
}

/** From a leader that hands over to a follower that is level: stand for election now. */
export interface TimeoutNow extends Addressed {
  readonly type: 'timeout-now';
}

/** To a leader that has fallen silent, so that the transport learns whether anybody listens there. Changes nothing. */
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
  readonly reset: LogPoint | null;
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
}

/** The durable part of the log as the core sees it: places always, entries as far as they are in memory. */
export interface StableLog {
  /** The last place that is compacted away; (0, 0, 0) if nothing is. */
  readonly base: LogPoint;
  readonly lastIndex: number;
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
