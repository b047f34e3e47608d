import { availableParallelism } from 'node:os';
import type { Log } from '../base/telemetry.ts';
import { failedEnding } from './endings.ts';
import type { Ending, Executor, Task } from './executor.ts';
import { readFunctionConfig } from './function-config.ts';
import { environmentForChildren } from './system-environment.ts';
import { RunHost } from './system-run-host.ts';

export interface FunctionExecutorOptions {
  /** Modules lie in here; '' for none: then every call fails with words. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly inheritEnvironment: boolean;
  /** Calls at a time. Default 8 for each core, as slots. */
  readonly threadsMax?: number;
  /** Of one call that has no `mem_limit`. Default 256 MiB. */
  readonly callBytesMax?: number;
  /** Of the host process. Default 768 MiB. */
  readonly residentBytesMax?: number;
  readonly log: Log;
}

const THREADS_PER_CORE = 8;
const CALL_BYTES_MAX = 256 * 1024 * 1024;
const RESIDENT_BYTES_MAX = 768 * 1024 * 1024;
/** The host acts at its bound; the node only where that did not help. */
const REPLACE_FACTOR = 1.5;

/** Calls JavaScript functions, on threads of a run host of its own. */
export class FunctionExecutor implements Executor {
  readonly #directory: string;
  readonly host: RunHost;

  constructor(options: FunctionExecutorOptions) {
    this.#directory = options.directory;
    const threadsMax = options.threadsMax ?? THREADS_PER_CORE * availableParallelism();
    const residentBytesMax = options.residentBytesMax ?? RESIDENT_BYTES_MAX;
    this.host = new RunHost({
      name: 'function host',
      entry: new URL('./function-host.worker.js', import.meta.url),
      args: [options.directory, threadsMax, options.callBytesMax ?? CALL_BYTES_MAX, residentBytesMax].map(String),
      // No heap limit here: a flag would hold for each thread as well, in place of the limit that it is given.
      execArgv: [],
      environment: environmentForChildren(options.environment, options.inheritEnvironment),
      residentBytesMax: REPLACE_FACTOR * residentBytesMax,
      log: options.log,
    });
  }

  start(task: Task, ended: (ending: Ending) => void): void {
    const config = readFunctionConfig(task);
    const fault =
      config.type === 'fault'
        ? config.text
        : this.#directory === ''
          ? 'function: this node has no functions directory (setting functions-dir)'
          : null;
    if (config.type === 'fault' || fault !== null) {
      queueMicrotask(() => ended(failedEnding('bad configuration', fault ?? '')));
      return;
    }
    this.host.start({ type: 'function', call: config.call }, ended);
  }

  cancel(execution: string, graceMs: number): void {
    this.host.cancel(execution, graceMs);
  }

  close(): Promise<void> {
    return this.host.close();
  }
}
