/** What the functions' host and its piscina threads say to each other. */
export interface ThreadCall {
  readonly execution: string;
  readonly run: string;
  readonly job: string;
  readonly attempt: number;
  readonly fence: number;
  readonly moduleUrl: string;
  readonly moduleName: string;
  readonly exportName: string;
  /** JSON text, or '' for undefined. */
  readonly input: string;
  readonly memoryBytesMax: number;
  /** Int32 fields, see `GAUGE`: the only way to reach a thread that is busy, and to see that it is. */
  readonly gauge: SharedArrayBuffer;
}

export const GAUGE = {
  /** Set to 1 by the host: the function's signal is aborted at the thread's next beat. */
  stop: 0,
  /** Counts the thread's beats; one that stands still does not yield. */
  beats: 1,
  /** Heap and external memory of the thread, in KiB. */
  memoryKib: 2,
  bytes: 12,
} as const;

export interface ThreadResult {
  readonly isSuccess: boolean;
  /** JSON text, or null for undefined and failures. */
  readonly result: string | null;
  /** `error`, `result too large` or `result too deep`; '' on success. */
  readonly reason: string;
  /** What was not sent before. */
  readonly output: string;
  /** Messages of output that were sent before; they may arrive later than this. */
  readonly outputMessages: number;
}

/** Output while the function runs, so that it is there even if its thread is ended. */
export interface ThreadOutput {
  readonly execution: string;
  readonly text: string;
}

/** A thread that holds too much when its call is over exits with this code. */
export const MEMORY_EXIT_CODE = 77;
