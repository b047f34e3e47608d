import { parseDuration } from '../jobs/duration.ts';
import type { Json } from '../jobs/job.ts';
import { parseSize } from '../jobs/size.ts';
import type { Task } from './executor.ts';
import { splitWords } from './split-words.ts';
import { taskEnvironment } from './system-environment.ts';

/** A child process to start. Plain data. */
export interface ChildCommand {
  readonly words: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** '' for the node's own. */
  readonly directory: string;
  /** null for none. */
  readonly timeoutMs: number | null;
  /** Of all its processes together; null for none. */
  readonly memoryBytesMax: number | null;
  /** `user`, `user:group` or ''. */
  readonly user: string;
  /** Goes to its standard input, which is empty otherwise. */
  readonly payload: Uint8Array | null;
}

export type ShellConfig =
  | { readonly type: 'command'; readonly command: ChildCommand }
  | { readonly type: 'fault'; readonly text: string };

/** Reads Dkron's options of the `shell` executor. */
export function readShellConfig(task: Task, nodeEnvironment: Readonly<Record<string, string>>): ShellConfig {
  const { config } = task;
  const line = textOf(config['command']);
  if (line.trim() === '') return fault('shell: command is missing');
  const words = textOf(config['shell']) === 'true' ? ['/bin/sh', '-c', line] : splitWords(line);
  if (words === undefined) return fault(`shell: command ${JSON.stringify(line)}: a quote or backslash is left open`);
  const [program, ...rest] = words;
  if (program === undefined || program === '') return fault('shell: command names no program');
  if (words.some((word) => word.includes('\0'))) return fault('shell: command holds a NUL character');

  const own = readEnvironment(textOf(config['env']));
  if (typeof own === 'string') return fault(own);
  const timeoutMs = readPositive(textOf(config['timeout']), parseDuration);
  if (timeoutMs === undefined) return fault(`shell: timeout ${quoted(config['timeout'])}: use a duration such as 30s`);
  const memoryText = textOf(config['mem_limit']) || textOf(config['memory_limit']);
  const memoryBytesMax = readPositive(memoryText, parseSize);
  if (memoryBytesMax === undefined) return fault(`shell: mem_limit ${quoted(memoryText)}: use a size such as 512MB`);
  const payloadText = textOf(config['payload']);
  if (payloadText !== '' && !BASE64.test(payloadText)) return fault('shell: payload is not base64');

  return {
    type: 'command',
    command: {
      words: [program, ...rest],
      environment: { ...nodeEnvironment, ...own, ...taskEnvironment(task) },
      directory: textOf(config['cwd']),
      timeoutMs,
      memoryBytesMax,
      user: textOf(config['su']),
      payload: payloadText === '' ? null : Buffer.from(payloadText, 'base64'),
    },
  };
}

/** `A=1,B=2`, as in Dkron: values cannot contain commas. */
function readEnvironment(text: string): Readonly<Record<string, string>> | string {
  const environment: Record<string, string> = {};
  if (text.trim() === '') return environment;
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, Math.max(at, 0)).trim();
    if (!NAME.test(name) || pair.includes('\0')) return `shell: env ${JSON.stringify(pair)}: use NAME=value,NAME=value`;
    environment[name] = pair.slice(at + 1);
  }
  return environment;
}

function readPositive(text: string, parse: (text: string) => number | undefined): number | null | undefined {
  if (text.trim() === '') return null;
  const value = parse(text.trim());
  return value !== undefined && value > 0 ? value : undefined;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);
}

function quoted(value: Json | undefined): string {
  return JSON.stringify(value ?? '');
}

function fault(text: string): ShellConfig {
  return { type: 'fault', text };
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;
