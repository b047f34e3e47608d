import type { ExecuteItem } from './protocol.ts';

/** An attempt between its execute and its finish. */
export interface Held {
  readonly item: ExecuteItem;
  readonly notBeforeMs: number;
  state: 'waiting' | 'marking' | 'running';
  /** When its executor was started. */
  startedAtMs: number;
  /** A cancel came while its mark was being written. */
  isCancelled: boolean;
}
