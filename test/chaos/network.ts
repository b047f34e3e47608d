/**
 * In the private world each server has a network of its own with one wire to the hub, where NATS, the agents and we are. A
 * cut drops what one direction of a wire carries to or from NATS; our own HTTP goes through.
 *
 *   s1 (10.77.1.2) ── wire1 ── hub (10.77.0.1: nats, agents, clients) ── wire2 ── s2 (10.77.2.2)
 */
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { command, type Machine } from './machine.ts';

export interface Place {
  /** Words before the command of a process that lives there. */
  readonly prefix: readonly string[];
  readonly host: string;
  readonly port: number;
}

export type Direction = 'outward' | 'inward';

export class Network {
  readonly #machine: Machine;
  /** Where NATS listens. */
  readonly hubHost: string;

  private constructor(machine: Machine) {
    this.#machine = machine;
    this.hubHost = machine.isPrivate ? '10.77.0.1' : '127.0.0.1';
  }

  static async create(machine: Machine): Promise<Network> {
    if (machine.isPrivate) {
      // `ip` and `iptables` keep their files there, and it may not be ours to write.
      await command('mount', '-t', 'tmpfs', 'tmpfs', '/run');
      await command('ip', 'link', 'set', 'lo', 'up');
      await command('ip', 'addr', 'add', '10.77.0.1/32', 'dev', 'lo');
    }
    return new Network(machine);
  }

  /** Of server number 1, 2, … */
  async place(number: number): Promise<Place> {
    if (!this.#machine.isPrivate) return { prefix: [], host: '127.0.0.1', port: await freePort() };
    const name = `s${number}`;
    const wire = wireOf(number);
    const inside = ['nsenter', `--net=/run/netns/${name}`];
    await mkdir('/run/netns', { recursive: true });
    await command('ip', 'netns', 'add', name);
    await command('ip', 'link', 'add', wire, 'type', 'veth', 'peer', 'name', 'hub', 'netns', name);
    await command('ip', 'addr', 'add', `10.77.${number}.1/30`, 'dev', wire);
    await command('ip', 'link', 'set', wire, 'up');
    for (const words of [
      ['addr', 'add', `10.77.${number}.2/30`, 'dev', 'hub'],
      ['link', 'set', 'hub', 'up'],
      ['link', 'set', 'lo', 'up'],
      ['route', 'add', 'default', 'via', `10.77.${number}.1`],
    ]) {
      await command(inside[0] ?? '', ...inside.slice(1), 'ip', ...words);
    }
    return { prefix: inside, host: `10.77.${number}.2`, port: 8_080 };
  }

  async cut(number: number, direction: Direction, natsPorts: readonly number[]): Promise<void> {
    await this.#rules('-A', number, direction, natsPorts);
  }

  async mend(number: number, direction: Direction, natsPorts: readonly number[]): Promise<void> {
    await this.#rules('-D', number, direction, natsPorts);
  }

  async #rules(action: string, number: number, direction: Direction, natsPorts: readonly number[]): Promise<void> {
    const wire = wireOf(number);
    for (const port of natsPorts.map(String)) {
      // What leaves the server comes in at the hub.
      const match = direction === 'outward' ? ['INPUT', '-i', wire] : ['OUTPUT', '-o', wire];
      const side = direction === 'outward' ? '--dport' : '--sport';
      await command(this.#machine.iptables ?? '', action, ...match, '-p', 'tcp', side, port, '-j', 'DROP');
    }
  }
}

export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function wireOf(number: number): string {
  return `wire${number}`;
}
