/** The check on a job's `executor_config`, by the readers that its executor reads it with. */
import type { Fault } from '../base/errors.ts';
import { readFunctionOptions } from './function-options.ts';
import { readHttpOptions } from './http-options.ts';
import { type ExecutorConfig, OptionReader, type OptionsRead } from './option-reader.ts';
import { readShellOptions } from './shell-options.ts';

export interface OptionCheck {
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

export function checkOptions(executor: string, config: ExecutorConfig): OptionCheck {
  const read = (READERS.get(executor) ?? readTexts)(config);
  if (read.type === 'faults') return { faults: read.faults, warnings: [] };
  return { faults: [], warnings: READERS.has(executor) ? ignoredWarnings(executor, read.ignored) : [] };
}

type Read = (config: ExecutorConfig) => OptionsRead<unknown>;

const READERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['shell', readShellOptions],
  ['http', readHttpOptions],
  ['function', readFunctionOptions],
]);

/** Of an executor that is known to the cluster and not here, such as a simulator's: any texts. */
function readTexts(config: ExecutorConfig): OptionsRead<unknown> {
  return new OptionReader('', config).result({});
}

/** Kept, as unknown fields of Dkron's later versions would be, but not in silence: most are slips. */
function ignoredWarnings(executor: string, keys: readonly string[]): readonly string[] {
  if (keys.length === 0) return [];
  const shown = keys.slice(0, KEYS_SHOWN_MAX).map((key) => key.slice(0, KEY_CHARACTERS_MAX));
  const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '';
  return [`the ${executor} executor ignores in executor_config: ${shown.join(', ')}${more}`];
}

const KEYS_SHOWN_MAX = 10;
const KEY_CHARACTERS_MAX = 60;
