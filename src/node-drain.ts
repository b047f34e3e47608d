/** How a node comes to rest before it stops. */
import { askPromise } from './actors/ask.ts';
import type { Consensus, Work } from './assembly.ts';
import type { Clock } from './base/time.ts';

const OUTBOX_LOOK_MS = 20;
/** The executor answers sooner. */
const LEAVE_MS = 2_000;
const STORED_MS = 2_000;

/** Starts nothing new, waits for what runs and for its results to be taken, then leaves. See `RunningNode.drain`. */
export async function drain({
  work: { executor },
  stateActor,
  clock,
  timeoutMs,
}: {
  readonly work: Work;
  /** Null on an agent. */
  readonly stateActor: Consensus['stateActor'] | null;
  readonly clock: Clock;
  readonly timeoutMs: number;
}): Promise<boolean> {
  const isDrained = await drainWork(executor, clock, timeoutMs);
  if (isDrained) await askPromise(executor, { type: 'leave' }, LEAVE_MS);
  // The end of its own session is among the entries that a clean stop has on disk.
  if (stateActor !== null) await askPromise(stateActor, { type: 'await-stored' }, STORED_MS);
  return isDrained;
}

/** A result is taken when a committed entry has acknowledged it, and a server has what there is of output. */
async function drainWork(executor: Work['executor'], clock: Clock, timeoutMs: number): Promise<boolean> {
  const untilMs = clock.monotonic() + timeoutMs;
  const drained = await askPromise(executor, { type: 'drain' }, timeoutMs);
  if (drained.type === 'failed') return false;
  while (clock.monotonic() < untilMs) {
    const seen = await askPromise(executor, { type: 'inspect' }, timeoutMs);
    if (seen.type === 'failed') return false;
    if (seen.answer.type === 'state' && seen.answer.owed === 0) return true;
    await new Promise<void>((resolve) => clock.after(OUTBOX_LOOK_MS, resolve));
  }
  return false;
}
