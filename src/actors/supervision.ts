import type { Supervision } from './actor.ts';

/** What a supervisor does about a failure. */
export type Verdict =
  | {
      readonly type: 'restart';
      readonly delayMs: number;
      /** The history to pass with the next failure. */
      readonly restartsMs: readonly number[];
    }
  | { readonly type: 'stop' }
  | { readonly type: 'stop-process' };

/**
 * Decides what follows a failure of an actor or a thread. `restartsMs` are the times of its earlier restarts,
 * monotonic, oldest first; those that are older than the strategy's `withinMs` count no more, and the backoff starts
 * anew with them.
 */
export function decideAfterFailure(strategy: Supervision, restartsMs: readonly number[], nowMs: number): Verdict {
  if (strategy.type !== 'restart') return { type: strategy.type };
  const recentMs = restartsMs.filter((restartMs) => nowMs - restartMs < strategy.withinMs);
  if (recentMs.length >= strategy.restartsMax) return { type: strategy.escalate };
  return {
    type: 'restart',
    delayMs: Math.min(strategy.backoffMs * 2 ** recentMs.length, strategy.backoffMsMax),
    restartsMs: [...recentMs, nowMs],
  };
}
