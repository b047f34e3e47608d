import { fileURLToPath } from 'node:url';
import { silentLog } from '../../src/base/telemetry.ts';
import type { Ending, Executor, Task } from '../../src/executors/executor.ts';
import type { FunctionExecutorOptions } from '../../src/executors/function-executor.ts';
import { FunctionExecutor } from '../../src/executors/function-executor.ts';
import { ShellExecutor } from '../../src/executors/shell-executor.ts';
import type { Json } from '../../src/jobs/job.ts';

let executions = 0;

export function taskOf(config: Readonly<Record<string, Json>>, change: Partial<Task> = {}): Task {
  executions += 1;
  return {
    execution: `0-1-s${executions}-0-1`,
    run: `0-1-s${executions}`,
    job: 'job',
    attempt: 1,
    fence: 7,
    scheduledAtMs: null,
    executor: 'shell',
    config,
    outputBytesMax: 256_000,
    ...change,
  };
}

/** Starts and awaits the ending. */
export function run(executor: Executor, task: Task): Promise<Ending> {
  return new Promise((resolve) => executor.start(task, resolve));
}

export function textOf(ending: Ending): string {
  return Buffer.from(ending.output).toString('utf8');
}

export function newShell(
  change: { readonly processesMax?: number; readonly inherit?: boolean; readonly launcher?: 'sh' | 'spawn' } = {},
): ShellExecutor {
  return new ShellExecutor({
    environment: { ...process.env, CARILLON_SECRET: 'hidden' },
    inheritEnvironment: change.inherit ?? false,
    ...(change.launcher === undefined ? {} : { launcher: change.launcher }),
    ...(change.processesMax === undefined ? {} : { processesMax: change.processesMax }),
    log: silentLog,
  });
}

/** Modules of function jobs, compiled beside the tests. */
export const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));

export function newFunctions(change: Partial<FunctionExecutorOptions> = {}): FunctionExecutor {
  return new FunctionExecutor({
    directory: fixtures,
    environment: process.env,
    inheritEnvironment: false,
    threadsMax: 4,
    log: silentLog,
    ...change,
  });
}

export function callOf(exportName: string, config: Readonly<Record<string, Json>> = {}): Task {
  return taskOf({ module: 'sample.js', export: exportName, ...config }, { executor: 'function' });
}
