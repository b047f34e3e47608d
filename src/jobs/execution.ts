/**
 *   assigned ──► started ──► succeeded · failed · timed-out · cancelled · refused · lost
 *      └───────► refused · lost · cancelled
 *
 * `started` is never replicated: rows say assigned until `finish` brings the start time.
 */
export type ExecutionState = 'assigned' | 'started' | ExecutionOutcome;

export type ExecutionOutcome = 'succeeded' | 'failed' | 'timed-out' | 'cancelled' | 'refused' | 'lost';

/** Whether the attempt may have touched the world: a refused one never started, so it may be placed again freely. */
export function mayHaveStarted(outcome: ExecutionOutcome): boolean {
  return outcome !== 'refused';
}
