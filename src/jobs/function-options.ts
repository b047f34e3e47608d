/** Options of the `function` executor. */
import {
  DURATION,
  type ExecutorConfig,
  OptionReader,
  type OptionsRead,
  positiveDuration,
  SIZE,
} from './option-reader.ts';
import { parseSize } from './size.ts';

export interface FunctionOptions {
  /** Relative to the functions' directory. */
  readonly module: string;
  readonly exportName: string;
  /** JSON text, or '' for undefined. */
  readonly input: string;
  readonly timeoutMs: number | null;
  readonly memoryBytesMax: number | null;
}

export const INPUT_BYTES_MAX = 64 * 1_024;

export function readFunctionOptions(config: ExecutorConfig): OptionsRead<FunctionOptions> {
  const reader = new OptionReader('function', config);
  const module = reader.needed('module').trim();
  const exportName = reader.text('export').trim() || 'default';
  const input = readInput(reader);
  const timeoutMs = reader.parsed('timeout', positiveDuration, DURATION);
  const memoryBytesMax = reader.parsed('mem_limit', parseSize, SIZE);
  return reader.result({ module, exportName, input, timeoutMs, memoryBytesMax });
}

function readInput(reader: OptionReader): string {
  const input = reader.json('input');
  if (input === undefined) return '';
  const text = JSON.stringify(input);
  const sizeBytes = Buffer.byteLength(text, 'utf8');
  if (sizeBytes > INPUT_BYTES_MAX) {
    // The input itself would make the answer as large as what it refuses.
    reader.fault('input', `at most ${INPUT_BYTES_MAX} bytes of JSON`, 'is too large', `(${sizeBytes} bytes)`);
  }
  return text;
}
