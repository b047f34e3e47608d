import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { Admission } from './admission.ts';
import { failedEnding } from './endings.ts';
import type { Ending } from './executor.ts';
import type { ThreadCall, ThreadOutput, ThreadResult } from './function-thread-protocol.ts';
import { MEMORY_EXIT_CODE } from './function-thread-protocol.ts';
import type { FromHost, FunctionCall, ToHost } from './host-protocol.ts';
import { findCulprit } from './memory-culprit.ts';
import { RunningCall } from './piscina-call.ts';
import { FunctionModules } from './piscina-modules.ts';

export interface FunctionHostOptions {
  readonly directory: string;
  readonly threadsMax: number;
  /** Of one call, where its job says nothing. */
  readonly callBytesMax: number;
  /** Of the whole process: above it, threads are ended. */
  readonly residentBytesMax: number;
  readonly send: (message: FromHost) => void;
}

const WATCH_MS = 50;
/** A call that has run for so long no longer keeps others from starting beside it. */
const YOUNG_MS = 1;
/** Freed memory needs a moment to go back; only then the next thread is suspected. */
const CULPRIT_PAUSE_MS = 400;
/** Between the abort of a function's signal and the end of its thread. */
const TIMEOUT_GRACE_MS = 200;
const IDLE_MS = 30_000;
const MIB = 1024 * 1024;
/**
 * A thread that reaches its limit is given 16 MiB more by Node, to stop in. What survives one collection of the young
 * must fit in there: else V8 ends the whole process, and with it every call beside.
 */
const YOUNG_GENERATION_MIB = 12;

/** Calls functions on threads of a piscina pool. Whatever they do, each call ends once, and the others go on. */
export class FunctionHost {
  readonly #options: FunctionHostOptions;
  readonly #modules: FunctionModules;
  readonly #pool: Piscina<ThreadCall, ThreadResult>;
  /** Calls that threads have. */
  readonly #calls = new Map<string, RunningCall>();
  /** And those that wait. */
  readonly #startable = new Map<string, StartableCall>();
  readonly #admission: Admission<StartableCall>;
  #ageTimer: NodeJS.Timeout | null = null;
  #watchTimer: NodeJS.Timeout | null = null;
  #culpritAtMs = 0;

