/** One server or agent: the same name and directory through all its lives, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { MAIN } from './paths.ts';
import { STORAGE_ENDS } from './promises.ts';

export interface NodeSpec {
  readonly name: string;
  readonly kind: 'server' | 'agent';
  /** 1, 2, … among its kind. */
  readonly number: number;
  readonly directory: string;
  readonly logFile: string;
  /** Words before the command. */
  readonly prefix: readonly string[];
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Of its HTTP; '' for none. */
  readonly url: string;
  /** An end that nobody asked for. */
  readonly onEnded: (node: NodeProcess, end: NodeEnd) => void;
}

export interface NodeEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class NodeProcess {
  readonly spec: NodeSpec;
  /** The fault that has it now: one at a time. */
  fault: string | null = null;
  /** Its storage is being hurt: it may, or must, end as `STORAGE_ENDS` says. */
  mayFailStorage = false;
  #lives = 0;
  #child: ChildProcess | null = null;
  #ended: Promise<NodeEnd> = Promise.resolve({ code: null, signal: null });
  #isKilled = false;

  constructor(spec: NodeSpec) {
    this.spec = spec;
  }

  get name(): string {
    return this.spec.name;
  }

  /** `s1#3` in its third life: what a client's session is bound to. */
  get life(): string {
    return `${this.name}#${this.#lives}`;
  }

  get isUp(): boolean {
    return this.#child !== null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get ended(): Promise<NodeEnd> {
    return this.#ended;
  }

  start(): void {
    if (this.#child !== null) throw new Error(`${this.name} is up`);
    const { kind, directory, logFile, prefix, args, environment } = this.spec;
    this.#lives += 1;
    this.#isKilled = false;
    const log = openSync(logFile, 'a');
    writeSync(log, `--- ${this.life} starts at ${new Date().toISOString()}\n`);
    const words = [...prefix, process.execPath, MAIN, kind, '--node-name', this.name, '--data-dir', directory, ...args];
    const child = spawn(words[0] ?? '', words.slice(1), {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: process.env['HOME'] ?? '', ...environment },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    const killWithUs = (): void => {
      child.kill('SIGKILL');
    };
    process.once('exit', killWithUs);
    this.#ended = new Promise((resolve) => {
      const end = (how: NodeEnd): void => {
        process.off('exit', killWithUs);
        this.#child = null;
        resolve(how);
        const isExpected = this.#isKilled || (this.mayFailStorage && STORAGE_ENDS.has(how.code ?? how.signal));
        if (!isExpected) this.spec.onEnded(this, how);
      };
      child.once('error', () => end({ code: null, signal: null }));
      child.once('exit', (code, signal) => end({ code, signal }));
    });
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Like a power cut for the process. Resolves once it is gone. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }
}
