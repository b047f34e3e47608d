import type { Ending } from './executor.ts';

const NOTHING = new Uint8Array(0);

/** It could not be run as configured, or its run host failed; the text is for people. */
export function failedEnding(reason: string, text = ''): Ending {
  const output = text === '' ? NOTHING : Buffer.from(text, 'utf8');
  return {
    outcome: 'failed',
    reason,
    exitCode: null,
    signal: null,
    result: null,
    output,
    outputBytes: output.length,
  };
}
