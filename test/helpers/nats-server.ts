import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileOfDebianPackage, findOnPath, isExecutable } from './debian-package.ts';

export interface NatsServer {
  /** With its token. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly pid: number;
  /** It holds the test's process no longer, for the case that a test fails before it stops it. */
  letGo(): void;
  /** Ends it; with `SIGKILL` like a crash. Resolves once it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Takes other lines of configuration, without an end of its connections. */
  reload(config: string): Promise<void>;
}

export interface NatsServerOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Default: a free one. Given to start a server anew where clients expect it. */
  readonly port?: number;
  readonly token?: string;
  /** More lines of its configuration file. */
  readonly config?: string;
  /** Default: what `findNatsServer` finds. */
  readonly binary?: string;
}

/** Starts a real nats-server on loopback with a token. It ends with this process at the latest. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { host = '127.0.0.1', port = -1, token = randomBytes(16).toString('hex'), config = '' } = options;
  const binary = options.binary ?? (await findNatsServer());
  const directory = await mkdtemp(join(tmpdir(), 'carillon-nats-'));
  const file = join(directory, 'nats.conf');
  const write = (lines: string) =>
    writeFile(file, `host: ${host}\nport: ${port}\nauthorization { token: "${token}" }\n${lines}\n`);
  await write(config);
  const child = spawn(binary, ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const killWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killWithUs);
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  }).then(() => {
    process.off('exit', killWithUs);
    return rm(directory, { recursive: true, force: true });
  });
  const logLines = createInterface({ input: child.stderr });
  const boundPort = await new Promise<number>((resolve, reject) => {
    const lines: string[] = [];
    let found = 0;
    child.once('error', reject);
    child.once('close', () => reject(new Error(`nats-server ended before it was ready:\n${lines.join('\n')}`)));
    logLines.on('line', (line) => {
      if (lines.length < LOG_LINES_MAX) lines.push(line);
      const match = /Listening for client connections on \S+:(\d+)/.exec(line);
      if (match !== null) found = Number(match[1]);
      if (line.includes('Server is ready')) resolve(found);
    });
  });
  return {
    url: `nats://${token}@${host}:${boundPort}`,
    port: boundPort,
    token,
    pid: child.pid ?? 0,
    letGo: () => holdTests(child, false),
    stop: (signal = 'SIGTERM') => {
      holdTests(child, true);
      child.kill(signal);
      return gone;
    },
    async reload(lines) {
      await write(lines);
      const reloaded = new Promise<void>((resolve, reject) => {
        const look = (line: string): void => {
          if (!/Reloaded server configuration|Failed to reload/.test(line)) return;
          logLines.off('line', look);
          if (line.includes('Failed')) reject(new Error(line));
          else resolve();
        };
        logLines.on('line', look);
      });
      child.kill('SIGHUP');
      await reloaded;
    },
  };
}

/**
 * Where a nats-server is: the variable NATS_SERVER, the PATH, or Debian's package, which is unpacked once under
 * `node_modules/.cache` and needs no root. Where there is none, tests that need one fail; nothing is skipped silently.
 */
export async function findNatsServer(): Promise<string> {
  const named = process.env['NATS_SERVER'];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return named;
    throw new Error(`NATS_SERVER names ${named}, which cannot be executed`);
  }
  const onPath = await findOnPath('nats-server');
  if (onPath !== undefined) return onPath;
  try {
    return await fileOfDebianPackage('nats-server', 'usr/sbin/nats-server');
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1);
    throw new Error(
      `this test needs a nats-server: put one on the PATH (Debian's package was not to be had: ${reason})`,
    );
  }
}

const LOG_LINES_MAX = 200;

function holdTests(child: ChildProcess, isHolding: boolean): void {
  for (const part of [child, child.stderr as Socket | null]) {
    if (isHolding) part?.ref();
    else part?.unref();
  }
}
