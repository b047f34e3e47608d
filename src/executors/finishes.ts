import type { Log } from '../base/telemetry.ts';
import type { Ending } from './executor.ts';
import type { Finish } from './protocol.ts';

/** Output up to this size travels with the finish itself; a longer one also goes to the output store. */
export const FINISH_TAIL_BYTES = 4 * 1024;

/** Why an attempt never started. `cancelled` has an outcome of its own. */
export type RefusalReason = 'session' | 'start-by' | 'no-slot' | 'outbox-full' | 'never-started' | 'draining';

/** It ran, and this is how it ended. */
export function finishOfEnding(
  execution: string,
  ending: Ending,
  times: { readonly startedAtMs: number; readonly finishedAtMs: number },
): Finish {
  const { output } = ending;
  return {
    execution,
    outcome: ending.outcome,
    reason: ending.reason,
    startedAtMs: times.startedAtMs,
    finishedAtMs: times.finishedAtMs,
    exitCode: ending.exitCode,
    signal: ending.signal,
    result: ending.result,
    outputTail: tailText(output, FINISH_TAIL_BYTES),
    outputBytes: ending.outputBytes,
    storedBytes: output.length > FINISH_TAIL_BYTES ? output.length : 0,
  };
}

/** It never started here, and never will. */
export function refusedFinish(execution: string, reason: RefusalReason, nowMs: number): Finish {
  return { ...neverRan(execution, nowMs), outcome: 'refused', reason };
}

/** Cancelled before it started. */
export function cancelledFinish(execution: string, nowMs: number): Finish {
  return { ...neverRan(execution, nowMs), outcome: 'cancelled', reason: '' };
}

/** It cannot be run here at all; the text says why, for people. */
export function impossibleFinish(execution: string, text: string, nowMs: number): Finish {
  return {
    ...neverRan(execution, nowMs),
    outcome: 'failed',
    reason: 'no such executor',
    outputTail: text,
    outputBytes: Buffer.byteLength(text),
  };
}

/** It may have run; what became of it is not known. */
export function lostFinish(
  { execution, startedAtMs }: Pick<Finish, 'execution' | 'startedAtMs'>,
  reason: string,
  nowMs: number,
): Finish {
  return { ...neverRan(execution, nowMs), outcome: 'lost', reason, startedAtMs };
}

/** The last bytes as text, from the start of a character on; what is not UTF-8 becomes U+FFFD. */
export function tailText(output: Uint8Array, bytesMax: number): string {
  let start = Math.max(0, output.length - bytesMax);
  if (start > 0) {
    // At most three continuation bytes belong to a character that was cut.
    for (let step = 0; step < 3 && ((output[start] ?? 0) & 0xc0) === 0x80; step += 1) start += 1;
  }
  return Buffer.from(output.buffer, output.byteOffset + start, output.length - start).toString('utf8');
}

/** Success is for those who look closely, all else for everybody. */
export function logEnd(log: Log, finish: Finish, job: string, run: string): void {
  const { execution, outcome, reason, exitCode } = finish;
  const fields = { job, run, execution, outcome, reason, exitCode };
  if (outcome === 'succeeded') log.debug('execution succeeded', fields);
  else log.info(`execution ${outcome}`, fields);
}

/** Where nothing is known of how it went. */
function neverRan(execution: string, nowMs: number): Omit<Finish, 'outcome' | 'reason'> {
  return {
    execution,
    startedAtMs: null,
    finishedAtMs: nowMs,
    exitCode: null,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
  };
}
