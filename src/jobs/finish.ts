import type { ExecutionOutcome } from './execution.ts';

/** How an execution ended, as it goes into the log. */
export interface Finish {
  readonly execution: string;
  readonly outcome: ExecutionOutcome;
  readonly reason: string;
  /** By the node's wall clock; null if it never started or that is not known. */
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly result: string | null;
  /** The last 4 KiB of the output, as text (bytes that are not UTF-8 become U+FFFD). */
  readonly outputTail: string;
  /** All bytes written. */
  readonly outputBytes: number;
  /** Bytes of the tail that went to the output store, 0 if `outputTail` is all there is. */
  readonly storedBytes: number;
}
