import type { Clock } from '../../src/base/time.ts';
import type { Ending, Executor, Task } from '../../src/executors/executor.ts';

/** How an attempt goes, as the world has drawn it. */
export interface Fate {
  readonly runMs: number;
  readonly outcome: 'succeeded' | 'failed';
}

export interface SimExecutorOptions {
  /** Of one life of a node: what runs dies with it. */
  readonly clock: Clock;
  /** Counts the start, and says how it goes. */
  readonly onStart: (task: Task) => Fate;
}

/** Attempts that take virtual time and touch nothing. */
export class SimExecutor implements Executor {
  readonly #options: SimExecutorOptions;
  readonly #running = new Map<string, (ending: Ending) => void>();

  constructor(options: SimExecutorOptions) {
    this.#options = options;
  }

  start(task: Task, ended: (ending: Ending) => void): void {
    const { runMs, outcome } = this.#options.onStart(task);
    this.#running.set(task.execution, ended);
    this.#options.clock.after(runMs, () => {
      this.#end(task.execution, { ...ENDING, outcome, exitCode: outcome === 'succeeded' ? 0 : 1 });
    });
  }

  cancel(execution: string, graceMs: number): void {
    this.#options.clock.after(graceMs / 2, () => {
      this.#end(execution, { ...ENDING, outcome: 'cancelled', exitCode: null, signal: 'SIGTERM' });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #end(execution: string, ending: Ending): void {
    const ended = this.#running.get(execution);
    this.#running.delete(execution);
    ended?.(ending);
  }
}

const ENDING: Ending = {
  outcome: 'succeeded',
  reason: '',
  exitCode: 0,
  signal: null,
  result: null,
  output: new TextEncoder().encode('done\n'),
  outputBytes: 5,
};
