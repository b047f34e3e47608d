import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { depthOfJson, JSON_DEPTH_MAX } from '../base/json-depth.ts';
import type { ThreadCall, ThreadOutput, ThreadResult } from './function-thread-protocol.ts';
import { GAUGE, MEMORY_EXIT_CODE } from './function-thread-protocol.ts';

const BEAT_MS = 50;
const RESULT_BYTES_MAX = 64 * 1024;
/** Output is sent on at this size, or with the next beat. */
const FLUSH_CHARACTERS = 16_384;

/** Output of the one call that this thread has at a time; what comes between calls belongs to nobody. */
class ThreadSink {
  readonly #execution: string;
  #text = '';
  messages = 0;

  constructor(execution: string) {
    this.#execution = execution;
  }

  write(text: string): void {
    this.#text += text;
    if (this.#text.length >= FLUSH_CHARACTERS || this.messages === 0) this.flush();
  }

  flush(): void {
    if (this.#text === '') return;
    this.messages += 1;
    parentPort?.postMessage({ execution: this.#execution, text: this.take() } satisfies ThreadOutput);
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

/** Most functions never ask for their signal, and one costs as much as a short call. */
class LazyAbort {
  #controller: AbortController | null = null;
  #isAborted = false;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isAborted) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort();
  }
}

type Module = Readonly<Record<string, unknown>>;

/** `import` of what is loaded already still takes many times as long as a look here. */
const modules = new Map<string, Module>();
const MODULES_MAX = 1_000;

async function load(url: string): Promise<Module> {
  const module = (await import(url)) as Module;
  if (modules.size >= MODULES_MAX) modules.clear();
  modules.set(url, module);
  return module;
}

let sink: ThreadSink | null = null;

const toSink = new Writable({
  decodeStrings: false,
  write(chunk: string | Buffer, _encoding, done) {
    sink?.write(String(chunk));
    done();
  },
});
globalThis.console = new Console({ stdout: toSink, stderr: toSink });
process.stdout.write = toSink.write.bind(toSink) as typeof process.stdout.write;
process.stderr.write = toSink.write.bind(toSink) as typeof process.stderr.write;

/** What piscina calls. Never throws for what the function does. */
export async function run(call: ThreadCall): Promise<ThreadResult> {
  const mine = new ThreadSink(call.execution);
  sink = mine;
  const gauge = new Int32Array(call.gauge);
  const controller = new LazyAbort();
  const beat = setInterval(() => {
    Atomics.add(gauge, GAUGE.beats, 1);
    Atomics.store(gauge, GAUGE.memoryKib, memoryBytes() / 1_024);
    mine.flush();
    if (Atomics.load(gauge, GAUGE.stop) === 1) controller.abort();
  }, BEAT_MS);
  try {
    const outcome = await callFunction(call, controller, mine);
    // A few bytes more than allowed, even if only for the next caller: the thread ends, and with it what it holds.
    if (memoryBytes() > call.memoryBytesMax) process.exit(MEMORY_EXIT_CODE);
    return { ...outcome, output: mine.take(), outputMessages: mine.messages };
  } finally {
    clearInterval(beat);
    if (sink === mine) sink = null;
  }
}

type Outcome = Pick<ThreadResult, 'isSuccess' | 'result' | 'reason'>;

async function callFunction(call: ThreadCall, abort: LazyAbort, mine: ThreadSink): Promise<Outcome> {
  const { run, job, execution, attempt, fence } = call;
  try {
    const module = modules.get(call.moduleUrl) ?? (await load(call.moduleUrl));
    const target = module[call.exportName];
    if (typeof target !== 'function') {
      throw new Error(`function: module ${call.moduleName} exports no function named ${call.exportName}`);
    }
    const input: unknown = call.input === '' ? undefined : JSON.parse(call.input);
    const log = (...values: readonly unknown[]): void => mine.write(`${format(...values)}\n`);
    const value: unknown = await target(input, {
      get signal() {
        return abort.signal;
      },
      log,
      run,
      job,
      execution,
      attempt,
      fence,
    });
    if (value === undefined) return { isSuccess: true, result: null, reason: '' };
    const result = JSON.stringify(value);
    if (result === undefined) throw new TypeError('function: the returned value has no JSON form');
    const sizeBytes = Buffer.byteLength(result);
    if (sizeBytes > RESULT_BYTES_MAX) {
      mine.write(`function: the result has ${sizeBytes} bytes of JSON, at most ${RESULT_BYTES_MAX} are kept\n`);
      return { isSuccess: false, result: null, reason: 'result too large' };
    }
    // Of the text, since `toJSON` may have made another value.
    const depth = depthOfJson(result);
    if (depth > JSON_DEPTH_MAX) {
      mine.write(`function: the result is nested ${depth} levels deep, at most ${JSON_DEPTH_MAX} are kept\n`);
      return { isSuccess: false, result: null, reason: 'result too deep' };
    }
    return { isSuccess: true, result, reason: '' };
  } catch (error) {
    mine.write(`${error instanceof Error ? (error.stack ?? String(error)) : inspect(error)}\n`);
    return { isSuccess: false, result: null, reason: 'error' };
  }
}

function memoryBytes(): number {
  const { total_heap_size: heapBytes, external_memory: externalBytes } = getHeapStatistics();
  return heapBytes + externalBytes;
}
