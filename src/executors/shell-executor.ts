import type { Log } from '../base/telemetry.ts';
import { failedEnding } from './endings.ts';
import type { Ending, Executor, Task } from './executor.ts';
import { readShellConfig } from './shell-config.ts';
import { environmentForChildren } from './system-environment.ts';
import { RunHost } from './system-run-host.ts';

export interface ShellExecutorOptions {
  /** The node's own environment: a child gets PATH, HOME, LANG and TZ of it, or everything with `inheritEnvironment`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly inheritEnvironment: boolean;
  /** Processes that one execution may have at a time. Default 256. */
  readonly processesMax?: number;
  /** `sh`: through long-lived shells where the machine has what they need (default). `spawn`: by Node's own spawn. */
  readonly launcher?: 'sh' | 'spawn';
  readonly log: Log;
}

/** Runs commands as child processes, through a run host of its own. */
export class ShellExecutor implements Executor {
  readonly #environment: Readonly<Record<string, string>>;
  readonly host: RunHost;

  constructor(options: ShellExecutorOptions) {
    this.#environment = environmentForChildren(options.environment, options.inheritEnvironment);
    this.host = new RunHost({
      name: 'shell host',
      entry: new URL('./shell-host.worker.js', import.meta.url),
      args: [String(options.processesMax ?? 256), options.launcher ?? 'sh'],
      execArgv: ['--max-old-space-size=96', '--max-semi-space-size=2'],
      environment: this.#environment,
      // Its memory is output tails, which are bounded; it is never replaced while it has children.
      residentBytesMax: null,
      log: options.log,
    });
  }

  start(task: Task, ended: (ending: Ending) => void): void {
    const config = readShellConfig(task, this.#environment);
    if (config.type === 'fault') {
      queueMicrotask(() => ended(failedEnding('bad configuration', config.text)));
      return;
    }
    const { execution, outputBytesMax } = task;
    this.host.start({ type: 'child', execution, outputBytesMax, command: config.command }, ended);
  }

  cancel(execution: string, graceMs: number): void {
    this.host.cancel(execution, graceMs);
  }

  close(): Promise<void> {
    return this.host.close();
  }
}
