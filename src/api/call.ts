/** What an operation is given: the node's context, and one call as a door has read it. */
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import type { Zones } from '../jobs/zone.ts';
import type { Backend } from './backend.ts';
import type { Query } from './query.ts';

/** What the operations need; one for all doors of a node. */
export interface ApiContext {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly zones: Zones;
  /** The executors that this cluster knows, for the check of jobs. */
  readonly executors: readonly string[];
  readonly log: Log;
  readonly metrics: Metrics;
  /** For calls that bring no request id of their own. */
  readonly makeRequestId: () => string;
  /** Calls that wait for a run, over all doors. */
  readonly waiting: { count: number; readonly countMax: number };
}

export const WAITING_MAX = 10_000;

/** One call as a door has read it. */
export interface Call {
  readonly query: Query;
  readonly body: Uint8Array;
  /** Of the job; '' where there is none. */
  readonly name: string;
  /** Of the run or execution; '' where there is none. */
  readonly id: string;
  readonly requestId?: string | undefined;
  readonly caller: string;
}
