/**
 * The replicated state is rows; this file shows all of them with their keys. Rows are keyed by fixed-width uid, so a
 * name's rows never mix with another's. What belongs to a job hangs on lists whose ends stand in its status row
 * (open runs, finished runs, fires): `apply` only ever gets rows by key, it never scans.
 */
import type { ExecutionState } from '../jobs/execution.ts';
import type { FireOutcome, FireReason } from '../jobs/fire.ts';
import { uidFromKey, uidKey } from '../jobs/ids.ts';
import type { Job, JobStatus } from '../jobs/job.ts';
import type { Cause, RunState } from '../jobs/run.ts';
import type { Settings } from './settings.ts';
import type { JobView } from './views.ts';

export interface MetaRow {
  readonly type: 'meta';
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Logged time: the greatest `nowMs` of any applied command. Never goes back. */
  readonly loggedMs: number;
  readonly featureLevel: number;
  /** '' before genesis. */
  readonly cluster: string;
  readonly settings: Settings;
  readonly jobs: number;
  /** Index of the last entry that added or removed a name: lists keep what they know of the order until it changes. */
  readonly namesIndex: number;
  /** Runs and targets that wait for a place. */
  readonly waits: number;
  readonly lateFinishes: number;
  /** Places in the order of request ids: the oldest kept, and the next. */
  readonly requestFirst: number;
  readonly requestNext: number;
}

/** `name/<escaped name>`: the only place where a name is a key. */
export interface NameRow {
  readonly type: 'name';
  readonly uid: string;
}

/** `job/<uid>`: what the operator declared and how its present generation reads it. */
export interface JobRow {
  readonly type: 'job';
  readonly uid: string;
  readonly job: Job;
  readonly generation: number;
  readonly zone: string;
  readonly zoneVersion: string;
  /** What `@every` counts from. */
  readonly anchorMs: number;
  readonly createdMs: number;
  readonly modifiedIndex: number;
  /** Logged time at which the present generation began. */
  readonly openedMs: number;
}

/** `status/<uid>`: what changes with every fire and finish. */
export interface StatusRow {
  readonly type: 'status';
  readonly generation: number;
  /** Every instant up to here is accounted for. */
  readonly cursorMs: number;
  readonly nextMs: number | null;
  readonly successCount: number;
  readonly errorCount: number;
  readonly lastSuccessMs: number | null;
  readonly lastErrorMs: number | null;
  readonly status: JobStatus;
  /** Of the newest run: logged ms and the ordinal that makes its group unique. */
  readonly groupMs: number;
  readonly groupOrdinal: number;
  /** Pending and running runs, and the newest of their list. */
  readonly openRuns: number;
  readonly openHead: string | null;
  /** Finished runs have numbers; those from first (kept) to next (exclusive) are here. */
  readonly finishedFirst: number;
  readonly finishedNext: number;
  /** Newest and oldest row of the fire list, by first instant. */
  readonly fireHead: number | null;
  readonly fireTail: number | null;
  /** uids of jobs whose parent this is. */
  readonly children: readonly string[];
}

/** `orphans/<escaped name>`: uids of jobs whose parent has that name, while there is no such job. */
export interface OrphansRow {
  readonly type: 'orphans';
  readonly children: readonly string[];
}

/** `generation/<uid>/<n>`: how a closed generation read its instants, kept as long as its fires. */
export interface GenerationRow {
  readonly type: 'generation';
  readonly schedule: string;
  readonly zone: string;
  readonly zoneVersion: string;
  readonly anchorMs: number;
}

/** `run/<uid>/<cause><key>`. */
export interface RunRow {
  readonly type: 'run';
  readonly id: string;
  readonly job: string;
  readonly cause: Cause;
  readonly state: RunState;
  readonly reason: string;
  readonly scheduledAtMs: number | null;
  readonly createdMs: number;
  readonly finishedMs: number | null;
  /** Must have started by then, logged time. */
  readonly startByMs: number;
  readonly group: string;
  readonly targets: number;
  readonly openTargets: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Highest attempt number of any target, so that all its executions can be found by key. */
  readonly attempts: number;
  /** Whether any attempt may have started. */
  readonly hasStarted: boolean;
  /** Neighbours in the list of open runs, as `<cause><key>`. */
  readonly newer: string | null;
  readonly older: string | null;
}

/** `execution/<uid>/<cause><key>/<ordinal>/<attempt>`. */
export interface ExecutionRow {
  readonly type: 'execution';
  readonly id: string;
  readonly node: string;
  readonly nodeName: string;
  readonly session: number;
  /** Index of the entry that assigned it. */
  readonly fence: number;
  /** Attempts of this target before it that may have started. */
  readonly tries: number;
  /** Must have started by then, logged time; placed again after a refusal it keeps it. */
  readonly startByMs: number;
  readonly assignedMs: number;
  readonly state: ExecutionState;
  readonly reason: string;
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly result: string | null;
  readonly outputTail: string;
  readonly outputBytes: number;
  readonly storedBytes: number;
}

/** `open/<execution>`: assigned and not finished; what a new leader hands over. */
export interface OpenRow {
  readonly type: 'open';
  readonly node: string;
  readonly session: number;
  readonly assignedMs: number;
}

/** `wait/<run>` (a pending run) or `wait/<run>/<ordinal>` (a target to be tried again). */
export interface WaitRow {
  readonly type: 'wait';
  readonly run: string;
  readonly ordinal: number | null;
  /** Not before, logged time: a retry's delay. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** The node that must try again; null: any that matches. */
  readonly node: string | null;
  readonly attempt: number;
  readonly tries: number;
}

