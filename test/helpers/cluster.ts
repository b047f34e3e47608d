/**
 * A cluster of real processes on one machine: servers and agents of the compiled tree, over a real nats-server. Nodes
 * keep their directories when they are killed, and are started anew under the same names.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'nats';
import {
  beginNode,
  type CallOptions,
  type DevNode,
  type Ended,
  type Reply,
  temporaryDirectory,
  until,
} from './dev-node.ts';
import { type NatsServer, startNatsServer } from './nats-server.ts';

export interface ClusterOptions {
  /** Default: one of its own, stopped with the cluster. */
  readonly nats?: NatsServer;
  /** Default: a name that nobody else has. */
  readonly name?: string;
  /** What servers are told to expect. Default 3. */
  readonly expect?: number;
}

/** A node that may not be up, or not for long. */
export type Begun = Awaited<ReturnType<typeof beginNode>>;

export class Cluster {
  readonly name: string;
  readonly nats: NatsServer;
  readonly #expect: number;
  readonly #keyFile: string;
  readonly #directories = new Map<string, string>();
  readonly #extras = new Map<string, readonly string[]>();
  /** Those that are up. */
  readonly servers = new Map<string, DevNode>();
  readonly agents = new Map<string, DevNode>();

  private constructor(options: Required<ClusterOptions>, keyFile: string) {
    this.name = options.name;
    this.nats = options.nats;
    this.#expect = options.expect;
    this.#keyFile = keyFile;
  }

  static async create(options: ClusterOptions = {}): Promise<Cluster> {
    const { name = `t${randomUUID().slice(0, 8)}`, expect = 3 } = options;
    const nats = options.nats ?? (await startNatsServer());
    if (options.nats === undefined) nats.letGo();
    const keyFile = join(await temporaryDirectory(), 'cluster.key');
    await writeFile(keyFile, randomBytes(32).toString('hex'));
    await chmod(keyFile, 0o600);
    return new Cluster({ nats, name, expect }, keyFile);
  }

  /** `servers` named s1, s2 …, none of which executes; agents with their tags; ready when a write is taken. */
  static async start(
    options: ClusterOptions & { readonly servers?: number; readonly agents?: Readonly<Record<string, string>> },
  ): Promise<Cluster> {
    const { servers = 3, agents = {} } = options;
    const cluster = await Cluster.create({ expect: servers, ...options });
    const names = Array.from({ length: servers }, (_unused, number) => `s${number + 1}`);
    await Promise.all(names.map((name) => cluster.startServer(name)));
    await Promise.all(Object.entries(agents).map(([name, tag]) => cluster.startAgent(name, ['--tag', tag])));
    await cluster.untilMembers(servers + Object.keys(agents).length);
    return cluster;
  }

  /** Not waited for. `extra` is remembered for the next start of the name. */
  async begin(kind: 'server' | 'agent', name: string, extra?: readonly string[]): Promise<Begun> {
    const directory = this.#directories.get(name) ?? (await temporaryDirectory());
    this.#directories.set(name, directory);
    if (extra !== undefined) this.#extras.set(name, extra);
    const args = ['--node-name', name, '--cluster', this.name, '--nats-url', this.nats.url];
    args.push('--cluster-key-file', this.#keyFile, '--log-level', 'info');
    if (kind === 'server') {
      args.push('--http-addr', '127.0.0.1:0', '--bootstrap-expect', String(this.#expect), '--slots', '0');
    }
    return beginNode(kind, { directory, args: [...args, ...(this.#extras.get(name) ?? [])] });
  }

  async startServer(name: string, extra?: readonly string[]): Promise<DevNode> {
    const node = await (await this.begin('server', name, extra)).up;
    this.servers.set(name, node);
    return node;
  }

  async startAgent(name: string, extra?: readonly string[]): Promise<DevNode> {
    const node = await (await this.begin('agent', name, extra)).up;
    this.agents.set(name, node);
    return node;
  }

  async stop(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    const nodes = this.servers.has(name) ? this.servers : this.agents;
    const node = nodes.get(name);
    if (node === undefined) throw new Error(`${name} is not up`);
    nodes.delete(name);
    return node.stop(signal);
  }

  /** The next start of the name finds an empty directory. */
  wipe(name: string): void {
    this.#directories.delete(name);
  }

  get anyServer(): DevNode {
    const [server] = this.servers.values();
    if (server === undefined) throw new Error('no server is up');
    return server;
  }

  /** Asks one server after the other until one answers as wanted. */
  async call(method: string, path: string, options: CallOptions & { readonly status?: number } = {}): Promise<Reply> {
    const { status = 200, ...rest } = options;
    return until(`${method} ${path} is answered ${status}`, async () => {
      for (const server of this.servers.values()) {
        const reply = await server.call(method, path, { timeoutMs: 5_000, ...rest }).catch(() => undefined);
        if (reply?.status === status) return reply;
      }
      return undefined;
    });
  }

  /** Name of the server that leads, as the others say too. */
  async leader(): Promise<string> {
    return until('a server leads', async () => {
      for (const server of this.servers.values()) {
        const reply = await server.call('GET', '/v1/leader', { timeoutMs: 2_000 }).catch(() => undefined);
        const name = reply?.status === 200 ? String(reply.body['Name'] ?? reply.body['name']) : undefined;
        if (name !== undefined && this.servers.has(name)) return name;
      }
      return undefined;
    });
  }

  /** So many nodes are alive, as the first server sees it. */
  async untilMembers(count: number): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return until(`${count} members are alive`, async () => {
      const reply = await this.anyServer.call('GET', '/v1/members', { timeoutMs: 2_000 }).catch(() => undefined);
      if (reply?.status !== 200) return undefined;
      const alive = reply.items.filter((member) => member['statusText'] === 'alive');
      return alive.length === count ? reply.items : undefined;
    });
  }

  /** A server joins those who answer by NATS a moment after it is up. */
  async untilAllAnswerByNats(): Promise<void> {
    const client = await connect({ servers: `127.0.0.1:${this.nats.port}`, token: this.nats.token });
    await until('all servers answer by NATS', async () => {
      const options = { strategy: 'count', maxMessages: this.servers.size, maxWait: 1_000 } as const;
      let count = 0;
      try {
        for await (const _answer of await client.requestMany('$SRV.PING.carillon', '', options)) count += 1;
      } catch {
        // Nobody yet.
      }
      return count === this.servers.size ? true : undefined;
    });
    await client.close();
  }

  async close(): Promise<void> {
    const names = [...this.agents.keys(), ...this.servers.keys()];
    await Promise.all(names.map((name) => this.stop(name, 'SIGKILL')));
    await this.nats.stop();
  }
}
