/** Dkron's options of the `shell` executor. */
import {
  DURATION,
  type ExecutorConfig,
  OptionReader,
  type OptionsRead,
  parseTruth,
  positiveDuration,
  SIZE,
  TRUTH,
} from './option-reader.ts';
import { parseSize } from './size.ts';
import { splitWords } from './split-words.ts';

export interface ShellOptions {
  /** The program, and what it is called with. */
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

export function readShellOptions(config: ExecutorConfig): OptionsRead<ShellOptions> {
  const reader = new OptionReader('shell', config);
  const words = readWords(reader);
  const environment = readEnvironment(reader);
  const directory = reader.parsed('cwd', withoutNul, 'a directory') ?? '';
  const timeoutMs = reader.parsed('timeout', positiveDuration, DURATION);
  const limit = reader.parsed('mem_limit', parseSize, SIZE);
  // The name that Dkron's documents give to what its code calls `mem_limit`.
  const otherLimit = reader.parsed('memory_limit', parseSize, SIZE);
  const user = reader.parsed('su', parseUser, 'user, or user:group') ?? '';
  const payload = reader.parsed('payload', parseBase64, 'base64', 'is not base64');
  const memoryBytesMax = limit ?? otherLimit;
  return reader.result({ words, environment, directory, timeoutMs, memoryBytesMax, user, payload });
}

/** Where there is a fault, what it returns is not used. */
function readWords(reader: OptionReader): readonly [string, ...string[]] {
  const line = reader.needed('command');
  const isForShell = reader.parsed('shell', parseTruth, TRUTH) ?? false;
  if (line.trim() === '') return [''];
  if (line.includes('\0')) {
    reader.fault('command', 'a text without NUL characters', 'holds a NUL character');
    return [''];
  }
  if (isForShell) return ['/bin/sh', '-c', line];
  const words = splitWords(line);
  const [program = '', ...rest] = words ?? [];
  if (words === undefined) reader.fault('command', CLOSED, 'a quote or backslash is left open');
  else if (program === '') reader.fault('command', 'a line that begins with a program', 'names no program');
  return [program, ...rest];
}

/** `A=1,B=2`, as in Dkron: values cannot contain commas, and are not trimmed. */
function readEnvironment(reader: OptionReader): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const pair of reader.text('env').split(',')) {
    if (pair.trim() === '') continue;
    const [, name, value] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      reader.fault('env', ENVIRONMENT, `cannot read ${JSON.stringify(pair.slice(0, PAIR_CHARACTERS_MAX))}`);
      return {};
    }
    environment[name] = value;
  }
  return environment;
}

function withoutNul(text: string): string | undefined {
  return text.includes('\0') ? undefined : text;
}

function parseUser(text: string): string | undefined {
  return /^[^:\s\0]+(:[^:\s\0]*)?$/.test(text) ? text : undefined;
}

/** Line breaks and blanks between are fine. */
function parseBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) return undefined;
  return Buffer.from(digits, 'base64');
}

const PAIR_CHARACTERS_MAX = 40;
const ENVIRONMENT = 'NAME=value,NAME=value; a name has letters, digits and _, and begins with no digit';
const CLOSED = 'a line whose quotes are closed, or one for a shell, with "shell": "true"';
