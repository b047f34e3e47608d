/** Rows as views: what clients are shown. Works on the state in memory and, in the api, on rows read from disk. */

import type { FinishedRun } from './intent.ts';
import type { ExecutionRow, JobRow, RunRow, StateRow, StatusRow } from './rows.ts';
import { keys } from './rows.ts';
import type { ExecutionView, JobView, RunView } from './views.ts';

/** Anything that has rows by key. */
export interface RowSource {
  get<Row extends StateRow>(key: string): Row | undefined;
}

export function jobView(source: RowSource, row: JobRow): JobView {
  const status = source.get<StatusRow>(keys.status(row.uid)) as StatusRow;
  const dependentJobs = status.children.flatMap((uid) => source.get<JobRow>(keys.job(uid))?.job.name ?? []);
  return {
    uid: row.uid,
    job: row.job,
    successCount: status.successCount,
    errorCount: status.errorCount,
    lastSuccessMs: status.lastSuccessMs,
    lastErrorMs: status.lastErrorMs,
    status: status.status,
    nextMs: status.nextMs,
    dependentJobs,
    zone: row.zone,
    createdMs: row.createdMs,
    modifiedIndex: row.modifiedIndex,
  };
}

export function runView(row: RunRow): RunView {
  const { id, job, cause, state, reason, scheduledAtMs, createdMs, finishedMs, group, targets } = row;
  return { id, job, cause, state, reason, scheduledAtMs, createdMs, finishedMs, group, targets };
}

export function executionView(run: RunRow, row: ExecutionRow): ExecutionView {
  const { id, node, nodeName, state, reason, assignedMs, startedMs, finishedMs, exitCode, signal, result } = row;
  const { outputTail, outputBytes, storedBytes } = row;
  return {
    id,
    run: run.id,
    job: run.job,
    attempt: Number(id.slice(id.lastIndexOf('-') + 1)),
    group: run.group,
    node,
    nodeName,
    state,
    reason,
    scheduledAtMs: run.scheduledAtMs,
    assignedMs,
    startedMs,
    finishedMs,
    exitCode,
    signal,
    result,
    outputTail,
    outputBytes,
    storedBytes,
  };
}

/** A run with all its executions, oldest attempt first within each target. */
export function finishedRun(source: RowSource, uid: string, run: RunRow): FinishedRun {
  const executions: ExecutionView[] = [];
  const key = run.id.slice(run.id.lastIndexOf('-') + 1);
  for (let ordinal = 0; ordinal < run.targets; ordinal += 1) {
    for (let attempt = 1; attempt <= run.attempts; attempt += 1) {
      const row = source.get<ExecutionRow>(keys.execution(uid, key, ordinal, attempt));
      if (row === undefined) break;
      executions.push(executionView(run, row));
    }
  }
  return { run: runView(run), executions };
}
