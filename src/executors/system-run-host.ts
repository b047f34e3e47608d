/**
 * A child process in which user work runs, seen from the node: started on first use, restarted (with backoff) when it
 * dies. Every piece of work that is given ends exactly once, whatever becomes of the process. An adapter.
 *
 *   work ─► list per turn ─IPC─► host process ─IPC─► ended
 *                                    └ exits: all that it had ends as failed, `run host died`
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Log } from '../base/telemetry.ts';
import { failedEnding } from './endings.ts';
import type { Ending } from './executor.ts';
import type { FromHost, HostWork, ToHost } from './host-protocol.ts';
import { executionOf } from './host-protocol.ts';
import { signal } from './system-processes.ts';

export interface RunHostOptions {
  /** For messages: `shell host`. */
  readonly name: string;
  readonly entry: URL;
  readonly args: readonly string[];
  readonly execArgv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Above it the process is killed, with all that it runs; null where memory is the children's. */
  readonly residentBytesMax: number | null;
  readonly log: Log;
}

/** Work that may wait while a host that keeps dying is held back. */
const WAITING_MAX = 10_000;
const BACKOFF_MS = 250;
const BACKOFF_MS_MAX = 30_000;
/** A host that lived so long has recovered. */
const HEALTHY_MS = 60_000;
const WATCH_MS = 250;
const CLOSE_GRACE_MS = 10_000;

export class RunHost {
  readonly #options: RunHostOptions;
  readonly #running = new Map<string, (ending: Ending) => void>();
  /** Leaders of process groups, by execution. */
  readonly #groups = new Map<string, number>();
  #process: ChildProcess | null = null;
  #startedAtMs = 0;
  #deathsInARow = 0;
  #heldUntilMs = 0;
  #holdTimer: NodeJS.Timeout | null = null;
  #watchTimer: NodeJS.Timeout | null = null;
  #outgoing: ToHost[] = [];
  #isSendAsked = false;
  #deathReason = 'run host died';
  #isClosed = false;

  constructor(options: RunHostOptions) {
    this.#options = options;
  }

  /** Of the process that runs now, for tests and operators. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(work: HostWork, ended: (ending: Ending) => void): void {
    if (this.#isClosed) return later(() => ended(failedEnding('run host closed')));
    if (this.#running.size >= WAITING_MAX) return later(() => ended(failedEnding('run host overloaded')));
    this.#running.set(executionOf(work), ended);
    this.#send({ type: 'work', work });
  }

  cancel(execution: string, graceMs: number): void {
    if (this.#running.has(execution)) this.#send({ type: 'cancel', execution, graceMs });
  }

  /** Closing the channel tells the host to end what it runs and exit. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    const child = this.#process;
    if (child === null) return this.#endAll('run host closed');
    this.#deathReason = 'run host closed';
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_GRACE_MS);
    if (child.connected) child.disconnect();
    await exited;
    clearTimeout(timer);
  }

  #send(message: ToHost): void {
    this.#outgoing.push(message);
    if (this.#isSendAsked) return;
    this.#isSendAsked = true;
    queueMicrotask(() => {
      this.#isSendAsked = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#outgoing.length === 0 || this.#isClosed) return;
    const child = this.#process ?? this.#startProcess();
    if (child === null) return;
    const list = this.#outgoing;
    this.#outgoing = [];
    // A failed send means that the process is about to exit, which ends all that it had.
    child.send(list, () => {});
  }

  #startProcess(): ChildProcess | null {
    const waitMs = this.#heldUntilMs - performance.now();
    if (waitMs > 0) {
      this.#holdTimer ??= setTimeout(() => {
        this.#holdTimer = null;
        this.#flush();
      }, waitMs);
      return null;
    }
    const { entry, args, execArgv, environment } = this.#options;
    const child = fork(entry, [...args], {
      execArgv: [...execArgv],
      env: environment,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#process = child;
    this.#startedAtMs = performance.now();
    this.#deathReason = 'run host died';
    child.on('message', (list) => this.#onMessages(list as readonly FromHost[]));
    child.on('error', (error) => this.#onGone(child, String(error)));
    child.on('exit', (code, signal) => this.#onGone(child, signal ?? `exit status ${code}`));
    if (this.#options.residentBytesMax !== null) this.#watch(child, this.#options.residentBytesMax);
    return child;
  }

  #onMessages(list: readonly FromHost[]): void {
    for (const message of list) {
      const { execution } = message;
      const ended = this.#running.get(execution);
      if (ended === undefined) continue;
      if (message.type === 'leads-group') {
        this.#groups.set(execution, message.pid);
        continue;
      }
      this.#running.delete(execution);
      this.#groups.delete(execution);
      ended(message.ending);
    }
  }

  #onGone(child: ChildProcess, how: string): void {
    if (this.#process !== child) return;
    this.#process = null;
    this.#outgoing = [];
    if (this.#watchTimer !== null) clearTimeout(this.#watchTimer);
    if (!this.#isClosed) {
      const lifeMs = performance.now() - this.#startedAtMs;
      this.#deathsInARow = lifeMs > HEALTHY_MS ? 1 : this.#deathsInARow + 1;
      const backoffMs = Math.min(BACKOFF_MS * 2 ** (this.#deathsInARow - 1), BACKOFF_MS_MAX);
      // The first death is taken for bad luck.
      this.#heldUntilMs = this.#deathsInARow === 1 ? 0 : performance.now() + backoffMs;
      this.#options.log.warn(`${this.#options.name} is gone: ${this.#deathReason}`, {
        how,
        running: this.#running.size,
        deathsInARow: this.#deathsInARow,
      });
    }
    this.#endAll(this.#deathReason);
  }

  #endAll(reason: string): void {
    // Nobody watches over them any more.
    for (const pid of this.#groups.values()) signal(-pid, 'SIGKILL');
    this.#groups.clear();
    const all = [...this.#running.values()];
    this.#running.clear();
    for (const ended of all) ended(failedEnding(reason));
  }

  /** The last line of defence: hosts look after their memory themselves, and sooner. */
  #watch(child: ChildProcess, residentBytesMax: number): void {
    this.#watchTimer = setTimeout(async () => {
      const residentBytes = await readResidentBytes(child.pid ?? 0);
      if (this.#process !== child) return;
      if (residentBytes > residentBytesMax) {
        this.#deathReason = 'run host replaced';
        child.kill('SIGKILL');
      }
      this.#watch(child, residentBytesMax);
    }, WATCH_MS);
    this.#watchTimer.unref();
  }
}

/** 0 where it cannot be told (no /proc, or the process is gone). */
async function readResidentBytes(pid: number): Promise<number> {
  try {
    const fields = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
    return Number(fields[1]) * 4096;
  } catch {
    return 0;
  }
}

function later(run: () => void): void {
  setImmediate(run);
}
