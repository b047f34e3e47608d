import { executionIdOf } from '../jobs/ids.ts';
import { type ExecutionRow, type FinishedRow, keys, type OpenRow, type RunRow } from './rows.ts';
import type { State } from './state.ts';

/** Removes one finished run by its number, with its executions. */
export function dropFinishedRun(state: State, uid: string, number: number): void {
  const finished = state.get<FinishedRow>(keys.finished(uid, number));
  if (finished === undefined) return;
  state.delete(keys.finished(uid, number));
  dropRun(state, uid, finished.run);
}

/** Removes a run's row and all its executions; answers with the run as it was. */
export function dropRun(state: State, uid: string, key: string): RunRow | undefined {
  const run = state.get<RunRow>(keys.run(uid, key));
  if (run === undefined) return undefined;
  for (let ordinal = 0; ordinal < run.targets; ordinal += 1) {
    for (let attempt = 1; attempt <= run.attempts; attempt += 1) {
      const execution = keys.execution(uid, key, ordinal, attempt);
      if (state.get<ExecutionRow>(execution) !== undefined) state.delete(execution);
      const open = keys.open(executionIdOf(run.id, ordinal, attempt));
      if (run.openTargets > 0 && state.get<OpenRow>(open) !== undefined) state.delete(open);
    }
  }
  state.delete(keys.run(uid, key));
  return run;
}
