import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type NatsConnection as Client, connect, createInbox } from 'nats';
import { SystemClock } from '../../src/base/system-clock.ts';
import { type Log, type LogFields, type Metrics, silentLog } from '../../src/base/telemetry.ts';
import { type NatsConnection, type NatsStatus, openNatsConnection } from '../../src/cluster/nats-connection.ts';
import { openNatsHall } from '../../src/cluster/nats-hall.ts';
import { openNatsTransport } from '../../src/cluster/nats-transport.ts';
import type { PeerBoots } from '../../src/cluster/peer-boots.ts';
import { Subjects } from '../../src/cluster/subjects.ts';
import type { Channel } from '../../src/cluster/transport.ts';
import { findNatsServer, type NatsServer, startNatsServer } from '../helpers/nats-server.ts';
import { projectRoot } from '../helpers/project-root.ts';
import type { HallSubject } from '../suites/hall.ts';
import { CLUSTER, KEY } from '../suites/strange-frames.ts';
import type { Life, TransportSubject } from '../suites/transport.ts';

export const CLUSTER_NAME = 'demo';

/** A real nats-server, nodes on it, and a stranger. */
export class NatsWorld implements TransportSubject, HallSubject {
  readonly clock = new SystemClock({ unref: true });
  readonly metrics = new CountingMetrics();
  server: NatsServer;
  readonly #binary: string;
  readonly #stranger: Client;
  readonly #connections = new Map<string, NatsConnection[]>();

  private constructor(binary: string, server: NatsServer, stranger: Client) {
    this.#binary = binary;
    this.server = server;
    this.#stranger = stranger;
  }

  static async start(given?: string): Promise<NatsWorld> {
    const binary = given ?? (await findNatsServer());
    const server = await startNatsServer({ binary });
    const servers = `127.0.0.1:${server.port}`;
    const retry = { maxReconnectAttempts: -1, reconnectTimeWait: 20, reconnectJitter: 0 };
    return new NatsWorld(binary, server, await connect({ servers, token: server.token, ...retry }));
  }

  get door(): { readonly servers: readonly string[]; readonly token: string } {
    return { servers: [`127.0.0.1:${this.server.port}`], token: this.server.token };
  }

  async open({ nodeId, boot, isServer = true, cluster = CLUSTER, key = KEY }: Life) {
    const raft = await this.connect(nodeId, 'raft');
    const bulk = await this.connect(nodeId, 'bulk');
    return openNatsTransport({
      self: { nodeId, boot, cluster, key },
      clusterName: CLUSTER_NAME,
      hears: isServer ? ['raft', 'bulk', 'exec', 'report', 'forward', 'leader'] : ['exec', 'leader'],
      connectionOf: (channel) => (channel === 'bulk' ? bulk : raft),
      clock: this.clock,
      log: silentLog,
      metrics: this.metrics,
    });
  }

  async enter({ nodeId, boot, key = KEY }: Life, boots?: PeerBoots) {
    const connection = await this.connect(nodeId, 'hall');
    const { clock, metrics } = this;
    return openNatsHall({
      speaker: { nodeId, boot, key },
      clusterName: CLUSTER_NAME,
      connection,
      clock,
      metrics,
      log: silentLog,
      ...(boots === undefined ? {} : { boots }),
    });
  }

  /** A connection of a node, once it stands. */
  async connect(nodeId: string, purpose: string, log: Log = silentLog): Promise<NatsConnection> {
    const { door, clock, metrics } = this;
    const connection = openNatsConnection({ door, nodeName: nodeId, purpose, clock, log, metrics });
    const connections = this.#connections.get(nodeId) ?? [];
    this.#connections.set(nodeId, [...connections, connection]);
    await reached(connection, 'connected');
    return connection;
  }

  async crash(nodeId: string): Promise<void> {
    const connections = this.#connections.get(nodeId) ?? [];
    this.#connections.delete(nodeId);
    await Promise.all(connections.map((connection) => connection.close()));
    await this.#untilUnheard(new Subjects(CLUSTER_NAME).of('exec', nodeId));
  }

