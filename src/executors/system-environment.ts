import type { Task } from './executor.ts';

/** Of the node's own environment a child gets these, or everything. */
export function environmentForChildren(
  environment: Readonly<Record<string, string | undefined>>,
  inherit: boolean,
): Readonly<Record<string, string>> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && (inherit || PASSED.has(name))) passed[name] = value;
  }
  passed['PATH'] ??= '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return passed;
}

/** What a child learns of its attempt. */
export function taskEnvironment(task: Task): Readonly<Record<string, string>> {
  return {
    ENV_JOB_NAME: task.job,
    CARILLON_JOB: task.job,
    CARILLON_RUN: task.run,
    CARILLON_EXECUTION: task.execution,
    CARILLON_ATTEMPT: String(task.attempt),
    CARILLON_SCHEDULED_AT: task.scheduledAtMs === null ? '' : new Date(task.scheduledAtMs).toISOString(),
    CARILLON_FENCE: String(task.fence),
  };
}

const PASSED: ReadonlySet<string> = new Set(['PATH', 'HOME', 'LANG', 'TZ']);
