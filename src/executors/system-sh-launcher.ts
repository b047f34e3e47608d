import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants, setPriority, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { USER_WORK_NICE } from './executor.ts';
import type { Launcher, LaunchListener } from './launcher.ts';
import type { ChildCommand } from './shell-config.ts';
import { signal } from './system-processes.ts';

/** Helpers at most; what exceeds them is started by the launcher behind this one. */
const HELPERS_MAX = 32;
const SCRIPT_CHARACTERS_MAX = 65_536;
const KEEP_MS = 1_000;

/**
 * At each line runs the script beside its FIFO that the line names (a shell reads pipes byte by byte, but files by
 * blocks), and tells on descriptor 3 how it ended. The shell itself says on its stderr that a signal ended a child,
 * which tells `exit 137` from KILL. When its host is gone it tidies up.
 *
 * Two scripts take turns: the shell tells that a child has ended before it has looked for the end of the script, so one
 * that is written into the same file meanwhile would be read from its middle on.
 */
const HELPER_SCRIPT =
  'exec 2>&3; unset PWD OLDPWD; mkfifo -m 600 "$1" || exit 1; echo r >&3; ' +
  'while read -r turn; do . "$1.run$turn"; done; exec 2>/dev/null; ' +
  'rm -f "$1" "$1.run0" "$1.run1"; rmdir "$(dirname "$1")"';

/**
 * Starts children through small long-lived shells, which fork in a fraction of the time that `spawn` needs, on a core
 * of their own. Each has a FIFO that its child writes its output to; the end of the FIFO is the end of the output, as
 * with a pipe. A helper whose FIFO is still held open by somebody who escaped is given up.
 *
 * For simple commands on Linux; all others (user, payload, a program or directory that is not there) go to `fallback`.
 */
export class ShLauncher implements Launcher {
  readonly #fallback: Launcher;
  readonly #baseEnvironment: Readonly<Record<string, string>>;
  readonly #directory: string;
  readonly #idle: Helper[] = [];
  readonly #all = new Set<Helper>();
  readonly #programs = new Map<string, { readonly isThere: boolean; readonly atMs: number }>();
  #fifos = 0;
  #runningCount = 0;

  private constructor(fallback: Launcher, baseEnvironment: Readonly<Record<string, string>>) {
    this.#fallback = fallback;
    this.#baseEnvironment = baseEnvironment;
    this.#directory = mkdtempSync(join(tmpdir(), 'carillon-shell-'));
  }

  /** `fallback` itself where the machine lacks what helpers need. */
  static create(fallback: Launcher, environment: Readonly<Record<string, string>>): Launcher {
    const path = environment['PATH'] ?? '';
    const canHelp = process.platform === 'linux' && isOnPath('setsid', path) && isOnPath('mkfifo', path);
    return canHelp ? new ShLauncher(fallback, environment) : fallback;
  }

