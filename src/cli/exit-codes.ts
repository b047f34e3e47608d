/** Exit codes of client commands. Those of `dev`, `server` and `agent` stand with them. */
import { constants } from 'node:os';

/** The command itself failed: bad arguments, no connection, a refusal by the server. */
export const CLIENT_FAILED = 125;
export const JOB_FAILED = 1;
export const JOB_TIMED_OUT = 124;
export const JOB_CANCELLED = 130;
/** Ctrl-C while we waited: 128 and the number of SIGINT, as shells have it. */
export const INTERRUPTED = 130;
const SIGNAL_BASE = 128;
const CODE_MAX = 255;

/** What `job run` looks at in an execution of the answer. */
export interface EndedExecution {
  readonly id: string;
  readonly outcome: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
}

/** The highest of the last attempts of all targets; a run without executions goes by its state. */
export function exitCodeOfRun(state: string, executions: readonly EndedExecution[]): number {
  if (state === 'succeeded') return 0;
  const codes = lastAttempts(executions).map(exitCodeOf);
  const highest = Math.max(0, ...codes);
  if (highest > 0) return highest;
  return state === 'cancelled' ? JOB_CANCELLED : JOB_FAILED;
}

/** A run is judged by the last attempt of each target. */
export function lastAttempts<Execution extends { readonly id: string }>(executions: readonly Execution[]): Execution[] {
  const last = new Map<string, { readonly attempt: number; readonly execution: Execution }>();
  for (const execution of executions) {
    const match = /^(.*)-([0-9]+)$/.exec(execution.id);
    const target = match?.[1] ?? execution.id;
    const attempt = Number(match?.[2] ?? 1);
    const known = last.get(target);
    if (known === undefined || known.attempt < attempt) last.set(target, { attempt, execution });
  }
  return [...last.values()].map((entry) => entry.execution);
}

function exitCodeOf(execution: EndedExecution): number {
  switch (execution.outcome) {
    case 'succeeded':
      return 0;
    case 'timed-out':
      return JOB_TIMED_OUT;
    case 'cancelled':
      return JOB_CANCELLED;
    default:
      break;
  }
  if (execution.signal !== null && execution.signal !== undefined) {
    const number = (constants.signals as Readonly<Record<string, number>>)[execution.signal];
    return number === undefined ? JOB_FAILED : SIGNAL_BASE + number;
  }
  const code = execution.exit_code ?? 0;
  return code > 0 ? Math.min(code, CODE_MAX) : JOB_FAILED;
}
