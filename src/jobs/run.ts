/** What made a run: its schedule, a hand (API), its parent, a backfill. The letter stands in the run's id. */
export type Cause = 's' | 'h' | 'p' | 'b';

/**
 *   pending ──► running ──► succeeded · partially-failed · failed · cancelled
 *      └──────► cancelled · missed
 */
export type RunState = 'pending' | 'running' | 'succeeded' | 'partially-failed' | 'failed' | 'cancelled' | 'missed';

export function isFinished(state: RunState): boolean {
  return state !== 'pending' && state !== 'running';
}

/** How a run is judged by the last attempt of each of its targets. */
export function judgeRun(counts: {
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
}): Extract<RunState, 'succeeded' | 'partially-failed' | 'failed' | 'cancelled'> {
  const { succeeded, failed, cancelled } = counts;
  if (failed === 0 && cancelled === 0) return 'succeeded';
  if (succeeded > 0) return 'partially-failed';
  return failed > 0 ? 'failed' : 'cancelled';
}
