import { EventEmitter } from 'node:events';
import type { Ending } from './executor.ts';
import type { ThreadResult } from './function-thread-protocol.ts';
import { GAUGE } from './function-thread-protocol.ts';
import type { FunctionCall } from './host-protocol.ts';
import { Tail } from './tail.ts';

export interface FunctionStop {
  readonly outcome: 'failed' | 'timed-out' | 'cancelled';
  readonly reason: string;
}

/** One call in the functions' host: its output, its limits, and how to reach its thread. */
export class RunningCall {
  readonly call: FunctionCall;
  readonly gauge = new SharedArrayBuffer(GAUGE.bytes);
  readonly #gauge = new Int32Array(this.gauge);
  readonly #tail: Tail;
  /** Costs a fraction of an `AbortController`, and piscina takes both. */
  readonly #abort = new EventEmitter();
  #stop: FunctionStop | null = null;
  #timers: NodeJS.Timeout[] = [];
  #messages = 0;
  #lastBeats = 0;
  #lastBeatAtMs = performance.now();
  #onMessages: (() => void) | null = null;

  constructor(call: FunctionCall) {
    this.call = call;
    this.#tail = new Tail(call.outputBytesMax);
  }

  /** Its `abort` ends the thread. */
  get signal(): EventEmitter {
    return this.#abort;
  }

  get stopped(): FunctionStop | null {
    return this.#stop;
  }

  get memoryBytes(): number {
    return Atomics.load(this.#gauge, GAUGE.memoryKib) * 1_024;
  }

  /** How long its thread has not yielded, as far as it was looked at. */
  silentMs(): number {
    const beats = Atomics.load(this.#gauge, GAUGE.beats);
    if (beats !== this.#lastBeats) {
      this.#lastBeats = beats;
      this.#lastBeatAtMs = performance.now();
    }
    return performance.now() - this.#lastBeatAtMs;
  }

  stopAfter(delayMs: number, stop: FunctionStop, graceMs: number): void {
    this.#timers.push(setTimeout(() => this.stop(stop, graceMs), Math.min(delayMs, 2 ** 31 - 1)));
  }

  /** Aborts the function's signal, and ends its thread after the grace. The first reason counts. */
  stop(stop: FunctionStop, graceMs: number): void {
    this.#stop ??= stop;
    Atomics.store(this.#gauge, GAUGE.stop, 1);
    if (graceMs === 0) this.#abort.emit('abort');
    else this.#timers.push(setTimeout(() => this.#abort.emit('abort'), graceMs));
  }

  write(text: string): void {
    this.#messages += 1;
    this.#tail.write(Buffer.from(text, 'utf8'));
    this.#onMessages?.();
  }

  /** It returned or threw. Waits for output that was sent before. */
  finish(result: ThreadResult, done: (ending: Ending) => void): void {
    const settle = (): void => {
      if (this.#messages < result.outputMessages) return;
      this.#onMessages = null;
      if (result.output !== '') this.#tail.write(Buffer.from(result.output, 'utf8'));
      const outcome = result.isSuccess ? 'succeeded' : 'failed';
      done(this.ending(this.#stop ?? { outcome, reason: result.reason }, result.result));
    };
    this.#onMessages = settle;
    settle();
  }

  /** Its thread is gone. */
  ending(end: { readonly outcome: Ending['outcome']; readonly reason: string }, result: string | null = null): Ending {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    return {
      outcome: end.outcome,
      reason: end.reason,
      exitCode: null,
      signal: null,
      result: end.outcome === 'succeeded' ? result : null,
      output: this.#tail.read(),
      outputBytes: this.#tail.totalBytes,
    };
  }
}
