/**
 * What the state machine says has happened. Events are hints: whoever acts on them can derive the same from rows, and
 * does so after a leader change. Replay emits none. The simulator drops some.
 */

import type { ExecutionOutcome } from '../jobs/execution.ts';
import type { FireOutcome, FireReason } from '../jobs/fire.ts';
import type { RunState } from '../jobs/run.ts';
import type { FinishedRun, Result } from './intent.ts';
import type { WaitRow } from './rows.ts';

export type StateEvent =
  /** The job's next instant is this now (also after a refused fire, so that it is planned anew). */
  | { readonly type: 'due-moved'; readonly uid: string; readonly nextMs: number | null }
  | { readonly type: 'job-deleted'; readonly uid: string; readonly name: string; readonly hasRemains: boolean }
  /** A stretch got this outcome; `open` ones come again when they are resolved. */
  | {
      readonly type: 'fired';
      readonly uid: string;
      readonly firstMs: number;
      readonly count: number;
      readonly outcome: FireOutcome;
      readonly reason: FireReason;
    }
  | { readonly type: 'waiting'; readonly wait: WaitRow }
  | { readonly type: 'wait-ended'; readonly run: string; readonly ordinal: number | null }
  | { readonly type: 'assigned'; readonly execution: string; readonly node: string; readonly session: number }
  | {
      readonly type: 'finished';
      readonly execution: string;
      readonly node: string;
      readonly outcome: ExecutionOutcome;
      readonly latenessMs: number | null;
      readonly reason: string;
    }
  /** A finish for an execution that is unknown or has ended already: let the node forget it. */
  | { readonly type: 'late-finish'; readonly execution: string }
  | {
      readonly type: 'run-ended';
      readonly run: string;
      readonly job: string;
      readonly state: RunState;
      /** Where the job goes with this entry (ephemeral), what waiters would no longer find. */
      readonly last: FinishedRun | null;
    }
  | { readonly type: 'session-opened'; readonly node: string; readonly boot: number; readonly session: number }
  | { readonly type: 'session-closed'; readonly node: string; readonly session: number; readonly hasLeft: boolean }
  | { readonly type: 'node-forgotten'; readonly node: string; readonly name: string }
  | { readonly type: 'purge-left'; readonly uid: string }
  /** A client's command was applied; `isStale`: its completion was out of date, complete it anew. */
  | {
      readonly type: 'answered';
      readonly scope: string;
      readonly bodyHash: string;
      readonly result: Result;
      readonly isStale: boolean;
    };
