import { uidKey } from '../jobs/ids.ts';
import type { StateEvent } from './event.ts';
import { type JobRow, keys, type RunRow, type StatusRow } from './rows.ts';
import type { State } from './state.ts';

/** What the rules of one entry share: the state they change, and when and where in the log they stand. */
export interface Applying {
  readonly state: State;
  readonly index: number;
  /** Logged time of this entry, ms: the leader's clock, never before an earlier entry's. */
  readonly loggedMs: number;
  readonly events: StateEvent[];
}

/** The state changed by another entry since the leader completed this one: it must be completed anew. */
export class StaleCommand extends Error {}

export function jobRow(state: State, uid: string): JobRow | undefined {
  return state.get<JobRow>(keys.job(uid));
}

/** Every job has a status row; one without is a broken state. */
export function statusRow(state: State, uid: string): StatusRow {
  const row = state.get<StatusRow>(keys.status(uid));
  if (row === undefined) throw new Error(`job ${uidKey(uid)} has no status row`);
  return row;
}

export function patchStatus(state: State, uid: string, change: Partial<StatusRow>): StatusRow {
  const row = { ...statusRow(state, uid), ...change };
  state.put(keys.status(uid), row);
  return row;
}

export function patchRun(state: State, uid: string, key: string, change: Partial<RunRow>): RunRow {
  const row = state.get<RunRow>(keys.run(uid, key));
  if (row === undefined) throw new Error(`job ${uidKey(uid)} has no run ${key}`);
  const changed = { ...row, ...change };
  state.put(keys.run(uid, key), changed);
  return changed;
}

/** Moves the job's entry in the due index, which is ordered on disk. */
export function moveDue(applying: Applying, uid: string, fromMs: number | null, toMs: number | null): void {
  const { state, events } = applying;
  if (fromMs !== null && fromMs !== toMs) state.delete(keys.due(fromMs, uid));
  if (toMs !== null && fromMs !== toMs) state.create(keys.due(toMs, uid), { type: 'due' });
  events.push({ type: 'due-moved', uid, nextMs: toMs });
}
