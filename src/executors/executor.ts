/**
 * Doing the work. An executor starts one attempt and says how it ended; the executor actor decides whether an attempt
 * may start (session, fence, slot, `startBy`), keeps results in the node's outbox, and tells the leader.
 *
 *   execute ──► executor actor ──"started" durable──► executor (shell, http, function) ──► run host, own process
 *      finish ◄── outbox (durable) ◄───────────────── ended ◄───────────────┘
 *
 * What it leaves to others: which node, when, and what follows (dispatcher and state machine).
 */
import type { ExecutionOutcome } from '../jobs/execution.ts';
import type { Json } from '../jobs/job.ts';

/**
 * Nice value of whatever runs user work: it gets what the node leaves, so that no tick and no beat waits for a
 * processor behind it.
 */
export const USER_WORK_NICE = 10;

/** One attempt to start. Plain data: it crosses threads and processes. */
export interface Task {
  readonly execution: string;
  readonly run: string;
  readonly job: string;
  readonly attempt: number;
  readonly fence: number;
  /** Nominal time, or null for a run by hand or by a parent. */
  readonly scheduledAtMs: number | null;
  readonly executor: string;
  readonly config: Readonly<Record<string, Json>>;
  /** The end of the output is kept, this many bytes of it. Dkron's 256,000 by default. */
  readonly outputBytesMax: number;
}

/** How an attempt ended. */
export interface Ending {
  readonly outcome: Extract<ExecutionOutcome, 'succeeded' | 'failed' | 'timed-out' | 'cancelled'>;
  /** '' or why, in few words: `exit status 3`, `memory limit`, `run host died`. */
  readonly reason: string;
  readonly exitCode: number | null;
  /** `SIGKILL` …, or null. */
  readonly signal: string | null;
  /** What a function returned, as JSON text of at most 64 KiB; null otherwise. */
  readonly result: string | null;
  /** The end of stdout and stderr as they came. */
  readonly output: Uint8Array;
  /** All bytes that were written, kept or not. */
  readonly outputBytes: number;
}

/** Twins: `shell-executor.ts`, `http-executor.ts`, `function-executor.ts`; the simulator passes its own. */
export interface Executor {
  /** Starts at once and calls `ended` exactly once, never from within `start`. Never throws for bad config. */
  start(task: Task, ended: (ending: Ending) => void): void;
  /** TERM to the whole group (abort for a function), KILL after `graceMs`. Unknown executions are ignored. */
  cancel(execution: string, graceMs: number): void;
  /** Ends what runs and releases processes and threads. */
  close(): Promise<void>;
}
