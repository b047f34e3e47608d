/**
 * What the doors (HTTP, NATS) need of a server, as one port, so that they can be tested without one. `server-backend.ts`
 * is the real one; all times are ms, all failures values.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { MembershipAnswer, MembershipRequest } from '../dispatcher/membership-actor.ts';
import type { LiveNode } from '../jobs/job-check.ts';
import type { FinishedRun, Result, Submission } from '../scheduler/intent.ts';
import type { ExecutionView, FireView, JobView, NodeView, RunView } from '../scheduler/views.ts';

export type Failed = {
  readonly type: 'failed';
  readonly code: Extract<ErrorCode, 'no-leader' | 'outcome-unknown' | 'overloaded' | 'deadline'>;
  readonly message: string;
  /** For `Retry-After`, when known. */
  readonly retryAfterMs?: number;
};

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly total: number;
  /** The applied index that the answer shows. */
  readonly index: number;
  /** There is more than a list reaches; `total` counts what it reaches. */
  readonly isCut?: boolean;
}

/** A list of runs or executions reaches back so far. */
export const LIST_MAX = 10_000;

/** What became of a submission; with a run that was waited for, how that ended. */
export type Submitted = Result & {
  /** Null: nobody knows the run any more, its job was deleted. Absent: the wait was over first, or there was none. */
  readonly finished?: FinishedRun | null;
};

export interface JobFilter {
  readonly metadata: Readonly<Record<string, string>>;
  /** Substring of name or display name, as Dkron. */
  readonly text: string;
  readonly status: 'success' | 'failed' | 'partially_failed' | 'untriggered' | null;
  readonly disabled: boolean | null;
  readonly sort:
    | 'name'
    | 'displayname'
    | 'schedule'
    | 'success_count'
    | 'error_count'
    | 'last_success'
    | 'last_error'
    | 'next';
  readonly isDescending: boolean;
  readonly start: number;
  /** Exclusive, or null for all. */
  readonly end: number | null;
}

export type ExecutionSort = 'id' | 'attempt' | 'started_at' | 'finished_at';

/** Ids are in the order of age. */
export interface ExecutionOrder {
  readonly sort: ExecutionSort;
  readonly isDescending: boolean;
  readonly start: number;
  /** Exclusive, or null for all. */
  readonly end: number | null;
}

export interface HealthView {
  readonly isLeader: boolean;
  readonly leader: { readonly node: string; readonly name: string } | null;
  readonly term: number;
  readonly appliedIndex: number;
  readonly commitIndex: number;
  /** Named checks for `/readyz?verbose`; ready when all are ok. */
  readonly checks: readonly { readonly name: string; readonly isOk: boolean; readonly detail: string }[];
}

/** How an output is looked for that this server does not have. */
export interface OutputSearch {
  /** On other servers, for so long; 0: not at all. */
  readonly forMs: number;
  /** It may still arrive from its node within this time. */
  readonly waitMs: number;
}

export interface KnownServer {
  readonly node: string;
  /** '' where this server does not know it. */
  readonly name: string;
}

export interface KnownServers {
  /** Of the cluster, by its configuration. */
  readonly known: readonly KnownServer[];
  /** They run with an empty directory under the cluster's name, and belong to none. */
  readonly waiting: readonly KnownServer[];
}

/** The applied index that the answer shows. */
export interface Indexed {
  readonly index: number;
}

export interface Backend {
  /**
   * Proposes, waits for the own apply. With no leader it waits up to 5 s, then fails with `no-leader`.
   * With `waitMs` it also waits for the end of a run that it started.
   */
  submit(submission: Submission, waitMs?: number): Promise<Submitted | Failed>;
  // Reads wait until the disk has what this server had applied when they arrived.
  job(name: string): Promise<{ readonly job: JobView; readonly index: number } | undefined>;
  jobs(filter: JobFilter): Promise<Page<JobView>>;
  run(job: string, run: string): Promise<(FinishedRun & Indexed) | undefined>;
  /** The page that `order` asks for, of at most {@link LIST_MAX}; undefined for an unknown job. */
  executions(job: string, order: ExecutionOrder): Promise<Page<ExecutionView> | undefined>;
  execution(job: string, execution: string): Promise<(ExecutionView & Indexed) | undefined>;
  /** The stored tail of the output, at most `bytesMax` from its end; undefined where it is not found in time. */
  output(execution: string, bytesMax: number, search: OutputSearch): Promise<Uint8Array | undefined>;
  fires(
    job: string,
    range: { readonly fromMs: number; readonly toMs: number; readonly limit: number; readonly cursor: string | null },
  ): Promise<(Page<FireView> & { readonly next: string | null }) | undefined>;
  runs(job: string): Promise<Page<RunView> | undefined>;
  /** Executions that are open now, oldest first as in Dkron. */
  busy(): Promise<Page<ExecutionView>>;
  members(): Promise<Page<NodeView>>;
  servers(): Promise<KnownServers>;
  /** Carried out by the leader; answered once a change is committed. */
  membership(request: MembershipRequest): Promise<MembershipAnswer>;
  /** Reads after it see every write that was acknowledged before it, on any server. Throws `no-leader`, `overloaded`. */
  catchUp(): Promise<void>;
  health(): Promise<HealthView>;
  /** Prometheus text of all threads of this node. */
  metrics(): Promise<string>;
  /** Of the cluster: its name, the settings that jobs fall back on, and its nodes for warnings. */
  facts(): {
    readonly cluster: string;
    readonly defaultZone: string;
    readonly defaultTargets: number | 'all';
    /** Live nodes that can execute; null where this server has not looked yet. */
    readonly nodes: readonly LiveNode[] | null;
  };
}
