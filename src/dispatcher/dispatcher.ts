/**
 * Who does it now. The dispatcher lives on the leader and moves what the state has decided to the nodes and back:
 *
 *   assigned ──► execute ──► node          hello, heartbeat ──► sessions, liveness
 *   finished ◄── finish  ◄── node          (silent for L + margin ──► close-session ──► lost)
 *        └────► acknowledge ──► node
 *
 * It keeps nothing that a new leader could not read from rows: each sweep repeats what may have got lost. What to
 * start and when is the scheduler's business, doing it the executors'.
 *
 * This file: the rows of an execution as the item that a node gets.
 */
import type { ExecuteItem } from '../executors/protocol.ts';
import { parseExecutionId, parseRunId } from '../jobs/ids.ts';
import { type ExecutionRow, type JobRow, keys, type RunRow } from '../scheduler/rows.ts';
import type { State } from '../scheduler/state.ts';

/** Undefined when the execution has ended or its job is gone: nothing is to be started then. */
export function executeItem(state: State, execution: string): ExecuteItem | undefined {
  const parts = parseExecutionId(execution);
  const place = parts === undefined ? undefined : parseRunId(parts.run);
  if (parts === undefined || place === undefined) return undefined;
  const key = `${place.cause}${place.key}`;
  const row = state.get<ExecutionRow>(keys.execution(place.uid, key, parts.ordinal, parts.attempt));
  const run = state.get<RunRow>(keys.run(place.uid, key));
  const job = state.get<JobRow>(keys.job(place.uid));
  if (row === undefined || run === undefined || job === undefined || row.state !== 'assigned') return undefined;
  return {
    execution,
    run: parts.run,
    job: job.job.name,
    attempt: parts.attempt,
    fence: row.fence,
    scheduledAtMs: run.scheduledAtMs,
    executor: job.job.executor,
    // A retry or a waiting run starts what the job says now.
    config: job.job.executorConfig ?? {},
    session: row.session,
    notBeforeMs: 0,
    startByMs: row.startByMs,
  };
}
