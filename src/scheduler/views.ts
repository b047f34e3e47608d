/** What the state shows of its rows to those who answer clients. Times in ms; the doors write Dkron's JSON from it. */
import type { ExecutionState } from '../jobs/execution.ts';
import type { FireOutcome, FireReason } from '../jobs/fire.ts';
import type { Job, JobStatus } from '../jobs/job.ts';
import type { Cause, RunState } from '../jobs/run.ts';

export interface JobView {
  readonly uid: string;
  readonly job: Job;
  readonly successCount: number;
  readonly errorCount: number;
  readonly lastSuccessMs: number | null;
  readonly lastErrorMs: number | null;
  readonly status: JobStatus;
  readonly nextMs: number | null;
  /** Names of the children. */
  readonly dependentJobs: readonly string[];
  /** Zone that the schedule is read in. */
  readonly zone: string;
  readonly createdMs: number;
  readonly modifiedIndex: number;
}

export interface RunView {
  readonly id: string;
  readonly job: string;
  readonly cause: Cause;
  readonly state: RunState;
  /** Why it ended as it did, or ''. */
  readonly reason: string;
  readonly scheduledAtMs: number | null;
  readonly createdMs: number;
  readonly finishedMs: number | null;
  /** Dkron's group: logged ms × 10⁶ + ordinal, as decimal text. */
  readonly group: string;
  readonly targets: number;
}

export interface ExecutionView {
  readonly id: string;
  readonly run: string;
  readonly job: string;
  readonly attempt: number;
  readonly group: string;
  readonly node: string;
  readonly nodeName: string;
  readonly state: ExecutionState;
  readonly reason: string;
  readonly scheduledAtMs: number | null;
  /** Commit time of the entry that assigned it. */
  readonly assignedMs: number;
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly result: string | null;
  readonly outputTail: string;
  readonly outputBytes: number;
  readonly storedBytes: number;
}

/** One instant that ran or is open, or a stretch that was skipped or missed. */
export interface FireView {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly outcome: FireOutcome;
  readonly reason: FireReason;
  /** Of a single instant that ran or is open. */
  readonly run: string | null;
  readonly latenessMs: number | null;
  readonly merged: number;
  readonly index: number;
}

export interface NodeView {
  readonly node: string;
  readonly name: string;
  readonly boot: number;
  readonly isServer: boolean;
  readonly isLeader: boolean;
  readonly isAlive: boolean;
  /** Not alive since it has left; else it was given up. */
  readonly hasLeft: boolean;
  readonly session: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly slotsUsed: number;
  readonly version: string;
  readonly address: string;
}
