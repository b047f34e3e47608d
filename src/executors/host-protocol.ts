/**
 * What the node's process and a run host say to each other, over the IPC channel of `fork`, in lists: one list a turn.
 * Both ends live on one machine and come from one build, so there are no versions.
 */
import type { Ending } from './executor.ts';
import type { ChildCommand } from './shell-config.ts';

export interface FunctionCall {
  readonly execution: string;
  readonly run: string;
  readonly job: string;
  readonly attempt: number;
  readonly fence: number;
  readonly outputBytesMax: number;
  /** As written in the job, relative to the functions' directory. */
  readonly module: string;
  readonly exportName: string;
  /** JSON text, or '' for undefined. */
  readonly input: string;
  readonly timeoutMs: number | null;
  readonly memoryBytesMax: number | null;
}

export type HostWork =
  | {
      readonly type: 'child';
      readonly execution: string;
      readonly outputBytesMax: number;
      readonly command: ChildCommand;
    }
  | { readonly type: 'function'; readonly call: FunctionCall };

export type ToHost =
  | { readonly type: 'work'; readonly work: HostWork }
  | { readonly type: 'cancel'; readonly execution: string; readonly graceMs: number };

export type FromHost =
  /** It leads a process group that has to be ended if the host dies. Not told of what is over in no time. */
  | { readonly type: 'leads-group'; readonly execution: string; readonly pid: number }
  | { readonly type: 'ended'; readonly execution: string; readonly ending: Ending };

export function executionOf(work: HostWork): string {
  return work.type === 'child' ? work.execution : work.call.execution;
}
