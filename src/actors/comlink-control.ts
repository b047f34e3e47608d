/**
 * The control calls to a worker thread, over comlink on a port of their own. comlink alone would leave a call pending
 * for ever when the thread dies and would strip an error of its code. So each call here races against the thread's
 * death and a deadline, and outcomes cross as values.
 */
import type { MessagePort } from 'node:worker_threads';
import { type Endpoint, expose, type Remote, wrap } from 'comlink';
import { CodedError, type ErrorCode, type Fault } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { ActorInspection } from './system.ts';

/** What a thread lets others do to it. */
export interface ThreadControls<Config> {
  start(config: Config): void | Promise<void>;
  stop(): void | Promise<void>;
  inspect(): readonly ActorInspection[];
}

/** The thread's end: answers control calls until the port closes. */
export function exposeThreadControls<Config>(controls: ThreadControls<Config>, port: MessagePort): void {
  const api: ControlApi<Config> = {
    start: (config) => outcomeOf(() => controls.start(config)),
    stop: () => outcomeOf(() => controls.stop()),
    inspect: () => outcomeOf(() => controls.inspect()),
  };
  expose(api, endpointOf(port));
}

/** The caller's end. Every call settles: with its value, or with a `CodedError`. */
export class ThreadControl<Config> {
  readonly #thread: string;
  readonly #clock: Clock;
  readonly #api: Remote<ControlApi<Config>>;
  readonly #rejectPending = new Set<(error: CodedError) => void>();
  #death: CodedError | undefined;

  constructor(options: { readonly thread: string; readonly clock: Clock; readonly port: MessagePort }) {
    this.#thread = options.thread;
    this.#clock = options.clock;
    this.#api = wrap<ControlApi<Config>>(endpointOf(options.port));
  }

  start(config: Config, deadlineMs: number): Promise<void> {
    // The types of comlink cannot tell that a plain config crosses as it is.
    const api = this.#api as unknown as ControlApi<Config>;
    return this.#call('start', () => api.start(config), deadlineMs);
  }

  stop(deadlineMs: number): Promise<void> {
    return this.#call('stop', () => this.#api.stop(), deadlineMs);
  }

  inspect(deadlineMs: number): Promise<readonly ActorInspection[]> {
    return this.#call('inspect', () => this.#api.inspect(), deadlineMs);
  }

  /** The thread is gone: all calls under way, and all later ones, fail with `thread-died`. */
  fail(reason: string): void {
    if (this.#death !== undefined) return;
    this.#death = new CodedError('thread-died', reason);
    for (const reject of [...this.#rejectPending]) reject(this.#death);
  }

  #call<Value>(name: string, call: () => Promise<ControlOutcome<Value>>, deadlineMs: number): Promise<Value> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    return new Promise<Value>((resolve, reject) => {
      const settle = () => {
        deadline.cancel();
        this.#rejectPending.delete(fail);
      };
      const fail = (error: unknown) => {
        settle();
        reject(error);
      };
      const deadline = this.#clock.after(deadlineMs, () => {
        fail(new CodedError('deadline', `thread ${this.#thread} did not ${name} within ${deadlineMs} ms`));
      });
      this.#rejectPending.add(fail);
      call().then((outcome) => {
        settle();
        if (outcome.type === 'ok') resolve(outcome.value);
        else reject(new CodedError(outcome.code, outcome.message, { faults: outcome.faults }));
      }, fail);
    });
  }
}

type ControlOutcome<Value> =
  | { readonly type: 'ok'; readonly value: Value }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string; readonly faults: readonly Fault[] };

interface ControlApi<Config> {
  start(config: Config): Promise<ControlOutcome<void>>;
  stop(): Promise<ControlOutcome<void>>;
  inspect(): Promise<ControlOutcome<readonly ActorInspection[]>>;
}

async function outcomeOf<Value>(run: () => Value | Promise<Value>): Promise<ControlOutcome<Value>> {
  try {
    return { type: 'ok', value: await run() };
  } catch (error) {
    if (error instanceof CodedError) {
      return { type: 'failed', code: error.code, message: error.message, faults: error.faults };
    }
    return { type: 'failed', code: 'internal', message: String(error), faults: [] };
  }
}

/** What comlink hears of a port. Its own adapter for Node has no types that `nodenext` finds. */
interface ControlEvent {
  readonly data: unknown;
}

type ControlListener = ((event: ControlEvent) => void) | { handleEvent(event: ControlEvent): void };

function endpointOf(port: MessagePort): Endpoint {
  const listeners = new Map<ControlListener, (data: unknown) => void>();
  const endpoint = {
    postMessage: (message: unknown) => port.postMessage(message),
    addEventListener: (_type: string, listener: ControlListener) => {
      const onMessage = (data: unknown) => {
        if (typeof listener === 'function') listener({ data });
        else listener.handleEvent({ data });
      };
      listeners.set(listener, onMessage);
      port.on('message', onMessage);
    },
    removeEventListener: (_type: string, listener: ControlListener) => {
      const onMessage = listeners.get(listener);
      if (onMessage !== undefined) port.off('message', onMessage);
      listeners.delete(listener);
    },
  };
  return endpoint as Endpoint;
}
