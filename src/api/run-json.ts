/** Runs, executions and fires as clients see them. */

import { depthOfJson, JSON_DEPTH_MAX } from '../base/json-depth.ts';
import type { ExecutionState } from '../jobs/execution.ts';
import { writeInstant } from '../jobs/instant.ts';
import type { ExecutionView, FireView, RunView } from '../scheduler/views.ts';
import { writeInstantOrNull, writeInstantOrZero } from './instant-text.ts';
import type { JsonOut } from './json-text.ts';

/** Output as an answer shows it: the whole, or its end. */
export interface OutputText {
  readonly text: string;
  readonly isTruncated: boolean;
}

/** Dkron's fields, then ours. `output_truncated` is Dkron's in lists only; where output is cut, it is said anywhere. */
export function writeExecution(view: ExecutionView, output: OutputText, form: 'single' | 'listed' = 'single'): JsonOut {
  return {
    id: view.id,
    job_name: view.job,
    started_at: writeInstant(view.startedMs ?? view.assignedMs),
    finished_at: writeInstantOrZero(isOpen(view.state) ? null : view.finishedMs),
    success: view.state === 'succeeded',
    output: output.text === '' ? undefined : output.text,
    node_name: view.nodeName,
    // Beyond 2^53: written exactly.
    group: BigInt(view.group),
    attempt: view.attempt,
    output_truncated: form === 'listed' || output.isTruncated ? output.isTruncated : undefined,
    scheduled_at: writeInstantOrNull(view.scheduledAtMs),
    outcome: isOpen(view.state) ? null : view.state,
    reason: view.reason,
    exit_code: view.exitCode,
    signal: view.signal,
    run: view.run,
    result: readResult(view.result),
    node: view.node,
    output_bytes: view.outputBytes,
  };
}

export function writeRun(view: RunView): Readonly<Record<string, JsonOut>> {
  return {
    id: view.id,
    job: view.job,
    cause: CAUSES[view.cause],
    state: view.state,
    reason: view.reason,
    scheduled_at: writeInstantOrNull(view.scheduledAtMs),
    created_at: writeInstant(view.createdMs),
    finished_at: writeInstantOrNull(view.finishedMs),
    group: BigInt(view.group),
    targets: view.targets,
  };
}

/** One instant that ran or is open, or a stretch of instants that were skipped or missed. */
export function writeFire(view: FireView): JsonOut {
  const { outcome, reason, index } = view;
  if (outcome === 'skipped' || outcome === 'missed') {
    return {
      first: writeInstant(view.firstMs),
      last: writeInstant(view.lastMs),
      count: view.count,
      outcome,
      reason,
      index,
    };
  }
  return {
    scheduled_at: writeInstant(view.firstMs),
    outcome,
    reason,
    run: view.run,
    lateness_ms: view.latenessMs,
    merged: view.merged,
    index,
  };
}

const CAUSES = { s: 'schedule', h: 'hand', p: 'parent', b: 'backfill' } as const satisfies Record<
  RunView['cause'],
  string
>;

export function isOpen(state: ExecutionState): boolean {
  return state === 'assigned' || state === 'started';
}

/** A function's result is JSON text; shown as what it means, unless it is too deep for those who read or write it. */
function readResult(text: string | null): JsonOut {
  if (text === null) return null;
  if (depthOfJson(text) > JSON_DEPTH_MAX) return text;
  try {
    return JSON.parse(text) as JsonOut;
  } catch {
    // What is not JSON is shown as it is rather than lost.
    return text;
  }
}
