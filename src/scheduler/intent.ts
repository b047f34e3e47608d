/**
 * What a client wants, as the doors understood it. The leader completes an intent with what only it may say (time,
 * next instants, targets) and proposes it as a command; whoever took the call answers after its own apply.
 */

import type { ErrorCode } from '../base/errors.ts';
import type { Job } from '../jobs/job.ts';
import type { Settings } from './settings.ts';
import type { ExecutionView, JobView, RunView } from './views.ts';

export type Intent =
  | { readonly type: 'put-job'; readonly job: Job; readonly runOnCreate: boolean }
  | { readonly type: 'delete-job'; readonly name: string }
  | { readonly type: 'toggle-job'; readonly name: string }
  | { readonly type: 'run-job'; readonly name: string }
  | { readonly type: 'set-settings'; readonly settings: Partial<Settings> };

/** One mutating call. */
export interface Submission {
  /** `Idempotency-Key`, `Nats-Msg-Id`, or made by the server; at most 255 bytes. */
  readonly requestId: string;
  /** Who calls; part of the request id's scope. '' without authentication. */
  readonly caller: string;
  /** SHA-256 of the request's body (hex): the same id with another body is refused. */
  readonly bodyHash: string;
  readonly intent: Intent;
}

/** What a submission came to. Kept ten minutes of logged time under its request id. */
export type Result =
  | { readonly type: 'job'; readonly job: JobView; readonly isNew: boolean }
  | { readonly type: 'run'; readonly job: JobView; readonly run: RunView }
  | { readonly type: 'settings'; readonly settings: Settings }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string };

/** An ended run with its executions, as run-and-wait hands it out. */
export interface FinishedRun {
  readonly run: RunView;
  readonly executions: readonly ExecutionView[];
}
