/** Three Raft hosts and their nats-server on loopback, each a process of its own with a new directory. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '../test/helpers/nats-server.ts';
import { type Child, ChildGroup } from './child-group.ts';
import { freePort, nodeFlags, pause, type Target } from './harness.ts';
import type { LookAnswer } from './raft-counter.ts';
import { type FromHost, proposalSubject, type RaftHostConfig, type ToHost } from './raft-host-protocol.ts';

const HOST = fileURLToPath(new URL('./raft-host.js', import.meta.url));
const HOSTS = ['h1', 'h2', 'h3'] as const;
const START_MS_MAX = 30_000;
const LOOK_MS_MAX = 10_000;
const POLL_MS = 20;

export interface RaftClusterOptions {
  /** Put before the command of each host, as a tracer's. */
  readonly wrapper?: readonly string[];
  readonly syncDelayMs?: number;
}

export interface RaftCluster extends Target {
  readonly nats: { readonly port: number; readonly token: string };
  readonly hosts: readonly string[];
  /** Name of the host that leads now, and where it takes proposals; waits for one. */
  leader(): Promise<{ readonly host: string; readonly subject: string }>;
  /** Where a host takes proposals, and refuses them if it does not lead. */
  subjectOf(host: string): string;
  /** With `isFresh` the delays of the event loop are counted anew from here. */
  look(host: string, isFresh?: boolean): Promise<LookAnswer>;
  /** The highest term of all: what it grew by is how many elections there were. */
  term(): Promise<number>;
}

export async function startRaftCluster(options: RaftClusterOptions = {}): Promise<RaftCluster> {
  const group = await ChildGroup.open();
  const close = () => group.close(stop);
  try {
    const nats = { port: await freePort(), token: randomUUID() };
    const natsCommand = [await findNatsServer(), '-a', '127.0.0.1', '-p', String(nats.port), '--auth', nats.token];
    group.start('nats', natsCommand);
    const nodes = new Map(HOSTS.map((name) => [name as string, randomUUID().replaceAll('-', '')]));
    const shared = {
      voters: [...nodes.values()].sort(),
      clusterUuid: randomUUID().replaceAll('-', ''),
      key: randomBytes(32).toString('hex'),
      natsPort: nats.port,
      natsToken: nats.token,
      syncDelayMs: options.syncDelayMs ?? 0,
    };
    const looks = new Looks();
    const ups = [...nodes].map(([name, node]) => {
      const config: RaftHostConfig = { ...shared, node, directory: join(group.directory, name) };
      const command = [process.execPath, ...nodeFlags(), HOST, JSON.stringify(config)];
      const child = group.start(name, [...(options.wrapper ?? []), ...command], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
      return looks.listen(child);
    });
    await within(START_MS_MAX, 'the Raft hosts did not start', Promise.all(ups));
    const cluster: RaftCluster = {
      nats,
      urls: [],
      hosts: HOSTS,
      processes: ['nats', ...HOSTS].map((name) => ({ name, pid: group.get(name).pid })),
      subjectOf: (host) => proposalSubject(nodes.get(host) ?? ''),
      look: (host, isFresh = false) => looks.look(group.get(host), isFresh),
      async leader() {
        const endMs = performance.now() + START_MS_MAX;
        for (;;) {
          if (group.endedEarly !== undefined) throw new Error(`${group.endedEarly} ended`);
          for (const host of HOSTS) {
            const { isReady } = await cluster.look(host);
            if (isReady) return { host, subject: cluster.subjectOf(host) };
          }
          if (performance.now() > endMs) throw new Error('no Raft host leads');
          await pause(POLL_MS);
        }
      },
      async term() {
        return Math.max(...(await Promise.all(HOSTS.map((host) => cluster.look(host)))).map(({ term }) => term));
      },
      close,
    };
    await cluster.leader();
    return cluster;
  } catch (error) {
    const words = group.words();
    await close();
    throw new Error(`the Raft hosts: ${error instanceof Error ? error.message : error}\n${words}`);
  }
}

function stop({ name, process: child }: Child): void {
  if (name === 'nats' || !child.connected) child.kill('SIGTERM');
  else child.send({ type: 'stop' } satisfies ToHost);
}

/** Questions to hosts that wait for their answers. */
class Looks {
  readonly #waiting = new Map<number, (seen: LookAnswer | null) => void>();
  #lastNumber = 0;

  /** Resolves once the host is up. */
  listen({ name, process: child, ended }: Child): Promise<void> {
    return new Promise((resolve, reject) => {
      void ended.then(() => reject(new Error(`${name} ended`)));
      child.on('message', (message: FromHost) => {
        if (message.type === 'up') return resolve();
        this.#waiting.get(message.number)?.(message.seen);
        this.#waiting.delete(message.number);
      });
    });
  }

  async look({ name, process: child }: Child, isFresh: boolean): Promise<LookAnswer> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const answered = new Promise<LookAnswer | null>((resolve) => this.#waiting.set(number, resolve));
    child.send({ type: 'look', number, isFresh } satisfies ToHost);
    const seen = await within(LOOK_MS_MAX, `${name} does not answer`, answered);
    if (seen === null) throw new Error(`${name}: its consensus thread does not answer`);
    return seen;
  }
}

async function within<Value>(milliseconds: number, what: string, value: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${milliseconds / 1_000} s`)), milliseconds);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
