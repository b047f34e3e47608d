/** What an execution left behind, as people read it: its output from the start of a line on, and its result. */

/** The fields of an execution in an answer that this needs. */
export interface WithOutput {
  readonly output?: unknown;
  readonly output_truncated?: unknown;
  readonly output_bytes?: unknown;
  readonly result?: unknown;
}

export interface ShownOutput {
  /** Output, then a line `result …` where a function returned something. */
  readonly text: string;
  /** What must be said of an output whose beginning is missing. */
  readonly cut: string | undefined;
}

export function shownOutput(execution: WithOutput): ShownOutput {
  const output = typeof execution.output === 'string' ? execution.output : '';
  const isCut = execution.output_truncated === true;
  const kept = isCut ? fromLineStart(output) : output;
  return {
    text: withResult(kept, execution.result),
    cut: isCut ? `output cut: the last ${sizeOf(kept)} of ${Number(execution.output_bytes)} bytes` : undefined,
  };
}

/** Half a line would read as a whole one. One that is all there is stays. */
function fromLineStart(text: string): string {
  const end = text.indexOf('\n');
  return end < 0 || end === text.length - 1 ? text : text.slice(end + 1);
}

function withResult(output: string, result: unknown): string {
  if (result === null || result === undefined) return output;
  const separator = output === '' || output.endsWith('\n') ? '' : '\n';
  return `${output}${separator}result ${JSON.stringify(result)}\n`;
}

/** What was not UTF-8 stands there as a mark of three bytes that was one: the part must not be more than the whole. */
function sizeOf(text: string): number {
  return Buffer.byteLength(text.replaceAll('\ufffd', '?'), 'utf8');
}
