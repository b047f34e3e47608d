/** Makes what a running process asks of its disk fail or take longer, by strace's injection, until it is detached. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface SyscallFaultOptions {
  readonly strace: string;
  readonly pid: number;
  /** As strace takes it: `error=EIO`, `delay_enter=20000`. */
  readonly injection: string;
  readonly directory: string;
}

export class SyscallFault {
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #ended: Promise<void>;
  #said = '';

  constructor({ strace, pid, injection, directory }: SyscallFaultOptions) {
    this.#file = join(directory, `syscalls-${randomUUID()}.txt`);
    const words = ['-f', '-qq', '-p', String(pid), '-o', this.#file];
    words.push('-e', `trace=${SYNCS}`, '-e', `inject=${SYNCS}:${injection}`);
    this.#child = spawn(strace, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#said += error.message;
        resolve();
      });
      this.#child.once('close', () => resolve());
    });
  }

  /** How often it struck, and what strace had to say where it did not work. */
  async detach(): Promise<{ readonly injected: number; readonly said: string }> {
    this.#child.kill('SIGTERM');
    await this.#ended;
    const text = await readFile(this.#file, 'utf8').catch(() => '');
    await rm(this.#file, { force: true });
    const injected = text.match(/INJECTED|DELAYED/g)?.length ?? 0;
    const said = injected === 0 && this.#said !== '' ? ` (strace: ${this.#said.trim().slice(0, 200)})` : '';
    return { injected, said };
  }
}

/** LevelDB and the file system's own; the log of raft writes with O_DSYNC. */
const SYNCS = 'fsync,fdatasync,pwrite64';