  launch(command: ChildCommand, listener: LaunchListener): void {
    // Alone, a child is up sooner by the direct way; helpers win where several start at a time.
    const line = this.#runningCount === 0 ? null : this.#lineFor(command);
    const helper = line === null ? null : (this.#idle.pop() ?? this.#newHelper());
    const counted = this.#count(listener);
    if (line === null || helper === null) return this.#fallBack(command, counted);
    helper.run({ line, listener: counted, orElse: () => this.#fallBack(command, counted) });
  }

  close(): void {
    for (const helper of this.#all) helper.close();
    rmSync(this.#directory, { recursive: true, force: true });
    this.#fallback.close();
  }

  /** Never throws, since it may be called from an event of a helper, where an error would end the host. */
  #fallBack(command: ChildCommand, listener: LaunchListener): void {
    try {
      this.#fallback.launch(command, listener);
    } catch (error) {
      // E.g. arguments that are too long, or a NUL in the directory.
      listener.failed(`shell: cannot start ${command.words[0]}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #count(listener: LaunchListener): LaunchListener {
    this.#runningCount += 1;
    let isOver = false;
    const end = (): void => {
      if (!isOver) this.#runningCount -= 1;
      isOver = true;
    };
    return {
      started: (pid, outputs) => listener.started(pid, outputs),
      failed: (text) => {
        end();
        listener.failed(text);
      },
      exited: (exitCode, signalName) => {
        end();
        listener.exited(exitCode, signalName);
      },
    };
  }

  #newHelper(): Helper | null {
    if (this.#all.size >= HELPERS_MAX) return null;
    this.#fifos += 1;
    // Whoever tidies up temporary files may have taken it.
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const helper = new Helper(join(this.#directory, `output-${this.#fifos}`), this.#baseEnvironment, {
      idle: () => this.#idle.push(helper),
      gone: () => {
        this.#all.delete(helper);
        const at = this.#idle.indexOf(helper);
        if (at >= 0) this.#idle.splice(at, 1);
      },
    });
    this.#all.add(helper);
    return helper;
  }

  /** What the helper evaluates in a subshell, or null if this command is not for it. */
  #lineFor(command: ChildCommand): string | null {
    const { words, environment, directory, user, payload } = command;
    if (user !== '' || payload !== null) return null;
    const path = environment['PATH'] ?? '';
    if (!this.#isThere(words[0], path) || !isDirectory(directory)) return null;
    const parts: string[] = [];
    for (const name of Object.keys(this.#baseEnvironment)) if (!(name in environment)) parts.push(`unset ${name};`);
    for (const [name, value] of Object.entries(environment)) {
      if (this.#baseEnvironment[name] !== value) parts.push(`export ${name}=${quote(value)};`);
    }
    if (directory !== '') parts.push(`cd ${quote(directory)}||exit 126;`);
    parts.push(`exec setsid ${words.map(quote).join(' ')}`);
    const line = parts.join('');
    return line.length > SCRIPT_CHARACTERS_MAX ? null : line;
  }

  #isThere(program: string, path: string): boolean {
    const key = `${program}\0${path}`;
    const nowMs = performance.now();
    const known = this.#programs.get(key);
    if (known !== undefined && nowMs - known.atMs < KEEP_MS) return known.isThere;
    const isThere = program.includes('/') ? isExecutable(program) : isOnPath(program, path);
    if (this.#programs.size > 1_000) this.#programs.clear();
    this.#programs.set(key, { isThere, atMs: nowMs });
    return isThere;
  }
}

/** What a helper is to start; `orElse` where it finds that it cannot, before anything has started. */
interface Order {
  readonly line: string;
  readonly listener: LaunchListener;
  readonly orElse: () => void;
}

interface Current {
  readonly listener: LaunchListener;
  readonly readEnd: number;
  pid: number;
  socket: Socket | null;
  hasExited: boolean;
  /** The shell said something: its child was ended by a signal. */
  wasSignalled: boolean;
}

/** One shell, with one child at a time. */
class Helper {
  readonly #fifo: string;
  readonly #process: ChildProcess;
  readonly #callbacks: { readonly idle: () => void; readonly gone: () => void };
  #isReady = false;
  #isGivenUp = false;
  /** Which script is next. */
  #turn: 0 | 1 = 0;
  #current: Current | null = null;
  #waiting: Order | null = null;
  #rest = '';

  constructor(
    fifo: string,
    environment: Readonly<Record<string, string>>,
    callbacks: { readonly idle: () => void; readonly gone: () => void },
  ) {
    this.#fifo = fifo;
    this.#callbacks = callbacks;
    this.#process = spawn('/bin/sh', ['-c', HELPER_SCRIPT, 'carillon-shell', fifo], {
      env: environment,
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
    });
    this.#process.on('error', () => this.#onGone());
    this.#process.on('exit', () => this.#onGone());
    // Writing to one that has just died fails; its exit tells the same.
    this.#process.stdin?.on('error', () => {});
    const reports = this.#process.stdio[3] as Socket | null | undefined;
    reports?.setEncoding('utf8');
    reports?.on('error', () => {});
    reports?.on('data', (text: string) => this.#onReports(text));
    try {
      if (this.#process.pid !== undefined) setPriority(this.#process.pid, USER_WORK_NICE);
    } catch {
      // It is gone, and `exit` follows.
    }
  }

  run(order: Order): void {
    if (!this.#isReady) {
      this.#waiting = order;
      return;
    }
    try {
      this.#order(order);
    } catch {
      // Its files were taken away; nothing has started yet.
      this.#current = null;
      this.#giveUp();
      order.orElse();
    }
  }

  #order({ line, listener }: Order): void {
    const readEnd = openSync(this.#fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    // In the foreground: a shell starts background children with SIGINT ignored. So it has to find its own pid.
    const script = `(set -- /proc/self/task/*;echo "p \${1##*/}">&3;exec 3>&-;${line}) </dev/null >${quote(this.#fifo)} 2>&1;echo "s $?">&3\n`;
    try {
      writeFileSync(`${this.#fifo}.run${this.#turn}`, script, { mode: 0o600 });
    } catch (error) {
      closeSync(readEnd);
      throw error;
    }
    this.#current = { listener, readEnd, pid: 0, socket: null, hasExited: false, wasSignalled: false };
    this.#process.stdin?.write(`${this.#turn}\n`);
    this.#turn = this.#turn === 0 ? 1 : 0;
  }

  close(): void {
    this.#process.stdin?.end();
  }

  #onReports(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onReport(line);
  }

  #onReport(line: string): void {
    if (line === 'r') {
      this.#isReady = true;
      const waiting = this.#waiting;
      this.#waiting = null;
      if (waiting !== null) this.run(waiting);
      return;
    }
    const current = this.#current;
    if (current === null) return;
    if (/^p [0-9]+$/.test(line)) return this.#onStarted(current, Number(line.slice(2)));
    if (/^s [0-9]+$/.test(line)) return this.#onExited(current, Number(line.slice(2)));
    current.wasSignalled = true;
  }

  #onStarted(current: Current, pid: number): void {
    current.pid = pid;
    // Only now has the FIFO a writer: before, reading it would find its end.
    const socket = new Socket({ fd: current.readEnd, readable: true, writable: false });
    current.socket = socket;
    socket.on('close', () => {
      // Cut off rather than ended: somebody still holds the FIFO, and could write into the next child's output.
      if (!socket.readableEnded) this.#giveUp();
      this.#becomeIdle(current);
    });
    current.listener.started(pid, [socket]);
  }

  #onExited(current: Current, status: number): void {
    current.hasExited = true;
    if (current.socket === null) {
      closeSync(current.readEnd);
      this.#current = null;
      current.listener.failed('shell: the shell could not start a process');
      return this.#callbacks.idle();
    }
    const signalName = nameOfSignal(status - 128);
    // Of INT and PIPE the shell says nothing: those show as 130 and 141, as they do in a terminal.
    const isSignal = signalName !== null && current.wasSignalled;
    current.listener.exited(isSignal ? null : status, isSignal ? signalName : null);
    this.#becomeIdle(current);
  }

  #becomeIdle(current: Current): void {
    if (this.#current !== current || !current.hasExited || current.socket?.destroyed !== true) return;
    this.#current = null;
    if (!this.#isGivenUp) this.#callbacks.idle();
  }

  #giveUp(): void {
    this.#isGivenUp = true;
    this.#callbacks.gone();
    this.#removeFiles();
    this.#process.stdin?.end();
  }

  #removeFiles(): void {
    for (const end of ['', '.run0', '.run1']) rmSync(`${this.#fifo}${end}`, { force: true });
  }

  #onGone(): void {
    this.#callbacks.gone();
    this.#removeFiles();
    const waiting = this.#waiting;
    const current = this.#current;
    this.#waiting = null;
    if (waiting !== null) return waiting.orElse();
    if (current === null || current.hasExited) return;
    const { listener } = current;
    if (current.socket === null) {
      closeSync(current.readEnd);
      return listener.failed('shell: the shell that starts processes has died');
    }
    // Its child has lost who waits for it, so it cannot be told from one that was killed: it is.
    signal(-current.pid, 'SIGKILL');
    current.hasExited = true;
    listener.exited(null, 'SIGKILL');
  }
}

function nameOfSignal(number: number): string | null {
  const found = Object.entries(osConstants.signals).find(([, value]) => value === number);
  return found?.[0] ?? null;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function isOnPath(program: string, path: string): boolean {
  return path.split(delimiter).some((directory) => directory !== '' && isExecutable(join(directory, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function isDirectory(directory: string): boolean {
  return directory === '' || statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
}