  constructor(options: FunctionHostOptions) {
    this.#options = options;
    this.#modules = new FunctionModules(options.directory);
    this.#admission = new Admission({ runningMax: options.threadsMax, youngMax: availableParallelism() });
    this.#pool = new Piscina({
      filename: new URL('./piscina-thread.worker.js', import.meta.url).href,
      name: 'run',
      minThreads: 1,
      maxThreads: options.threadsMax,
      idleTimeout: IDLE_MS,
      // A thread without a call sleeps in an atomic wait: what a function left behind stands still until the next.
      atomics: 'sync',
      recordTiming: false,
      resourceLimits: {
        maxOldGenerationSizeMb: Math.ceil(options.callBytesMax / MIB),
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
      },
    });
    this.#pool.on('message', (output: ThreadOutput) => this.#calls.get(output.execution)?.write(output.text));
    // A thread that fails between calls is replaced by the pool; no call has lost anything.
    this.#pool.on('error', () => {});
  }

  receive(message: ToHost): void {
    if (message.type === 'cancel') {
      return this.#cancel(message.execution, message.graceMs);
    }
    if (message.work.type !== 'function') throw new Error(`the functions' host cannot run a ${message.work.type}`);
    this.#take(message.work.call);
  }

  #take(call: FunctionCall): void {
    const { execution } = call;
    const module = this.#modules.find(call.module);
    if (module.type === 'fault') {
      this.#options.send({ type: 'ended', execution, ending: failedEnding('bad configuration', module.text) });
      return;
    }
    const startable = { running: new RunningCall(call), moduleUrl: module.url };
    this.#startable.set(execution, startable);
    this.#admission.add(startable);
    this.#startAdmitted();
  }

  #cancel(execution: string, graceMs: number): void {
    const stop = { outcome: 'cancelled', reason: '' } as const;
    this.#calls.get(execution)?.stop(stop, graceMs);
    const startable = this.#startable.get(execution);
    if (startable === undefined) return;
    this.#startable.delete(execution);
    this.#admission.remove(startable);
    this.#end(execution, startable.running.ending(stop));
  }

  #startAdmitted(): void {
    for (let next = this.#admission.take(); next !== undefined; next = this.#admission.take()) this.#start(next);
    if (!this.#admission.isHeldByYoung || this.#ageTimer !== null) return;
    this.#ageTimer = setTimeout(() => {
      this.#ageTimer = null;
      this.#admission.age();
      this.#startAdmitted();
    }, YOUNG_MS);
  }

  #start(startable: StartableCall): void {
    const { running, moduleUrl } = startable;
    const { call } = running;
    const { execution } = call;
    const end = (ending: Ending): void => {
      this.#admission.remove(startable);
      this.#end(execution, ending);
      this.#startAdmitted();
    };
    this.#startable.delete(execution);
    this.#calls.set(execution, running);
    if (call.timeoutMs !== null) {
      const stop = { outcome: 'timed-out', reason: `time limit of ${call.timeoutMs} ms` } as const;
      running.stopAfter(call.timeoutMs, stop, TIMEOUT_GRACE_MS);
    }
    const threadCall: ThreadCall = {
      execution,
      run: call.run,
      job: call.job,
      attempt: call.attempt,
      fence: call.fence,
      moduleUrl,
      moduleName: call.module,
      exportName: call.exportName,
      input: call.input,
      memoryBytesMax: call.memoryBytesMax ?? this.#options.callBytesMax,
      gauge: running.gauge,
    };
    this.#pool.run(threadCall, { signal: running.signal }).then(
      (result) => running.finish(result, end),
      (error: unknown) => end(endingOfThread(running, error)),
    );
    this.#watchTimer ??= setTimeout(() => this.#watch(), WATCH_MS);
  }

  #end(execution: string, ending: Ending): void {
    this.#calls.delete(execution);
    this.#options.send({ type: 'ended', execution, ending });
  }

  /** Buffers are not bound by a thread's heap limit, so memory is looked at. */
  #watch(): void {
    this.#watchTimer = null;
    if (this.#calls.size === 0) return;
    this.#watchTimer = setTimeout(() => this.#watch(), WATCH_MS);
    const stop = { outcome: 'failed', reason: 'memory limit' } as const;
    const suspects = [];
    for (const running of this.#calls.values()) {
      const limitBytes = running.call.memoryBytesMax ?? this.#options.callBytesMax;
      if (running.memoryBytes > limitBytes) running.stop(stop, 0);
      else suspects.push({ running, memoryBytes: running.memoryBytes, silentMs: running.silentMs() });
    }
    const excessBytes = process.memoryUsage.rss() - this.#options.residentBytesMax;
    if (excessBytes <= 0 || performance.now() - this.#culpritAtMs < CULPRIT_PAUSE_MS) return;
    this.#culpritAtMs = performance.now();
    findCulprit(suspects, excessBytes)?.running.stop(stop, 0);
  }
}

interface StartableCall {
  readonly running: RunningCall;
  readonly moduleUrl: string;
}

function endingOfThread(running: RunningCall, error: unknown): Ending {
  if (running.stopped !== null) return running.ending(running.stopped);
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'ERR_WORKER_OUT_OF_MEMORY' || text.endsWith(`exited with code: ${MEMORY_EXIT_CODE}`)) {
    return running.ending({ outcome: 'failed', reason: 'memory limit' });
  }
  running.write(`function: its thread failed: ${error instanceof Error ? (error.stack ?? text) : text}\n`);
  return running.ending({ outcome: 'failed', reason: 'thread failed' });
}
