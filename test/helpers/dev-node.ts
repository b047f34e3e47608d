/**
 * A `carillon dev` as a process of its own, from the compiled tree that this file lies in, and the ways to it: HTTP, the
 * command line, signals. What a test has not stopped, because it failed before, is killed at its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface DevNodeOptions {
  /** Default: a new one, removed after the tests of the file. */
  readonly directory?: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: `MAIN_COMMAND`. */
  readonly command?: readonly [string, ...string[]];
  readonly workingDirectory?: string;
}

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The JSON body as an object; throws where it is none. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The JSON body as a list of objects; throws where it is none. */
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface DevNode {
  readonly url: string;
  readonly directory: string;
  readonly pid: number;
  /** From the start of the process to its word that it is up. */
  readonly startMs: number;
  /** A text body goes out as it is, anything else as JSON. Rejects where no answer comes. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  cli(...args: readonly string[]): Promise<Ended>;
  /** All that it has logged so far. */
  log(): string;
  /** Sends the signal and waits for the end of the process. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
/** Runs the executable of this tree. */
export const MAIN_COMMAND: readonly [string, ...string[]] = [process.execPath, MAIN];

const START_MS_MAX = 30_000;
const POLL_MS = 20;

/** Starts a node on a free port and waits until it says that it is up. */
export async function startDevNode(options: DevNodeOptions = {}): Promise<DevNode> {
  const { args = [] } = options;
  return startNode('dev', { ...options, args: ['--http-addr', '127.0.0.1:0', ...args] });
}

/** The same for the other commands that run a node; `url` is '' where it has no HTTP. */
export async function startNode(command: 'dev' | 'server' | 'agent', options: DevNodeOptions): Promise<DevNode> {
  return (await beginNode(command, options)).up;
}

/** Starts it and does not wait. */
export async function beginNode(
  command: 'dev' | 'server' | 'agent',
  options: DevNodeOptions,
): Promise<{ readonly up: Promise<DevNode>; readonly ended: Promise<Ended>; log(): string; kill(): void }> {
  const { args = [], workingDirectory } = options;
  const directory = options.directory ?? (await temporaryDirectory());
  const [program, ...before] = options.command ?? MAIN_COMMAND;
  const words = [...before, command, '--data-dir', directory, ...args];
  const running = run(program, words, options.environment, workingDirectory);
  const up = whenUp(running, directory);
  // Whoever waits for the end alone does not look at it.
  up.catch(() => {});
  return {
    up,
    ended: running.ended,
    log: () => running.texts.error,
    kill: () => {
      running.child.kill('SIGKILL');
    },
  };
}

async function whenUp(running: Running, directory: string): Promise<DevNode> {
  const beganMs = performance.now();
  const url = await urlOf(running);
  holdTests(running.child, false);
  const startMs = Math.round(performance.now() - beganMs);
  const agent = new Agent({ keepAlive: true });
  return {
    url,
    directory,
    pid: running.child.pid ?? 0,
    startMs,
    call: (method, path, callOptions = {}) => call(agent, url, method, path, callOptions),
    cli: (...words) => carillon(words, { CARILLON_URL: url }),
    log: () => running.texts.error,
    stop(signal = 'SIGTERM') {
      agent.destroy();
      holdTests(running.child, true);
      running.child.kill(signal);
      return running.ended;
    },
    ended: running.ended,
  };
}

/** Runs the executable to its end. */
export function carillon(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input?: string,
): Promise<Ended> {
  const running = run(process.execPath, [MAIN, ...args], environment, undefined, input);
  return running.ended;
}

/** Asks a process that is not ours to stop and tell until it says what we wait for. Undefined: not yet. */
export async function until<Found>(
  what: string,
  probe: () => Promise<Found | undefined>,
  timeoutMs = 20_000,
): Promise<Found> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs / 1_000} s: ${what}`);
    await pause(POLL_MS);
  }
}

/** Removed after the tests of the file. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-test-'));
  directories.push(directory);
  return directory;
}

const directories: string[] = [];
const killers = new Set<() => void>();
// A cluster is many processes, each of which is killed with this one.
process.setMaxListeners(100);
after(async () => {
  for (const kill of killers) kill();
  for (const directory of directories) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

/** The most memory that a process has had so far, bytes. */
export async function peakResidentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return 1_024 * Number(/^VmHWM:\s+([0-9]+) kB$/m.exec(status)?.[1]);
}

/** The value of one series of `/metrics`, labels as they are written there. */
export async function metricOf(node: DevNode, series: string): Promise<number> {
  const { text } = await node.call('GET', '/metrics');
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  if (line === undefined) throw new Error(`/metrics has no ${series}`);
  return Number(line.slice(series.length + 1));
}

interface Running {
  readonly child: ChildProcess;
  readonly texts: { out: string; error: string };
  readonly ended: Promise<Ended>;
}

/** Without a nats-server on the PATH, so that a node starts none; tests that want one give its URL. */
function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  workingDirectory?: string,
  input = '',
): Running {
  const child = spawn(program, args, {
    env: { PATH: '/usr/bin:/bin', HOME: process.env['HOME'] ?? '', ...environment },
    stdio: 'pipe',
    ...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
  });
  const texts = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.error += text;
  });
  child.stdin.on('error', () => {
    // It ended without reading its input.
  });
  child.stdin.end(input);
  const killWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killWithUs);
  killers.add(killWithUs);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    // Not `close`: a child of a killed node may hold its pipes a little longer.
    child.once('exit', (code, signal) => {
      process.off('exit', killWithUs);
      killers.delete(killWithUs);
      setImmediate(() => resolve({ code, signal, ...texts }));
    });
  });
  return { child, texts, ended };
}

/** A node that a failed test has left behind must not keep the test's process from ending. */
function holdTests(child: ChildProcess, isHolding: boolean): void {
  for (const part of [child, child.stdout as Socket, child.stderr as Socket]) {
    if (isHolding) part.ref();
    else part.unref();
  }
}

function urlOf({ child, texts, ended }: Running): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (how: string) => reject(new Error(`the node ${how}:\n${texts.out}${texts.error}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`was not up after ${START_MS_MAX / 1_000} s`);
    }, START_MS_MAX);
    const look = () => {
      if (!texts.out.includes('Ctrl-C stops it')) return;
      const url = /HTTP\s+(http:\S+)/.exec(texts.out)?.[1] ?? '';
      clearTimeout(timer);
      child.stdout?.off('data', look);
      resolve(url);
    };
    child.stdout?.on('data', look);
    ended.then(({ code, signal }) => {
      clearTimeout(timer);
      fail(`ended at its start with ${signal ?? code}`);
    }, reject);
  });
}

function call(agent: Agent, base: string, method: string, path: string, options: CallOptions): Promise<Reply> {
  const { body, headers = {}, timeoutMs = 30_000 } = options;
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, base),
      {
        method,
        agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...(method === 'GET' ? {} : { 'Idempotency-Key': randomUUID() }),
          ...(text === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(replyOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

function replyOf(status: number, headers: Reply['headers'], bytes: Buffer): Reply {
  const text = bytes.toString('utf8');
  return {
    status,
    headers,
    text,
    get body() {
      const value: unknown = JSON.parse(text);
      if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error(`no object: ${text}`);
      return value as Reply['body'];
    },
    get items() {
      const value: unknown = JSON.parse(text);
      if (!Array.isArray(value)) throw new Error(`no list: ${text}`);
      return value as Reply['items'];
    },
  };
}
