/**
 * What a leader and a node say to each other. Every message may be lost, doubled, late or out of order: each side
 * repeats what it needs until it is answered, and everything here can be received twice without harm.
 */
import type { Finish } from '../jobs/finish.ts';
import type { Task } from './executor.ts';

export type { Finish };

/** An attempt that a committed entry has assigned to this node. */
export interface ExecuteItem extends Omit<Task, 'outputBytesMax'> {
  /** Session of the node that it was assigned to: any other refuses it. */
  readonly session: number;
  /** Wall time in ms before which it must not start; 0 for at once. */
  readonly notBeforeMs: number;
  /** Wall time in ms after which it must not start any more. */
  readonly startByMs: number;
}

/** Leader to node. */
export type ToNode =
  /** This is the leader: talk to it. Sent every 500 ms to all. It lets nobody start anything, only a welcome does. */
  | { readonly type: 'beacon'; readonly leader: string; readonly term: number }
  /** Answer to each `hello` and heartbeat: your session is this, and it is open. */
  | {
      readonly type: 'welcome';
      readonly leader: string;
      readonly boot: number;
      readonly session: number;
      /** `sentAtMs` of what it answers: the node may start work until L after that. */
      readonly echoMs: number;
    }
  | { readonly type: 'execute'; readonly leader: string; readonly items: readonly ExecuteItem[] }
  | { readonly type: 'cancel'; readonly executions: readonly string[]; readonly graceMs: number }
  /**
   * The leader holds these open and assigned to you. For each say `finish` if it has ended, never started or cannot
   * be known any more; what runs, or waits for its start, is left out of the answer.
   */
  | {
      readonly type: 'reconcile';
      readonly executions: readonly { readonly execution: string; readonly session: number }[];
    }
  /** Answer to `leave`: a committed entry has closed this session, or it was over already. */
  | { readonly type: 'left'; readonly boot: number; readonly session: number }
  /** These finishes are committed (or nobody knows their execution any more): let them go. */
  | { readonly type: 'acknowledge'; readonly executions: readonly string[] };

/** Node to leader. */
export type FromNode =
  | {
      readonly type: 'hello';
      readonly node: string;
      readonly boot: number;
      readonly name: string;
      readonly isServer: boolean;
      readonly tags: Readonly<Record<string, string>>;
      readonly slots: number;
      readonly version: string;
      readonly address: string;
      /** It starts nothing any more, and will not in this boot. */
      readonly isDraining: boolean;
      /** By the node's own monotonic clock: it means nothing to anybody else, who sends it back as it is. */
      readonly sentAtMs: number;
      /** Its wall clock then, for the leader to compare with its own. */
      readonly wallMs: number;
    }
  | {
      readonly type: 'heartbeat';
      readonly node: string;
      readonly boot: number;
      readonly session: number;
      readonly running: number;
      readonly outbox: number;
      readonly isDraining: boolean;
      readonly sentAtMs: number;
      readonly wallMs: number;
    }
  /**
   * I am about to stop. It is said only when nothing is held or owed any more, and nothing can start after it: what is
   * still open in this session has never started. Repeated until `left`, for a while.
   */
  | { readonly type: 'leave'; readonly node: string; readonly boot: number; readonly session: number }
  /** Repeated until acknowledged. */
  | { readonly type: 'finish'; readonly node: string; readonly boot: number; readonly finishes: readonly Finish[] };

/** Node to servers, over `exec`: the full tail of an output, in order, for the output store. */
export interface OutputChunk {
  readonly type: 'output';
  readonly execution: string;
  readonly offset: number;
  readonly totalBytes: number;
  /** CRC32 of the whole tail. */
  readonly crc: number;
  readonly bytes: Uint8Array;
}

/** Server to node: the whole tail of this execution is durable here. */
export interface OutputStored {
  readonly type: 'output-stored';
  readonly execution: string;
  readonly server: string;
}

/** Between the output actors of two servers. */
export type BetweenOutputs =
  /** Whoever has this tail sends it; whoever has not says so, once it has not arrived within `waitMs`. */
  | { readonly type: 'output-wanted'; readonly execution: string; readonly waitMs: number }
  | { readonly type: 'output-missing'; readonly execution: string }
  /** A piece of it, to be read, not to be kept. */
  | (Omit<OutputChunk, 'type'> & { readonly type: 'output-copy' });
