import { setPriority } from 'node:os';
import type { Readable } from 'node:stream';
import { failedEnding } from './endings.ts';
import { type Ending, USER_WORK_NICE } from './executor.ts';
import type { Launcher, LaunchListener } from './launcher.ts';
import type { ChildCommand } from './shell-config.ts';
import type { OutputThrottle } from './system-output-throttle.ts';
import type { ProcessFacts } from './system-processes.ts';
import { listProcesses, membersOf, signal } from './system-processes.ts';
import { Tail } from './tail.ts';

export interface ChildRunOptions {
  readonly command: ChildCommand;
  readonly outputBytesMax: number;
  readonly launcher: Launcher;
  readonly throttle: OutputThrottle;
  readonly processesMax: number;
  readonly ended: (ending: Ending) => void;
}

/** Between TERM and KILL when the time limit is reached. */
const TIMEOUT_GRACE_MS = 2_000;
/** Output that somebody else holds open is closed so long after the leader has ended. */
const OUTPUT_GRACE_MS = 200;
/** A process that not even KILL ends is left behind after so long, and named. */
const GIVE_UP_MS = 10_000;

interface Stop {
  readonly outcome: 'failed' | 'timed-out' | 'cancelled';
  readonly reason: string;
}

/** One child process with all that it starts: from its launch until nothing of its group is alive. */
export class ChildRun implements LaunchListener {
  readonly launchedAtMs = performance.now();
  readonly #options: ChildRunOptions;
  readonly #tail: Tail;
  #pid: number | null = null;
  #openOutputs = new Set<Readable>();
  #stop: Stop | null = null;
  #graceMs = Number.POSITIVE_INFINITY;
  /** `performance.now()` of the end of the grace. */
  #killAtMs = Number.POSITIVE_INFINITY;
  #isKilled = false;
  #exit: { readonly exitCode: number | null; readonly signal: string | null } | null = null;
  #isOver = false;
  #limitTimer: NodeJS.Timeout | null = null;
  #killTimer: NodeJS.Timeout | null = null;
  #endTimer: NodeJS.Timeout | null = null;

  constructor(options: ChildRunOptions) {
    this.#options = options;
    this.#tail = new Tail(options.outputBytesMax);
  }

  /** Of its leader, once it runs. */
  get pid(): number | null {
    return this.#pid;
  }

  launch(): void {
    this.#options.launcher.launch(this.#options.command, this);
  }

  /** Ends it: TERM to its group, KILL after the grace. The first reason counts, and the grace that ends first. */
  stop(stop: Stop, graceMs: number): void {
    if (this.#isOver || this.#exit !== null) return;
    this.#stop ??= stop;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    if (this.#pid === null) return;
    if (graceMs > 0) signal(-this.#pid, 'SIGTERM');
    const killAtMs = performance.now() + graceMs;
    // Whoever asks again and again must not put it off.
    if (this.#killAtMs <= killAtMs) return;
    this.#killAtMs = killAtMs;
    if (this.#killTimer !== null) clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#kill(), graceMs);
  }

  /** Compares what it has with its limits. */
  check(processes: readonly ProcessFacts[]): void {
    if (this.#pid === null || this.#isOver || this.#exit !== null) return;
    const members = membersOf(this.#pid, processes);
    const { processesMax, command } = this.#options;
    const residentBytes = members.reduce((sum, member) => sum + member.residentBytes, 0);
    if (members.length > processesMax) this.stop({ outcome: 'failed', reason: 'process limit' }, 0);
    if (command.memoryBytesMax !== null && residentBytes > command.memoryBytesMax) {
      this.stop({ outcome: 'failed', reason: 'memory limit' }, 0);
    }
    // What forks faster than it is killed, or sits in a group of its own, is met again and again.
    if (this.#isKilled) for (const member of members) signal(member.pid, 'SIGKILL');
  }

  started(pid: number, outputs: readonly Readable[]): void {
    this.#pid = pid;
    this.#openOutputs = new Set(outputs);
    for (const output of outputs) {
      this.#options.throttle.attach(output, this.#tail, () => {
        this.#openOutputs.delete(output);
        this.#finishIfOver();
      });
    }
    try {
      setPriority(pid, USER_WORK_NICE);
    } catch {
      // It has ended already.
    }
    const { timeoutMs } = this.#options.command;
    if (timeoutMs !== null) {
      const stop: Stop = { outcome: 'timed-out', reason: `time limit of ${timeoutMs} ms` };
      this.#limitTimer = setTimeout(() => this.stop(stop, TIMEOUT_GRACE_MS), Math.min(timeoutMs, TIMER_MS_MAX));
    }
    // It was cancelled before it had started.
    if (this.#stop !== null) this.stop(this.#stop, this.#graceMs);
  }

  failed(text: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clearTimers();
    this.#options.ended(failedEnding('not started', text));
  }

  exited(exitCode: number | null, signalName: string | null): void {
    if (this.#isOver || this.#exit !== null) return;
    this.#exit = { exitCode, signal: signalName };
    this.#clearTimers();
    const hadSurvivors = this.#pid !== null && signal(-this.#pid, 'SIGKILL');
    if (hadSurvivors) this.#killSession();
    if (this.#openOutputs.size > 0) {
      this.#endTimer = setTimeout(() => this.#closeOutputs(), OUTPUT_GRACE_MS);
    }
    this.#finishIfOver();
  }

  #kill(): void {
    if (this.#pid === null) return;
    this.#isKilled = true;
    signal(-this.#pid, 'SIGKILL');
    this.#endTimer = setTimeout(() => {
      this.#tail.write(Buffer.from(`\ncarillon: process ${this.#pid} is alive after SIGKILL and was left behind\n`));
      this.exited(null, 'SIGKILL');
    }, GIVE_UP_MS);
  }

  /** Who holds them open is ended, if it is still in the session; who left it loses its reader. */
  #closeOutputs(): void {
    this.#killSession();
    this.#endTimer = setTimeout(() => {
      for (const output of this.#openOutputs) output.destroy();
    }, OUTPUT_GRACE_MS);
  }

  /** Members in groups of their own, which a signal to the leader's group does not reach. */
  #killSession(): void {
    if (this.#pid === null) return;
    const leader = this.#pid;
    for (const process of listProcesses()) {
      if (process.session === leader && !process.isZombie) signal(process.pid, 'SIGKILL');
    }
  }

  #finishIfOver(): void {
    if (this.#exit === null || this.#openOutputs.size > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#clearTimers();
    const { exitCode, signal: signalName } = this.#exit;
    const hasSucceeded = this.#stop === null && exitCode === 0;
    const output = this.#tail.read();
    this.#options.ended({
      outcome: this.#stop?.outcome ?? (hasSucceeded ? 'succeeded' : 'failed'),
      reason: this.#stop?.reason ?? (hasSucceeded ? '' : describeExit(exitCode, signalName)),
      exitCode,
      signal: signalName,
      result: null,
      output,
      outputBytes: this.#tail.totalBytes,
    });
  }

  #clearTimers(): void {
    for (const timer of [this.#limitTimer, this.#killTimer, this.#endTimer]) if (timer !== null) clearTimeout(timer);
  }
}

/** Node's timers hold 31 bits: about 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

function describeExit(exitCode: number | null, signalName: string | null): string {
  return signalName === null ? `exit status ${exitCode}` : `signal ${signalName}`;
}
