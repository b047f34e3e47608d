import {
  MessageChannel,
  type MessagePort,
  type ResourceLimits,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { CodedError } from '../base/errors.ts';
import type { Timer } from '../base/time.ts';
import type { Supervision } from './actor.ts';
import { describeError } from './ask.ts';
import { ThreadControl } from './comlink-control.ts';
import type { LinkBatch } from './link-protocol.ts';
import { decideAfterFailure } from './supervision.ts';
import type { ActorInspection, ActorSystem } from './system.ts';
import type { StopProcessNotice, ThreadData } from './thread-entry.ts';
import { ThreadLink } from './thread-link.ts';

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 30_000;
const INSPECT_DEADLINE_MS = 5_000;
/** A thread that has stopped its actors and still does not end is ended. */
const EXIT_GRACE_MS = 5_000;

/** `restarting` is the time between a thread's death and the next one's `running`. */
export type ThreadState = 'new' | 'running' | 'restarting' | 'stopping' | 'stopped';

export interface WorkerThreadOptions<Config> {
  /** The first part of its actors' addresses. */
  readonly name: string;
  /** A `.worker.js` file that calls `serveThread`. */
  readonly entry: URL;
  /** Plain data; each start of the thread gets it. */
  readonly config: Config;
  /** The system of this thread, which the link joins to the other. */
  readonly system: ActorSystem;
  /** What follows the thread's death. */
  readonly supervision: Supervision;
  readonly onStopProcess: (error: unknown, address: string) => void;
  readonly onState?: (state: ThreadState) => void;
  /** Default 30 s, for each start. */
  readonly startDeadlineMs?: number;
  readonly resourceLimits?: ResourceLimits;
}

/**
 * A worker thread and its supervisor. When the thread dies, by a throw, an exit or from outside, everyone who waits
 * for it is told at once, and it is started again as its supervision says. The link stays the same, so refs to its
 * actors live on.
 */
export class WorkerThread<Config> {
  readonly name: string;
  readonly link: ThreadLink;
  readonly #options: WorkerThreadOptions<Config>;
  #state: ThreadState = 'new';
  #life: ThreadLife<Config> | undefined;
  #restartTimer: Timer | undefined;
  #restartsMs: readonly number[] = [];
  #stopping: Promise<void> | undefined;

  constructor(options: WorkerThreadOptions<Config>) {
    this.name = options.name;
    this.#options = options;
    this.link = new ThreadLink({ system: options.system, peer: options.name });
  }

  get state(): ThreadState {
    return this.#state;
  }

  /** Settles when the thread's `start` has. A first start that fails is not tried again: it throws a `CodedError`. */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new Error(`thread ${this.name} was started before`);
    const life = this.#launch();
    try {
      await this.#control(life);
    } catch (error) {
      life.isExpectedToEnd = true;
      this.#setState('stopped');
      await life.worker.terminate();
      throw error;
    }
  }

  /** Lets the thread stop its actors, and ends it if it does not end by itself. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Ends the thread on the spot, as a crash would; its supervision decides what follows. */
  async kill(): Promise<void> {
    await this.#life?.worker.terminate();
  }

  inspect(): Promise<readonly ActorInspection[]> {
    const life = this.#life;
    if (life === undefined) return Promise.reject(new CodedError('thread-died', `thread ${this.name} does not run`));
    return life.control.inspect(INSPECT_DEADLINE_MS);
  }

  #launch(): ThreadLife<Config> {
    const { name, entry, system, resourceLimits } = this.#options;
    const link = new MessageChannel();
    const control = new MessageChannel();
    const data: ThreadData = {
      thread: name,
      peer: system.thread,
      linkPort: link.port2,
      controlPort: control.port2,
    };
    const worker = new Worker(entry, {
      name,
      workerData: data,
      transferList: [link.port2, control.port2],
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
    });
    const life: ThreadLife<Config> = {
      worker,
      control: new ThreadControl<Config>({ thread: name, clock: system.clock, port: control.port1 }),
      linkPort: link.port1,
      controlPort: control.port1,
      hasEnded: new Promise((resolve) => {
        worker.once('exit', (exitCode) => {
          this.#ended(life, exitCode);
          resolve();
        });
      }),
      isExpectedToEnd: false,
      hasBeenEnded: false,
      error: undefined,
      notice: undefined,
    };
    worker.on('error', (error) => {
      life.error = error;
    });
    worker.on('message', (notice: StopProcessNotice) => {
      life.notice = notice;
      // It is as good as ended: its actors are halted.
      this.#ended(life, 0);
    });
    this.#life = life;
    this.link.attach(life.linkPort);
    this.link.listen();
    return life;
  }

  async #control(life: ThreadLife<Config>): Promise<void> {
    await life.control.start(this.#options.config, this.#options.startDeadlineMs ?? START_DEADLINE_MS);
    if (this.#state === 'new' || this.#state === 'restarting') this.#setState('running');
  }

  /** Once a life. */
  #ended(life: ThreadLife<Config>, exitCode: number): void {
    if (life.hasBeenEnded) return;
    life.hasBeenEnded = true;
    const cause = life.notice?.message ?? (life.error === undefined ? `exit code ${exitCode}` : String(life.error));
    const reason = `thread ${this.name} ended: ${cause}`;
    // What the thread said before its end still counts; the exit may overtake it.
    for (
      let left = receiveMessageOnPort(life.linkPort);
      left !== undefined;
      left = receiveMessageOnPort(life.linkPort)
    ) {
      this.link.receive(left.message as LinkBatch);
    }
    this.#life = undefined;
    this.link.detach(reason);
    life.control.fail(reason);
    life.controlPort.close();
    if (life.isExpectedToEnd) return;
    // A first start that fails is answered to the caller of `start`.
    if (this.#state === 'new') return;
    this.#supervise(life.notice, life.error ?? new CodedError('thread-died', reason));
  }

  #supervise(notice: StopProcessNotice | undefined, error: unknown): void {
    const { system, supervision, onStopProcess } = this.#options;
    system.log.error('a thread died', { thread: this.name, error: describeError(error) });
    if (notice !== undefined) {
      this.#setState('stopped');
      onStopProcess(new CodedError(notice.code, notice.message), notice.address);
      return;
    }
    const verdict = decideAfterFailure(supervision, this.#restartsMs, system.clock.monotonic());
    switch (verdict.type) {
      case 'restart':
        this.#restartsMs = verdict.restartsMs;
        this.#setState('restarting');
        this.#restartTimer = system.clock.after(verdict.delayMs, () => this.#restart());
        return;
      case 'stop':
        this.#setState('stopped');
        return;
      case 'stop-process':
        this.#setState('stopped');
        onStopProcess(error, this.name);
        return;
    }
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#options.system.metrics.count('carillon_thread_restarts_total', { thread: this.name });
    const life = this.#launch();
    this.#control(life).catch((error: unknown) => {
      // If the thread is still alive, its start failed or hangs: end it, then its exit is supervised like any other.
      life.error ??= error;
      void life.worker.terminate();
    });
  }

  async #stop(): Promise<void> {
    this.#restartTimer?.cancel();
    const life = this.#life;
    if (life === undefined) {
      this.#setState('stopped');
      return;
    }
    this.#setState('stopping');
    life.isExpectedToEnd = true;
    const { log, clock } = this.#options.system;
    try {
      await life.control.stop(STOP_DEADLINE_MS);
    } catch (error) {
      log.warn('a thread did not stop as asked; it is ended', { thread: this.name, error: describeError(error) });
      await life.worker.terminate();
    }
    const grace = clock.after(EXIT_GRACE_MS, () => {
      log.warn('a thread stopped its actors but did not end; it is ended', { thread: this.name });
      void life.worker.terminate();
    });
    await life.hasEnded;
    grace.cancel();
    this.#setState('stopped');
  }

  #setState(state: ThreadState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}

/** From one start of the thread to its end. */
interface ThreadLife<Config> {
  readonly worker: Worker;
  readonly control: ThreadControl<Config>;
  readonly linkPort: MessagePort;
  readonly controlPort: MessagePort;
  readonly hasEnded: Promise<void>;
  /** Its end is no failure. */
  hasBeenEnded: boolean;
  isExpectedToEnd: boolean;
  error: unknown;
  notice: StopProcessNotice | undefined;
}