/** `fire/<uid>/<first instant>`: a stretch of equal outcomes. */
export interface FireRow {
  readonly type: 'fire';
  readonly generation: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly outcome: FireOutcome;
  readonly reason: FireReason;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly latenessMs: number | null;
  /** First instants of the neighbour rows. */
  readonly newer: number | null;
  readonly older: number | null;
}

/** `node/<nodeId>`: the registry, with the node's present session. */
export interface NodeRow {
  readonly type: 'node';
  readonly node: string;
  readonly boot: number;
  readonly name: string;
  readonly isServer: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly version: string;
  readonly address: string;
  readonly session: number;
  readonly isOpen: boolean;
  /** Logged time at which the session was closed; null while it is open. */
  readonly closedMs: number | null;
  /** The node closed it itself, so that nothing of it can be running; else it was given up. */
  readonly hasLeft: boolean;
}

/** `request/<scope>`: the answer that a repeat gets. `request-order/<n>` names the scopes by age. */
export interface RequestRow {
  readonly type: 'request';
  readonly bodyHash: string;
  readonly atMs: number;
  readonly answer:
    | { readonly type: 'job'; readonly uid: string; readonly name: string; readonly isNew: boolean }
    /** The rows are gone, so the answer carries what it shows. */
    | { readonly type: 'deleted'; readonly job: JobView }
    | { readonly type: 'run'; readonly run: string }
    | { readonly type: 'settings' };
}

export interface RequestOrderRow {
  readonly type: 'request-order';
  readonly scope: string;
}

/** `purge/<uid>`: what is left of a deleted job. */
export interface PurgeRow {
  readonly type: 'purge';
  readonly openHead: string | null;
  readonly finishedFirst: number;
  readonly finishedNext: number;
  readonly fireHead: number | null;
  readonly generation: number;
}

/** `due/<next ms>/<uid>` and `finished/<uid>/<n>`. */
export interface DueRow {
  readonly type: 'due';
}
export interface FinishedRow {
  readonly type: 'finished';
  readonly run: string;
}

export const keys = {
  meta: 'meta',
  name: (name: string) => `name/${escaped(name)}`,
  orphans: (name: string) => `orphans/${escaped(name)}`,
  job: (uid: string) => `job/${uidKey(uid)}`,
  status: (uid: string) => `status/${uidKey(uid)}`,
  generation: (uid: string, generation: number) => `generation/${uidKey(uid)}/${padded(generation, 8)}`,
  due: (nextMs: number, uid: string) => `due/${padded(nextMs, 15)}/${uidKey(uid)}`,
  run: (uid: string, key: string) => `run/${uidKey(uid)}/${key}`,
  execution: (uid: string, key: string, ordinal: number, attempt: number) =>
    `execution/${uidKey(uid)}/${key}/${padded(ordinal, 5)}/${padded(attempt, 5)}`,
  open: (execution: string) => `open/${execution}`,
  wait: (run: string, ordinal: number | null) => (ordinal === null ? `wait/${run}` : `wait/${run}/${ordinal}`),
  finished: (uid: string, number: number) => `finished/${uidKey(uid)}/${padded(number, 12)}`,
  fire: (uid: string, firstMs: number) => `fire/${uidKey(uid)}/${padded(firstMs, 15)}`,
  node: (node: string) => `node/${node}`,
  request: (scope: string) => `request/${scope}`,
  requestOrder: (number: number) => `request-order/${padded(number, 12)}`,
  purge: (uid: string) => `purge/${uidKey(uid)}`,
  /** After all due rows up to and with an instant. */
  dueEnd: (untilMs: number) => `due/${padded(untilMs + 1, 15)}`,
  partsOfDue: (key: string): [uid: string, nextMs: number] => [uidOfKey(key), Number(key.split('/')[1])],
  uidOfPurge: (key: string) => uidOfKey(key),
};

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** A text with half a character names no job; it must not throw. */
function escaped(name: string): string {
  return encodeURIComponent(name.replace(LONE_SURROGATE, '\ufffd'));
}

/** The uid at the end of a key. */
function uidOfKey(key: string): string {
  const uid = uidFromKey(key.slice(key.lastIndexOf('/') + 1));
  if (uid === undefined) throw new Error(`no uid in key ${key}`);
  return uid;
}

/** Decimal, with zeros in front, so that text order is number order. */
export function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

export type StateRow =
  | MetaRow
  | NameRow
  | JobRow
  | StatusRow
  | OrphansRow
  | GenerationRow
  | RunRow
  | ExecutionRow
  | OpenRow
  | WaitRow
  | FireRow
  | NodeRow
  | RequestRow
  | RequestOrderRow
  | PurgeRow
  | DueRow
  | FinishedRow;

const ROW_VERSION = 1;

export function encodeRow(row: StateRow): Uint8Array {
  return Buffer.from(JSON.stringify([ROW_VERSION, row]), 'utf8');
}

export function decodeRow<Row extends StateRow>(bytes: Uint8Array): Row {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const [version, row] = JSON.parse(text) as [number, Row];
  if (version !== ROW_VERSION) throw new Error(`row of unknown version ${version}: ${text.slice(0, 120)}`);
  return completed(row);
}

/** How long an attempt of an earlier build may wait: as long as a run by hand. */
const START_WITHIN_MS = 600_000;

/** Rows of earlier builds lack some fields. Those go behind the others, since the bytes of a row are hashed. */
function completed<Row extends StateRow>(row: Row): Row {
  if (row.type === 'node' && row.hasLeft === undefined) return { ...row, closedMs: null, hasLeft: false };
  if (row.type === 'execution' && row.startByMs === undefined) {
    return { ...row, startByMs: row.assignedMs + START_WITHIN_MS };
  }
  return row;
}
