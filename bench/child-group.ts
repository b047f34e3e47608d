/** Processes of one measurement with the directory they write to; all of it is gone at its end, however it ends. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastWordsOf } from './harness.ts';

const STOP_MS_MAX = 15_000;

export interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<void>;
  /** The last that it said on stderr. */
  words(): string;
}

export class ChildGroup {
  readonly directory: string;
  readonly #children = new Map<string, Child>();

  private constructor(directory: string) {
    this.directory = directory;
    process.once('exit', this.#endAtOnce);
  }

  static async open(): Promise<ChildGroup> {
    return new ChildGroup(await mkdtemp(join(tmpdir(), 'carillon-bench-')));
  }

  /** A child of the same name must have ended. */
  start(name: string, command: readonly string[], options: SpawnOptions = {}): Child {
    const [program = '', ...args] = command;
    const child = spawn(program, args, {
      env: { PATH: '/usr/bin:/bin', HOME: process.env['HOME'] ?? '' },
      stdio: ['ignore', 'ignore', 'pipe'],
      ...options,
    });
    const ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    const started = { name, process: child, pid: child.pid ?? 0, ended, words: lastWordsOf(child) };
    this.#children.set(name, started);
    return started;
  }

  get(name: string): Child {
    const child = this.#children.get(name);
    if (child === undefined) throw new Error(`${name} was not started`);
    return child;
  }

  /** What they say, should one have ended that should not have. */
  words(): string {
    return [...this.#children.values()].map(({ name, words }) => `${name}: ${words().slice(-400)}`).join('\n');
  }

  get endedEarly(): string | undefined {
    return [...this.#children.values()].find(
      ({ process: { exitCode, signalCode } }) => (exitCode ?? signalCode) !== null,
    )?.name;
  }

  /** The youngest first: what others need was started first. */
  async close(ask: (child: Child) => void = ({ process: child }) => void child.kill('SIGTERM')): Promise<void> {
    for (const child of [...this.#children.values()].reverse()) {
      // One that was halted hears nothing else.
      child.process.kill('SIGCONT');
      ask(child);
      const timer = setTimeout(() => child.process.kill('SIGKILL'), STOP_MS_MAX);
      await child.ended;
      clearTimeout(timer);
    }
    process.off('exit', this.#endAtOnce);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The bench was interrupted, or failed where nobody could close this. */
  readonly #endAtOnce = (): void => {
    for (const { process: child } of this.#children.values()) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  };
}
