/**
 * What the raft actor says and hears: the seam between agreement and the rest of a server. Bytes in, bytes out.
 *
 *   propose ──► raft actor ──► committed (to the state actor, in order, each entry once per process)
 *                  │  ▲ applied, compact-to
 *                  └──► role (to whoever must know who leads)
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

/** To the raft actor. `propose`, `status` and `transfer` are asked, the others are sent. */
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
   * Asked: hands leadership to the follower that is furthest, before this server stops. {@link TransferAnswer} comes
   * when another leads or after one election timeout; at once where this server does not lead or is alone.
   */
  | { readonly type: 'transfer' };

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
  readonly voters: readonly string[];
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
}

/** What the raft actor answers; each to its own question. */
export type RaftAnswer = ProposeAnswer | RaftStatus | TransferAnswer;

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
  | { readonly type: 'installed'; readonly index: number; readonly term: number };

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
