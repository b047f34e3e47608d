/** A cluster to measure: a nats-server, three servers that only serve, two agents, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from '../test/helpers/nats-server.ts';
import { FUNCTIONS, freePort, lastWordsOf, MAIN, nodeFlags, pause, type Target } from './harness.ts';
import { HttpConnection } from './http-client.ts';

export const SERVERS = ['s1', 's2', 's3'] as const;
export const AGENTS = ['a1', 'a2'] as const;

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const POLL_MS = 20;

export async function startCluster(): Promise<Target> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-bench-'));
  const children: { name: string; child: ChildProcess; words: () => string; ended: Promise<void> }[] = [];
  const start = (name: string, program: string, args: readonly string[]) => {
    const child = spawn(program, args, {
      env: { PATH: '/usr/bin:/bin', HOME: process.env['HOME'] ?? '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    children.push({ name, child, words: lastWordsOf(child), ended });
  };
  const natsPort = await freePort();
  start('nats', await findNatsServer(), ['-a', '127.0.0.1', '-p', String(natsPort)]);
  const common = ['--cluster', 'bench', '--nats-url', `nats://127.0.0.1:${natsPort}`, '--log-level', 'warn'];
  const startNode = (command: string, name: string, own: readonly string[]) => {
    const args = [command, '--node-name', name, '--data-dir', join(directory, name), ...own, ...common];
    start(name, process.execPath, [...nodeFlags(), MAIN, ...args]);
  };
  const urls: string[] = [];
  for (const name of SERVERS) {
    const port = await freePort();
    urls.push(`http://127.0.0.1:${port}`);
    const own = ['--http-addr', `127.0.0.1:${port}`, '--bootstrap-expect', String(SERVERS.length), '--slots', '0'];
    startNode('server', name, own);
  }
  for (const name of AGENTS) {
    const own = ['--tag', 'my_role=web', '--functions-dir', FUNCTIONS];
    startNode('agent', name, own);
  }
  const close = async () => {
    // NATS last: nodes that stop have something to say.
    for (const { child, ended } of children.reverse()) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await ended;
      clearTimeout(timer);
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await untilComplete(urls, () => children.find(({ child }) => child.exitCode !== null)?.name);
  } catch (error) {
    const words = children.map((one) => `${one.name}: ${one.words().slice(-400)}`).join('\n');
    await close();
    throw new Error(`the cluster did not start: ${error instanceof Error ? error.message : error}\n${words}`);
  }
  const processes = children.map(({ name, child }) => ({ name, pid: child.pid ?? 0 }));
  return { urls, processes, close };
}

/** Every server sees a leader and all five nodes. */
async function untilComplete(urls: readonly string[], ended: () => string | undefined): Promise<void> {
  const endMs = performance.now() + START_MS_MAX;
  const missing = new Set(urls);
  while (missing.size > 0) {
    const gone = ended();
    if (gone !== undefined) throw new Error(`${gone} ended`);
    if (performance.now() > endMs) throw new Error(`not complete within ${START_MS_MAX / 1_000} s`);
    for (const url of [...missing]) if (await isComplete(url)) missing.delete(url);
    await pause(POLL_MS);
  }
}

async function isComplete(url: string): Promise<boolean> {
  const connection = new HttpConnection(url);
  try {
    const { status, body } = await connection.call('GET', '/v1/members');
    if (status !== 200) return false;
    const members = JSON.parse(body.toString('utf8')) as readonly { is_alive: boolean; is_leader: boolean }[];
    const alive = members.filter(({ is_alive }) => is_alive).length;
    return alive === SERVERS.length + AGENTS.length && members.some(({ is_leader }) => is_leader);
  } catch {
    // It does not listen yet.
    return false;
  } finally {
    connection.close();
  }
}
