/** Servers that only decide, agents that do the work, NATS between them; and the ways to find out who is who. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { call } from './http.ts';
import type { Machine } from './machine.ts';
import { NatsGroup } from './nats-group.ts';
import { Network } from './network.ts';
import { type NodeEnd, NodeProcess } from './node-process.ts';
import { TinyDisk } from './tiny-disk.ts';

export interface ChaosClusterOptions {
  readonly machine: Machine;
  readonly servers: number;
  readonly natsServers: number;
  /** For data, logs and all else. */
  readonly directory: string;
  /** A node ended that nobody has killed. It is started again. */
  readonly onUnexpectedEnd: (node: string, end: NodeEnd) => void;
}

const AGENTS = 2;
const TINY_DISK_SIZE = '192m';
const RESTART_MS = 1_000;
const FORMING_MS_MAX = 90_000;

export class ChaosCluster {
  readonly network: Network;
  readonly nats: NatsGroup;
  readonly servers: NodeProcess[] = [];
  readonly agents: NodeProcess[] = [];
  /** Under the data of the first server, where one can be mounted. */
  readonly tinyDisk: TinyDisk | undefined;
  /** Holds what is added to the wall clock of the last server. */
  readonly clockFile: string;
  readonly #options: ChaosClusterOptions;
  #isFormed = false;
  #isClosed = false;

  private constructor(options: ChaosClusterOptions, network: Network, nats: NatsGroup, tinyDisk: TinyDisk | undefined) {
    this.#options = options;
    this.network = network;
    this.nats = nats;
    this.tinyDisk = tinyDisk;
    this.clockFile = join(options.directory, 'clock');
  }

  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const { machine, directory } = options;
    const network = await Network.create(machine);
    const nats = await NatsGroup.start(network.hubHost, options.natsServers);
    const data = join(directory, 'data');
    await mkdir(join(directory, 'logs'), { recursive: true });
    const tinyDisk = machine.isPrivate ? await TinyDisk.mount(join(data, 's1'), TINY_DISK_SIZE) : undefined;
    const cluster = new ChaosCluster(options, network, nats, tinyDisk);
    await writeFile(join(directory, 'cluster.key'), randomBytes(32).toString('hex'), { mode: 0o600 });
    await cluster.setClock(0);
    for (let number = 1; number <= options.servers; number += 1) cluster.servers.push(await cluster.#server(number));
    for (let number = 1; number <= AGENTS; number += 1) cluster.agents.push(cluster.#agent(number));
    for (const node of cluster.nodes) node.start();
    await cluster.untilComplete(FORMING_MS_MAX);
    cluster.#isFormed = true;
    return cluster;
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.servers, ...this.agents];
  }

  /** The server whose wall clock can be moved. */
  get clockServer(): NodeProcess | undefined {
    return this.#options.machine.faketime === undefined ? undefined : this.servers.at(-1);
  }

  async setClock(offsetSeconds: number): Promise<void> {
    await writeFile(this.clockFile, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
  }

  /** As the servers say themselves; undefined where none does. */
  async leader(): Promise<NodeProcess | undefined> {
    const answers = await Promise.all(
      this.servers.map(async (node) => {
        const reply = await call(node, 'GET', '/v1/isleader', { timeoutMs: 700 });
        return reply?.status === 200 ? node : undefined;
      }),
    );
    return answers.find((node) => node !== undefined);
  }

  /** All servers hear all nodes, and one leads. */
  async untilComplete(timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const missing = new Set(this.servers);
    for (;;) {
      const gone = this.#isFormed ? undefined : this.nodes.find((node) => !node.isUp);
      if (gone !== undefined) throw new Error(`${gone.name} ended before the cluster was formed; its log says why`);
      for (const node of missing) if (await this.#isComplete(node)) missing.delete(node);
      if (missing.size === 0) return;
      if (performance.now() > deadlineMs) {
        throw new Error(`not within ${timeoutMs / 1_000} s: ${[...missing].map(({ name }) => name)} hear all nodes`);
      }
      await pause(100);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.nats.close();
    await this.tinyDisk?.unmount();
  }

  async #isComplete(node: NodeProcess): Promise<boolean> {
    const reply = await call(node, 'GET', '/v1/members', { timeoutMs: 2_000 });
    if (reply?.status !== 200) return false;
    const members = reply.json as readonly { readonly is_alive: boolean; readonly is_leader: boolean }[];
    const alive = members.filter(({ is_alive }) => is_alive);
    return alive.length === this.nodes.length && members.some(({ is_leader }) => is_leader);
  }

  async #server(number: number): Promise<NodeProcess> {
    const { machine, servers } = this.#options;
    const place = await this.network.place(number);
    const args = ['--http-addr', `${place.host}:${place.port}`, '--bootstrap-expect', String(servers), '--slots', '0'];
    // Nobody else is in the private world.
    if (machine.isPrivate) args.push('--insecure-no-auth');
    return this.#node('server', number, {
      args,
      prefix: place.prefix,
      url: `http://${place.host}:${place.port}`,
      environment: number === servers ? this.#clockEnvironment() : {},
    });
  }

  #agent(number: number): NodeProcess {
    return this.#node('agent', number, { args: ['--tag', 'my_role=web'], prefix: [], url: '', environment: {} });
  }

  #node(
    kind: 'server' | 'agent',
    number: number,
    own: Pick<NodeProcess['spec'], 'args' | 'prefix' | 'url' | 'environment'>,
  ): NodeProcess {
    const { directory } = this.#options;
    const name = `${kind === 'server' ? 's' : 'a'}${number}`;
    const common = ['--cluster', 'chaos', '--nats-url', this.nats.url];
    common.push('--cluster-key-file', join(directory, 'cluster.key'), '--log-level', 'info');
    return new NodeProcess({
      ...own,
      name,
      kind,
      number,
      directory: join(directory, 'data', name),
      logFile: join(directory, 'logs', `${name}.log`),
      args: [...own.args, ...common],
      onEnded: (node, end) => this.#restart(node, end),
    });
  }

  #restart(node: NodeProcess, end: NodeEnd): void {
    if (this.#isClosed || !this.#isFormed) return;
    this.#options.onUnexpectedEnd(node.name, end);
    setTimeout(() => {
      if (!this.#isClosed && !node.isUp) node.start();
    }, RESTART_MS);
  }

  #clockEnvironment(): Record<string, string> {
    const { faketime } = this.#options.machine;
    if (faketime === undefined) return {};
    return {
      LD_PRELOAD: faketime,
      FAKETIME_TIMESTAMP_FILE: this.clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DISABLE_SHM: '1',
      NO_FAKE_STAT: '1',
    };
  }
}
