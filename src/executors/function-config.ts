import { readFunctionOptions } from '../jobs/function-options.ts';
import { faultsText } from '../jobs/option-reader.ts';
import type { Task } from './executor.ts';
import type { FunctionCall } from './host-protocol.ts';

export type FunctionConfig =
  | { readonly type: 'call'; readonly call: FunctionCall }
  | { readonly type: 'fault'; readonly text: string };

export function readFunctionConfig(task: Task): FunctionConfig {
  const read = readFunctionOptions(task.config);
  if (read.type === 'faults') return { type: 'fault', text: faultsText('function', read.faults) };
  const { execution, run, job, attempt, fence, outputBytesMax } = task;
  return { type: 'call', call: { execution, run, job, attempt, fence, outputBytesMax, ...read.options } };
}
