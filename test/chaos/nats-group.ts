/** One nats-server, or three that are one cluster; each can be killed and started again where clients expect it. */
import { randomBytes } from 'node:crypto';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';
import { freePort } from './network.ts';

export class NatsGroup {
  readonly #host: string;
  readonly #token = randomBytes(16).toString('hex');
  readonly #ports: readonly number[];
  readonly #routes: readonly number[];
  readonly #servers: (NatsServer | null)[];

  private constructor(host: string, ports: readonly number[], routes: readonly number[]) {
    this.#host = host;
    this.#ports = ports;
    this.#routes = routes;
    this.#servers = ports.map(() => null);
  }

  static async start(host: string, count: number): Promise<NatsGroup> {
    const ports: number[] = [];
    const routes: number[] = [];
    for (let number = 0; number < count; number += 1) {
      ports.push(await freePort(host));
      routes.push(await freePort(host));
    }
    const group = new NatsGroup(host, ports, routes);
    await Promise.all(ports.map((_port, number) => group.start(number)));
    return group;
  }

  /** For clients: all of them. */
  get url(): string {
    return this.#ports.map((port) => `nats://${this.#token}@${this.#host}:${port}`).join(',');
  }

  get ports(): readonly number[] {
    return this.#ports;
  }

  get count(): number {
    return this.#ports.length;
  }

  isUp(number: number): boolean {
    return this.#servers[number] !== null;
  }

  async start(number: number): Promise<void> {
    const config = this.count === 1 ? '' : this.#clusterConfig(number);
    const port = this.#ports[number] ?? 0;
    this.#servers[number] = await startNatsServer({ host: this.#host, port, token: this.#token, config });
  }

  async kill(number: number): Promise<void> {
    const server = this.#servers[number] ?? null;
    this.#servers[number] = null;
    await server?.stop('SIGKILL');
  }

  async close(): Promise<void> {
    await Promise.all(this.#ports.map((_port, number) => this.kill(number)));
  }

  #clusterConfig(number: number): string {
    const routes = this.#routes.map((port) => `nats-route://${this.#host}:${port}`).join(', ');
    const listen = `${this.#host}:${this.#routes[number]}`;
    return `server_name: n${number + 1}\ncluster { name: chaos, listen: "${listen}", routes: [${routes}] }`;
  }
}
