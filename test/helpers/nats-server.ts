import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface NatsServer {
  /** With its token. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly pid: number;
  /** Ends it; with `SIGKILL` like a crash. Resolves once it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Takes other lines of configuration, without an end of its connections. */
  reload(config: string): Promise<void>;
}

export interface NatsServerOptions {
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
  const { port = -1, token = randomBytes(16).toString('hex'), config = '' } = options;
  const binary = options.binary ?? (await findNatsServer());
  const directory = await mkdtemp(join(tmpdir(), 'carillon-nats-'));
  const file = join(directory, 'nats.conf');
  const write = (lines: string) =>
    writeFile(file, `host: 127.0.0.1\nport: ${port}\nauthorization { token: "${token}" }\n${lines}\n`);
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
  holdTests(child, false);
  return {
    url: `nats://${token}@127.0.0.1:${boundPort}`,
    port: boundPort,
    token,
    pid: child.pid ?? 0,
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
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(directory, 'nats-server');
    if (directory !== '' && (await isExecutable(candidate))) return candidate;
  }
  const cache = join(await projectRoot(), 'node_modules', '.cache', 'nats-server');
  const cached = join(cache, 'usr', 'sbin', 'nats-server');
  if (await isExecutable(cached)) return cached;
  try {
    await unpackDebianPackage(cache);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1);
    throw new Error(
      `this test needs a nats-server: put one on the PATH (Debian's package was not to be had: ${reason})`,
    );
  }
  if (await isExecutable(cached)) return cached;
  throw new Error(`this test needs a nats-server: put one on the PATH (Debian's package has none at ${cached})`);
}

const LOG_LINES_MAX = 200;

/** One that a failed test has left behind must not keep the test's process from ending. */
function holdTests(child: ChildProcess, isHolding: boolean): void {
  for (const part of [child, child.stderr as Socket | null]) {
    if (isHolding) part?.ref();
    else part?.unref();
  }
}

const run = promisify(execFile);

/** Into a folder of its own, then renamed: several test files may do this at the same time. */
async function unpackDebianPackage(cache: string): Promise<void> {
  await mkdir(dirname(cache), { recursive: true });
  const draft = await mkdtemp(`${cache}-`);
  try {
    await downloadDebianPackage(draft);
    const packageFile = (await readdir(draft)).find((name) => name.endsWith('.deb'));
    if (packageFile === undefined) throw new Error('apt-get downloaded nothing');
    const unpacked = join(draft, 'unpacked');
    await run('dpkg-deb', ['-x', join(draft, packageFile), unpacked]);
    await rename(unpacked, cache).catch(async (error: unknown) => {
      if (!(await isExecutable(join(cache, 'usr', 'sbin', 'nats-server')))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** A machine whose package lists are empty gets lists of its own in the draft folder, so that no root is needed. */
async function downloadDebianPackage(draft: string): Promise<void> {
  const options = { cwd: draft, timeout: 180_000 };
  try {
    await run('apt-get', ['download', 'nats-server'], options);
  } catch {
    const lists = join(draft, 'lists');
    const archives = join(draft, 'archives');
    await mkdir(join(lists, 'partial'), { recursive: true });
    await mkdir(join(archives, 'partial'), { recursive: true });
    const own = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${archives}`, '-o', 'Debug::NoLocking=1'];
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', 'nats-server'], options);
  }
}

/** The folder of package-lock.json, wherever the tests were built to. */
async function projectRoot(): Promise<string> {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!(await exists(join(directory, 'package-lock.json')))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package-lock.json above the tests');
    directory = parent;
  }
  return directory;
}

function isExecutable(path: string): Promise<boolean> {
  return exists(path, constants.X_OK);
}

async function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
