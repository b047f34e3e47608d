/**
 * What an entry asks the state machine to do. Time is stamped, never read: `nowMs` is the leader's wall clock and
 * `nextMs` what it computed. Encoded as JSON with type and version; a server that meets one it does not know stops.
 */
import { CodedError } from '../base/errors.ts';
import type { Finish } from '../jobs/finish.ts';
import type { FireReason } from '../jobs/fire.ts';
import type { Job } from '../jobs/job.ts';
import type { Settings } from './settings.ts';

/** A node in its session: what is meant for another session is not done. */
export interface Target {
  readonly node: string;
  readonly session: number;
}

/**
 * One link of a job's cursor chain: every instant in (previousMs, lastMs] is accounted for by it, and nextMs is the
 * first instant after. `run` names one instant (first = last).
 */
export interface FireItem {
  readonly uid: string;
  readonly generation: number;
  readonly previousMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly nextMs: number | null;
  readonly plan: 'run' | 'skipped' | 'missed';
  readonly reason: FireReason;
  /** Of a `run`; empty: it waits for a place. */
  readonly targets: readonly Target[];
}

/** Which client call a command answers. `scope` is a hash over caller, operation, job and request id. */
export interface RequestKey {
  readonly scope: string;
  readonly bodyHash: string;
}

/** What ends a job's present generation: the rest of its chain up to now, and the first instant after that. */
export interface Closing {
  readonly uid: string;
  readonly generation: number;
  /** The committed cursor that `items` continue. */
  readonly cursorMs: number;
  readonly items: readonly FireItem[];
  readonly nextMs: number | null;
}

/** How a job's new generation starts. */
export interface Opening {
  readonly zone: string;
  readonly zoneVersion: string;
  readonly anchorMs: number;
  readonly nextMs: number | null;
}

export interface AssignItem {
  readonly run: string;
  /** Null for a run that waits as a whole; else the target that is tried again. */
  readonly ordinal: number | null;
  readonly targets: readonly Target[];
}

export type Command =
  | { readonly type: 'genesis'; readonly nowMs: number; readonly cluster: string; readonly settings: Settings }
  | {
      readonly type: 'put-job';
      readonly nowMs: number;
      readonly request: RequestKey;
      readonly job: Job;
      /** Of the job that has the name now; null when nobody has it. */
      readonly closing: Closing | null;
      readonly opening: Opening;
      /** For `runoncreate`; null: no run. */
      readonly firstRun: readonly Target[] | null;
    }
  | {
      readonly type: 'delete-job';
      readonly nowMs: number;
      readonly request: RequestKey;
      readonly name: string;
      readonly uid: string;
    }
  | {
      readonly type: 'toggle-job';
      readonly nowMs: number;
      readonly request: RequestKey;
      readonly name: string;
      readonly closing: Closing;
      readonly opening: Opening;
    }
  | {
      readonly type: 'run-job';
      readonly nowMs: number;
      readonly request: RequestKey;
      readonly name: string;
      readonly uid: string;
      readonly requestId: string;
      readonly targets: readonly Target[];
    }
  | {
      readonly type: 'set-settings';
      readonly nowMs: number;
      readonly request: RequestKey;
      readonly settings: Partial<Settings>;
    }
  | { readonly type: 'fire'; readonly nowMs: number; readonly items: readonly FireItem[] }
  | { readonly type: 'assign'; readonly nowMs: number; readonly items: readonly AssignItem[] }
  /** What waited longer than it may. */
  | {
      readonly type: 'expire';
      readonly nowMs: number;
      readonly waits: readonly { run: string; ordinal: number | null }[];
    }
  | { readonly type: 'finish'; readonly nowMs: number; readonly finishes: readonly Finish[] }
  | {
      readonly type: 'open-session';
      readonly nowMs: number;
      readonly node: string;
      readonly boot: number;
      readonly name: string;
      readonly isServer: boolean;
      readonly tags: Readonly<Record<string, string>>;
      readonly slots: number;
      readonly version: string;
      readonly address: string;
    }
  | {
      readonly type: 'close-session';
      readonly nowMs: number;
      readonly node: string;
      readonly session: number;
      /** The node has said that it leaves; else it is given up. */
      readonly hasLeft: boolean;
    }
  /** Agents that have been gone for long. */
  | { readonly type: 'forget-nodes'; readonly nowMs: number; readonly nodes: readonly Target[] }
  /** Removes more rows of a deleted job. */
  | { readonly type: 'purge'; readonly nowMs: number; readonly uid: string };

const COMMAND_VERSION = 1;

export function encodeCommand(command: Command): Uint8Array {
  return Buffer.from(JSON.stringify([COMMAND_VERSION, command]), 'utf8');
}

/** Throws for a command of a version or type that this server does not know: it must stop, never skip. */
export function decodeCommand(data: Uint8Array): Command {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
  const [version, command] = JSON.parse(text) as [number, Command];
  if (version !== COMMAND_VERSION) {
    throw new CodedError('newer-directory', `the log holds a command of version ${version}: start a newer carillon`);
  }
  return command;
}
