/** What the executor actor hears and answers. */
import type { Ending } from './executor.ts';
import type { OutputStored, ToNode } from './protocol.ts';

export type ExecutorMessage =
  | ToNode
  | OutputStored
  /** Starts nothing new; answered with `drained` once nothing runs and all results are durable. */
  | { readonly type: 'drain' }
  /**
   * After `drained`: gives up the session, so that nobody has to wait until this node is silent for too long. Answered
   * with `left`, after 1.5 s in any case.
   */
  | { readonly type: 'leave' }
  | { readonly type: 'inspect' }
  // To itself.
  | { readonly type: 'tick' }
  | { readonly type: 'due' }
  | { readonly type: 'leave-again' }
  | { readonly type: 'flush' }
  | { readonly type: 'flush-lazily' }
  | { readonly type: 'send' }
  | { readonly type: 'written'; readonly error: Error | null }
  | { readonly type: 'ended'; readonly execution: string; readonly ending: Ending };

export type ExecutorAnswer =
  | { readonly type: 'drained' }
  /** Whether a leader has said that the session is over; if not, it will be given up later. */
  | { readonly type: 'left'; readonly isConfirmed: boolean }
  | {
      readonly type: 'state';
      readonly leader: string | null;
      readonly session: number | null;
      readonly mayStart: boolean;
      readonly waiting: number;
      readonly running: readonly string[];
      readonly outbox: number;
      /** Of the outbox: finishes that are not committed, and full tails that no server holds. */
      readonly owed: number;
    };
