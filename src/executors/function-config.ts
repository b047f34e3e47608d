import { parseDuration } from '../jobs/duration.ts';
import type { Json } from '../jobs/job.ts';
import { parseSize } from '../jobs/size.ts';
import type { Task } from './executor.ts';
import type { FunctionCall } from './host-protocol.ts';

export type FunctionConfig =
  | { readonly type: 'call'; readonly call: FunctionCall }
  | { readonly type: 'fault'; readonly text: string };

const INPUT_BYTES_MAX = 64 * 1024;

/** `{module, export, input, timeout, mem_limit}`. */
export function readFunctionConfig(task: Task): FunctionConfig {
  const { config, execution, run, job, attempt, fence, outputBytesMax } = task;
  const module = textOf(config['module']);
  if (module === '') return fault('function: module is missing');
  const timeout = textOf(config['timeout']);
  const timeoutMs = timeout === '' ? null : parseDuration(timeout);
  if (timeoutMs === undefined || (timeoutMs !== null && timeoutMs <= 0)) {
    return fault(`function: timeout ${JSON.stringify(timeout)}: use a duration such as 30s`);
  }
  const memory = textOf(config['mem_limit']);
  const memoryBytesMax = memory === '' ? null : parseSize(memory);
  if (memoryBytesMax === undefined) {
    return fault(`function: mem_limit ${JSON.stringify(memory)}: use a size such as 128MB`);
  }
  const { input } = config;
  const inputText = input === undefined ? '' : JSON.stringify(input);
  if (Buffer.byteLength(inputText) > INPUT_BYTES_MAX) return fault('function: input is above 64 KiB of JSON');
  const exportName = textOf(config['export']) || 'default';
  return {
    type: 'call',
    call: {
      execution,
      run,
      job,
      attempt,
      fence,
      outputBytesMax,
      module,
      exportName,
      input: inputText,
      timeoutMs,
      memoryBytesMax,
    },
  };
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value.trim() : '';
}

function fault(text: string): FunctionConfig {
  return { type: 'fault', text };
}
