/**
 * The domain: what a job, a run, an execution and a fire are, which instants a schedule names, where a run goes, when
 * it is tried again. Rules only: functions and data, no clock, no I/O, no randomness, no `await`. Who stores these
 * things, agrees on them and does the work is the business of the floors above.
 *
 *   job ──schedule──► nominal time ──► fire (exactly one outcome) ──► run ──placement──► executions (attempts)
 *
 * Files: `job`, `run`, `execution`, `fire`, `ids` (the nouns); `schedule`, `cron-text`, `duration`, `instant`, `size`
 * (text to meaning); `shell-options`, `http-options`, `function-options`, read by `option-reader`, `go-pattern`,
 * `split-words` (what an executor is told); `next`, `wall-clock`, `zone`, `bits` (meaning to instants); `catch-up`,
 * `placement`, `retry`, `job-check`, `option-check` (what to do). `intl-zones` and `cron-parser-check` are the adapters.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type Concurrency = 'allow' | 'forbid';

/** A job as an operator declared it, normalised: defaults filled in, texts checked, times as numbers. */
export interface Job {
  /** Lower-case letters of any alphabet, digits, `_`, `-`; at most 255 bytes of UTF-8. */
  readonly name: string;
  readonly displayName: string;
  /** IANA name, or '' for the cluster's default zone. */
  readonly timezone: string;
  /** As written, trimmed; '' only for a child. */
  readonly schedule: string;
  readonly owner: string;
  readonly ownerEmail: string;
  readonly disabled: boolean;
  /** All must match; a value may end in `:<count>`. null and {} mean every node. */
  readonly tags: Readonly<Record<string, string>> | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly retries: number;
  /** Name of the parent, or ''. A job with a parent is not scheduled. */
  readonly parentJob: string;
  readonly processors: Readonly<Record<string, Readonly<Record<string, string>>>> | null;
  readonly concurrency: Concurrency;
  readonly executor: string;
  readonly executorConfig: Readonly<Record<string, Json>> | null;
  readonly ephemeral: boolean;
  readonly startsAtMs: number | null;
  readonly expiresAtMs: number | null;
  /** How many of the matching nodes: a number, `all`, or null for the cluster's `default-targets`. */
  readonly targets: number | 'all' | null;
  readonly onLost: 'fail' | 'retry';
  /** How long a run may wait for a slot, ms; null: until the next nominal time, at most 10 min. */
  readonly startWithinMs: number | null;
  /** Finished runs kept, 1 to 100,000. */
  readonly keepRuns: number;
}

/** Of the last finished run; '' when there was none. */
export type JobStatus = '' | 'success' | 'failed' | 'partially_failed';
