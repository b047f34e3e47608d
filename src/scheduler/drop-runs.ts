import { type ExecutionRow, type FinishedRow, keys, type RunRow } from './rows.ts';
import type { State } from './state.ts';

/** Removes one finished run by its number, with its executions. */
export function dropFinishedRun(state: State, uid: string, number: number): RunRow | undefined {
  const finished = state.get<FinishedRow>(keys.finished(uid, number));
  if (finished === undefined) return undefined;
  state.delete(keys.finished(uid, number));
  return dropRun(state, uid, finished.run);
}

/** Removes a run's row and all its executions; answers with the run as it was. */
export function dropRun(state: State, uid: string, key: string): RunRow | undefined {
  const run = state.get<RunRow>(keys.run(uid, key));
  if (run === undefined) return undefined;
  for (let ordinal = 0; ordinal < run.targets; ordinal += 1) {
    // A target's attempts are numbered without gaps, and the targets of a run differ widely in how many they have.
    for (let attempt = 1; attempt <= run.attempts; attempt += 1) {
      const execution = keys.execution(uid, key, ordinal, attempt);
      const row = state.get<ExecutionRow>(execution);
      if (row === undefined) break;
      state.delete(execution);
      if (row.state === 'assigned') state.delete(keys.open(row.id));
    }
  }
  state.delete(keys.run(uid, key));
  return run;
}
