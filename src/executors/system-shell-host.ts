import { failedEnding } from './endings.ts';
import type { FromHost, ToHost } from './host-protocol.ts';
import type { Launcher } from './launcher.ts';
import { ChildRun } from './system-child-run.ts';
import { OutputThrottle } from './system-output-throttle.ts';
import { listProcesses } from './system-processes.ts';

export interface ShellHostOptions {
  readonly launcher: Launcher;
  /** Processes that one execution may have at a time. */
  readonly processesMax: number;
  readonly send: (message: FromHost) => void;
}

/** Processes are counted so often, or less where counting takes long. */
const CHECK_MS = 100;
const CHECK_SHARE = 10;
const OUTPUT_BYTES_PER_SECOND = 50_000_000;

/** Runs shell children in a process where no beat or tick waits for them. */
export class ShellHost {
  readonly #options: ShellHostOptions;
  readonly #throttle = new OutputThrottle(OUTPUT_BYTES_PER_SECOND);
  readonly #runs = new Map<string, ChildRun>();
  /** Runs whose group the node knows. */
  readonly #told = new WeakSet<ChildRun>();
  #checkTimer: NodeJS.Timeout | null = null;

  constructor(options: ShellHostOptions) {
    this.#options = options;
  }

  receive(message: ToHost): void {
    if (message.type === 'cancel') {
      this.#runs.get(message.execution)?.stop({ outcome: 'cancelled', reason: '' }, message.graceMs);
      return;
    }
    const { work } = message;
    if (work.type !== 'child') throw new Error(`the shell host cannot run a ${work.type}`);
    const { execution, outputBytesMax, command } = work;
    const run = new ChildRun({
      command,
      outputBytesMax,
      launcher: this.#options.launcher,
      throttle: this.#throttle,
      processesMax: this.#options.processesMax,
      ended: (ending) => {
        this.#runs.delete(execution);
        this.#options.send({ type: 'ended', execution, ending });
      },
    });
    this.#runs.set(execution, run);
    try {
      run.launch();
    } catch (error) {
      // E.g. arguments that are too long: `spawn` throws those.
      this.#runs.delete(execution);
      this.#options.send({ type: 'ended', execution, ending: failedEnding('not started', `shell: ${String(error)}`) });
    }
    this.#checkTimer ??= setTimeout(() => this.#check(), CHECK_MS);
  }

  /** The node is gone or closes: nothing may go on without it. */
  stopAll(): void {
    for (const run of this.#runs.values()) run.stop({ outcome: 'cancelled', reason: 'run host closed' }, 0);
  }

  close(): void {
    this.#options.launcher.close();
  }

  get runCount(): number {
    return this.#runs.size;
  }

  #check(): void {
    this.#checkTimer = null;
    if (this.#runs.size === 0) return;
    const startedMs = performance.now();
    // Most are over before anybody could look at them.
    const old = [...this.#runs].filter(([, run]) => startedMs - run.launchedAtMs >= CHECK_MS);
    const processes = old.length > 0 ? listProcesses() : [];
    for (const [execution, run] of old) {
      run.check(processes);
      if (run.pid !== null && !this.#told.has(run)) {
        this.#told.add(run);
        this.#options.send({ type: 'leads-group', execution, pid: run.pid });
      }
    }
    const tookMs = performance.now() - startedMs;
    this.#checkTimer = setTimeout(() => this.#check(), Math.max(CHECK_MS, CHECK_SHARE * tookMs));
  }
}
