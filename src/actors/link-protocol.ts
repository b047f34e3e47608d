import type { AskOutcome } from './actor.ts';

/** What one thread says to another. Ids are given by the side that asks or watches. */
export type LinkMessage =
  | { readonly type: 'send'; readonly to: string; readonly message: unknown }
  | {
      readonly type: 'ask';
      readonly to: string;
      readonly id: number;
      readonly deadlineMs: number;
      readonly message: unknown;
    }
  | { readonly type: 'answer'; readonly id: number; readonly outcome: AskOutcome<unknown> }
  | { readonly type: 'watch'; readonly to: string; readonly id: number }
  | { readonly type: 'unwatch'; readonly id: number }
  /** The watched actor has stopped for good, or there is none of that name. */
  | { readonly type: 'stopped'; readonly id: number };

/** All that one thread has to say in a turn, in one `postMessage`. */
export interface LinkBatch {
  readonly messages: readonly LinkMessage[];
  /** How many sends and asks of the other side have reached a mailbox (or a dead letter) since the last batch. */
  readonly takenCount: number;
}

/** What a link needs of a `MessagePort`. */
export interface LinkPort {
  postMessage(batch: LinkBatch): void;
  on(event: 'message', listener: (batch: LinkBatch) => void): unknown;
  close(): void;
}
