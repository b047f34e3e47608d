import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../helpers/dev-node.ts';
import { findNatsServer } from '../helpers/nats-server.ts';
import { projectRoot } from '../helpers/project-root.ts';
import type { DockerDaemon } from './docker-daemon.ts';
import { makeSecrets } from './secrets.ts';

export const SERVERS = ['s1', 's2', 's3'] as const;
export type Server = (typeof SERVERS)[number];

export type Item = Readonly<Record<string, unknown>>;

/** The shipped `deploy/` in a copy, which is where its secrets are made. */
export interface ComposeCluster {
  compose(...args: readonly string[]): Promise<string>;
  /** A call with the token that the script made, or with another one, or with none. */
  call(server: Server, path: string, options?: CallOptions): Promise<Answer>;
  /** Ids of the containers of a service that run. */
  containers(service: string): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export interface CallOptions {
  /** With one, the call is a POST. */
  readonly body?: unknown;
  /** Null: none. */
  readonly token?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Builds the images: those that the shipped files name from stand-ins, then the shipped one itself. */
export async function buildImages(daemon: DockerDaemon): Promise<void> {
  const root = projectRoot();
  const cache = join(root, 'node_modules', '.cache', 'carillon-images');
  const environment = { NATS_SERVER: await findNatsServer() };
  const script = join(root, 'test', 'deploy', 'stand-in-images.sh');
  await daemon.run('bash', [script, cache], { environment, timeoutMs: BUILD_MS });
  const dockerfile = join(root, 'deploy', 'Dockerfile');
  // The daemon has no bridge that leads to a registry; the machine's own network does.
  const args = ['build', '--network', 'host', '--file', dockerfile, '--tag', 'carillon:local', root];
  await daemon.run('docker', args, { timeoutMs: BUILD_MS });
  // Else the first writes of a cluster would wait for a gigabyte of images to reach the disk.
  await daemon.run('sync', []);
}

/** Nothing runs yet. */
export async function createComposeCluster(daemon: DockerDaemon): Promise<ComposeCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-compose-'));
  const deploy = join(directory, 'deploy');
  await cp(join(projectRoot(), 'deploy'), deploy, { recursive: true, filter: (path) => !path.endsWith('/secrets') });
  await makeSecrets(join(deploy, 'secrets'));
  const apiToken = await readFile(join(deploy, 'secrets', 'api-token'), 'utf8');
  await assertPortsFree();
  const compose = (...args: readonly string[]) =>
    daemon.run('docker-compose', ['--file', join(deploy, 'compose.yaml'), ...args]);
  return {
    compose,
    call: async (server, path, { body, token = apiToken } = {}) => {
      const response = await fetch(`http://127.0.0.1:${PORTS[server]}${path}`, {
        signal: AbortSignal.timeout(CALL_MS),
        headers: {
          ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() }),
        },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
    containers: async (service) => {
      const label = `label=com.docker.compose.service=${service}`;
      const ids = await daemon.run('docker', ['ps', '--quiet', '--no-trunc', '--filter', label]);
      return ids.split('\n').filter((id) => id !== '');
    },
    remove: async () => {
      await compose('down', '--volumes', '--timeout', '5', '--remove-orphans');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The list in an answer that says yes. */
export function itemsOf(answer: Answer): readonly Item[] {
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return JSON.parse(answer.text) as readonly Item[];
}

/** Waits until all servers say that they are ready. */
export async function untilReady(cluster: ComposeCluster, timeoutMs: number): Promise<void> {
  const isReady = async (server: Server) => (await cluster.call(server, '/readyz', { token: null })).status === 200;
  await until(
    'three servers are ready',
    async () => {
      const ready = await Promise.all(SERVERS.map((server) => isReady(server).catch(() => false)));
      return ready.every(Boolean) || undefined;
    },
    timeoutMs,
  );
}

const PORTS: Readonly<Record<Server, number>> = { s1: 8081, s2: 8082, s3: 8083 };
const CALL_MS = 10_000;
const BUILD_MS = 600_000;

/** Docker would say it too, but only after the better part of the cluster is up. */
async function assertPortsFree(): Promise<void> {
  for (const port of [...Object.values(PORTS), 4_222, 9_090]) {
    const isTaken = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: '127.0.0.1', port });
      socket.once('error', () => resolve(false));
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
    });
    if (isTaken) throw new Error(`something listens on 127.0.0.1:${port}, which compose.yaml uses; stop it first`);
  }
}
