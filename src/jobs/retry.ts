/** Whether and where an attempt that has ended is followed by another. */
import { unreachable } from '../base/errors.ts';
import type { ExecutionOutcome } from './execution.ts';
import type { Job } from './job.ts';

export type RetryDecision =
  | { readonly type: 'none' }
  | { readonly type: 'retry'; readonly delayMs: number; readonly sameNode: boolean }
  /** It never started, so it costs no retry: place it anew, anywhere, as long as the run may still start. */
  | { readonly type: 'place-again' };

/** Before the attempt that follows attempt n (from 1): 1 s, doubled each time, at most 30 s. */
export function retryDelayMs(attempt: number): number {
  return Math.min(DELAY_MS_MAX, DELAY_MS * 2 ** Math.min(Math.max(0, attempt - 1), DOUBLINGS_MAX));
}

/** `attempt` counts, from 1, the attempts on this target that may have started; refused ones do not count. */
export function decideRetry(
  ended: { readonly outcome: ExecutionOutcome; readonly attempt: number } & Pick<Job, 'retries' | 'onLost'>,
): RetryDecision {
  const { outcome, attempt, retries, onLost } = ended;
  switch (outcome) {
    case 'succeeded':
    case 'cancelled':
      return { type: 'none' };
    case 'refused':
      return { type: 'place-again' };
    case 'failed':
    case 'timed-out':
      if (attempt > retries) return { type: 'none' };
      return { type: 'retry', delayMs: retryDelayMs(attempt), sameNode: true };
    case 'lost':
      // It may have run to its end: only the job can say whether running twice is better than not at all.
      if (onLost === 'fail' || attempt > retries) return { type: 'none' };
      return { type: 'retry', delayMs: retryDelayMs(attempt), sameNode: false };
    default:
      return unreachable(outcome);
  }
}

const DELAY_MS = 1_000;
const DELAY_MS_MAX = 30_000;
/** 2^5 s is above the greatest delay. */
const DOUBLINGS_MAX = 5;