  /** The server notices the end of a socket in its own time. */
  async #untilUnheard(subject: string): Promise<void> {
    const reply = createInbox();
    let isUnheard = false;
    const subscription = this.#stranger.subscribe(reply, {
      callback: (_error, { headers }) => {
        isUnheard ||= headers?.status === '503';
      },
    });
    while (!isUnheard) {
      this.#stranger.publish(subject, '', { reply });
      await this.#stranger.flush();
    }
    subscription.unsubscribe();
  }

  /** First the server has read everything, then everybody has read what it sent on. */
  async settle(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      await Promise.all([...this.#all(), this.#stranger].map((connection) => connection.flush()));
    }
  }

  async inject(channel: Channel, to: string, frame: Uint8Array): Promise<void> {
    await this.publish(new Subjects(CLUSTER_NAME).of(channel, to), frame);
  }

  /** By the stranger. */
  async publish(subject: string, payload: Uint8Array): Promise<void> {
    this.#stranger.publish(subject, payload);
    await this.#stranger.flush();
  }

  /** What passes on a subject. */
  async wiretap(subject: string): Promise<readonly Caught[]> {
    const caught: Caught[] = [];
    this.#stranger.subscribe(subject, {
      callback: (_error, message) => {
        const { subject: on, reply = '', data } = message;
        caught.push({ subject: on, reply, frame: Uint8Array.from(data) });
      },
    });
    await this.#stranger.flush();
    return caught;
  }

  async takeDown(): Promise<void> {
    await this.server.stop('SIGKILL');
    await Promise.all(this.#all().map((connection) => reached(connection, 'away')));
  }

  async bringUp(): Promise<void> {
    const { port, token } = this.server;
    this.server = await startNatsServer({ binary: this.#binary, port, token });
    await Promise.all(this.#all().map((connection) => reached(connection, 'connected')));
    // Their subscriptions too.
    await this.settle();
  }

  refused(): Readonly<Record<string, number>> {
    return this.metrics.of('carillon_invalid_frames_total');
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#all(), this.#stranger].map((connection) => connection.close()));
    await this.server.stop();
  }

  #all(): NatsConnection[] {
    return [...this.#connections.values()].flat();
  }
}

export interface Caught {
  readonly subject: string;
  readonly reply: string;
  readonly frame: Uint8Array;
}

/** Every nats-server of this machine that tests know of, by version: the one found, and Debian's where it lies unpacked. */
export async function natsBinaries(): Promise<ReadonlyMap<string, string>> {
  const debian = join(projectRoot(), 'node_modules', '.cache', 'nats-server', 'usr', 'sbin', 'nats-server');
  const binaries = new Map<string, string>();
  for (const binary of [await findNatsServer(), ...(existsSync(debian) ? [debian] : [])]) {
    const { stdout } = await promisify(execFile)(binary, ['--version']);
    binaries.set(stdout.trim(), binary);
  }
  return binaries;
}

export function reached(connection: NatsConnection, wanted: NatsStatus): Promise<void> {
  if (connection.status === wanted) return Promise.resolve();
  return new Promise((resolve) => {
    connection.onStatus((status) => {
      if (status === wanted) resolve();
    });
  });
}

/** Counters by name and reason, gauges by name. */
export class CountingMetrics implements Metrics {
  readonly gauges: Record<string, number[]> = {};
  readonly #counts = new Map<string, Record<string, number>>();

  /** By reason; '' for a counter without labels. */
  of(name: string): Readonly<Record<string, number>> {
    return this.#counts.get(name) ?? {};
  }

  count(name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const reasons = this.#counts.get(name) ?? {};
    const reason = labels['reason'] ?? '';
    reasons[reason] = (reasons[reason] ?? 0) + by;
    this.#counts.set(name, reasons);
  }

  gauge(name: string, value: number): void {
    this.gauges[name] = [...(this.gauges[name] ?? []), value];
  }

  observe(): void {}
}

/** Keeps lines, and lets tests wait for one. */
export class KeptLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  readonly #waiting: { readonly part: string; readonly resolve: () => void }[] = [];

  has(part: string): Promise<void> {
    if (this.lines.some(({ message }) => message.includes(part))) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ part, resolve }));
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#keep('debug', message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#keep('info', message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#keep('warn', message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#keep('error', message, fields);
  }

  with(): Log {
    return this;
  }

  #keep(level: string, message: string, fields: LogFields): void {
    this.lines.push({ level, message, fields });
    for (const { part, resolve } of this.#waiting) if (message.includes(part)) resolve();
  }
}
