import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../helpers/dev-node.ts';

export interface DockerDaemon {
  /** Runs a program that talks to this daemon; gives what it printed. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** Ends the daemon with all its containers, and removes its images. */
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Installs Debian's packages where they are missing. Says why there can be no Docker here, or nothing. */
export async function prepareDocker(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root, to start a Docker daemon of its own';
  const missing = PROGRAMS.filter((program) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  try {
    await run('apt-get', ['-q', 'update'], APT);
    await run('apt-get', ['-q', '-y', 'install', '--no-install-recommends', ...PACKAGES], APT);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1);
    return `needs ${missing.join(', ')}, which apt-get could not install: ${reason}`;
  }
  const still = PROGRAMS.filter((program) => !isInstalled(program));
  return still.length === 0 ? undefined : `needs ${still.join(', ')}, which Debian's packages did not bring`;
}

/**
 * A daemon of its own, with socket, images and containers below the temporary directory. It leaves the machine's network
 * as it is: bridges come and go with their containers, no rule of the firewall is made, ports go through its proxy.
 */
export async function startDockerDaemon(): Promise<DockerDaemon> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-docker-'));
  const path = (name: string) => join(directory, name);
  const environment = {
    ...process.env,
    PATH: PATH,
    DOCKER_HOST: `unix://${path('docker.sock')}`,
    DOCKER_BUILDKIT: '0',
  };
  const log = await open(path('log'), 'w');
  const daemon = spawn(
    'dockerd',
    [
      `--host=unix://${path('docker.sock')}`,
      `--data-root=${path('data')}`,
      `--exec-root=${path('exec')}`,
      `--pidfile=${path('pid')}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
    ],
    { env: environment, stdio: ['ignore', log.fd, log.fd] },
  );
  await log.close();
  // At a signal it ends its containers first.
  const endWithUs = (): void => {
    daemon.kill('SIGTERM');
  };
  process.once('exit', endWithUs);
  const gone = once(daemon, 'close').then(() => process.off('exit', endWithUs));
  const inside: DockerDaemon = {
    run: async (program, args, options = {}) => {
      const env = { ...environment, ...options.environment };
      const { stdout } = await run(program, args, { env, timeout: options.timeoutMs ?? RUN_MS, maxBuffer: OUTPUT_MAX });
      return stdout;
    },
    stop: async () => {
      daemon.kill('SIGTERM');
      await gone;
      // It leaves the namespace of containers without a network mounted.
      await run('umount', [path('exec/netns/default')]).catch(() => {});
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  await until('the Docker daemon answers', async () => {
    if (daemon.exitCode !== null) {
      const lines = (await readFile(path('log'), 'utf8')).trim().split('\n').slice(-10);
      await inside.stop();
      throw new Error(`dockerd ended with ${daemon.exitCode}:\n${lines.join('\n')}`);
    }
    return inside.run('docker', ['version']).catch(() => undefined);
  });
  return inside;
}

const run = promisify(execFile);
const PROGRAMS = ['dockerd', 'docker', 'docker-compose', 'debootstrap', 'iptables'] as const;
/** `iptables` is for the name server inside of containers. */
const PACKAGES = ['docker.io', 'docker-compose', 'debootstrap', 'iptables'] as const;
const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const;
/** Debian's own first: its client fits its daemon. */
const PATH = [...FOLDERS, process.env['PATH'] ?? ''].join(':');
const APT = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 };
const RUN_MS = 120_000;
const OUTPUT_MAX = 16 * 1_024 * 1_024;

function isInstalled(program: string): boolean {
  return FOLDERS.some((folder) => existsSync(join(folder, program)));
}
