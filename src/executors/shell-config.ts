import { faultsText } from '../jobs/option-reader.ts';
import { readShellOptions, type ShellOptions } from '../jobs/shell-options.ts';
import type { Task } from './executor.ts';
import { taskEnvironment } from './system-environment.ts';

/** A child process to start, with its whole environment. Plain data. */
export type ChildCommand = ShellOptions;

export type ShellConfig =
  | { readonly type: 'command'; readonly command: ChildCommand }
  | { readonly type: 'fault'; readonly text: string };

export function readShellConfig(task: Task, nodeEnvironment: Readonly<Record<string, string>>): ShellConfig {
  const read = readShellOptions(task.config);
  if (read.type === 'faults') return { type: 'fault', text: faultsText('shell', read.faults) };
  const environment = { ...nodeEnvironment, ...read.options.environment, ...taskEnvironment(task) };
  return { type: 'command', command: { ...read.options, environment } };
}
