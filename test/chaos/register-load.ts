/**
 * Clients that put, read and delete jobs at servers drawn at random, and write down what they were told. A write whose
 * outcome is unknown is asked for again with its request id, which must not do it twice; if no server ever tells, it stays
 * open in the history.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Random, randomInteger } from '../../src/base/random.ts';
import type { Action, History, Operation } from '../linearizability/history.ts';
import { pick } from '../sim/draw.ts';
import { call, fateOf, type HttpReply } from './http.ts';
import type { NodeProcess } from './node-process.ts';
import { JUDGE, LINEARIZABLE_QUERY } from './promises.ts';

export interface RegisterCounts {
  acknowledged: number;
  refused: number;
  unknown: number;
  reads: number;
}

export interface RegisterLoadOptions {
  readonly servers: readonly NodeProcess[];
  readonly history: History;
  readonly randomOf: (client: number) => Random;
  readonly shouldStop: () => boolean;
}

export const CLIENTS = 5;
/** Keys in use at a time. Old ones are left as they are, so that no key has more operations than can be judged. */
const KEYS_ALIVE = 6;
const OPERATIONS_PER_KEY = 100;
const ATTEMPTS_MAX = 4;
const THINK_MS_MAX = 160;

export class RegisterLoad {
  readonly counts: RegisterCounts = { acknowledged: 0, refused: 0, unknown: 0, reads: 0 };
  readonly #options: RegisterLoadOptions;
  readonly #keys = new Set<string>();
  #begun = 0;

  constructor(options: RegisterLoadOptions) {
    this.#options = options;
  }

  get keys(): readonly string[] {
    return [...this.#keys].sort();
  }

  async run(): Promise<void> {
    const clients = Array.from({ length: CLIENTS }, (_unused, number) => this.#client(number + 1));
    await Promise.all(clients);
  }

  /** What each server says of each key, as reads of the history. */
  async readAll(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      await Promise.all(this.#options.servers.map((server) => this.#read(JUDGE, server, key)));
    }
  }

  async #client(number: number): Promise<void> {
    const random = this.#options.randomOf(number);
    const client = `c${number}`;
    let put = 0;
    while (!this.#options.shouldStop()) {
      const generation = Math.floor(this.#begun / (KEYS_ALIVE * OPERATIONS_PER_KEY));
      this.#begun += 1;
      const key = `register-${generation}-${randomInteger(random, 1, KEYS_ALIVE)}`;
      this.#keys.add(key);
      const server = pick(random, this.#options.servers);
      const drawn = random();
      if (drawn < 0.45) await this.#read(client, server, key);
      else if (drawn < 0.85) {
        put += 1;
        await this.#write(client, random, key, { type: 'put', value: `${client}-${put}` });
      } else await this.#write(client, random, key, { type: 'delete' });
      await pause(random() * THINK_MS_MAX);
    }
  }

  async #read(client: string, server: NodeProcess, key: string): Promise<void> {
    const { history } = this.#options;
    const begun = history.begin({ client, server: server.life, key, action: { type: 'get' } });
    const reply = await call(server, 'GET', `/v1/jobs/${key}?${LINEARIZABLE_QUERY}`);
    if (reply === undefined || (reply.status !== 200 && reply.status !== 404)) {
      history.refuse(begun);
      return;
    }
    this.counts.reads += 1;
    if (reply.status === 404) history.end(begun, { type: 'read', value: null });
    else history.end(begun, { type: 'read', value: valueIn(reply) }, versionIn(reply));
  }

  async #write(client: string, random: Random, key: string, action: Action): Promise<void> {
    const { history, servers } = this.#options;
    const requestId = randomUUID();
    let server = pick(random, servers);
    const begun = history.begin({ client, server: server.life, key, action });
    let isCertain = true;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const { life } = server;
      const reply = await send(server, key, action, requestId);
      // An earlier attempt may still be under way, and find a later write: that there was nothing is certain at once only.
      const isAbsent = reply?.status === 404 && action.type === 'delete' && isCertain;
      const fate = isAbsent ? 'done' : fateOf(reply);
      if (fate === 'done' && reply !== undefined) {
        this.counts.acknowledged += 1;
        this.#acknowledge(begun, life, action, reply);
        return;
      }
      // Refused after an attempt of unknown outcome: that one may still take effect.
      if (fate === 'unknown') isCertain = false;
      else if (isCertain) {
        this.counts.refused += 1;
        history.refuse(begun);
        return;
      }
      await pause(random() * 500);
      server = pick(random, servers);
    }
    this.counts.unknown += 1;
  }

  #acknowledge(
    begun: Pick<Operation, 'client' | 'server' | 'key' | 'action' | 'invokedMs'>,
    life: string,
    action: Action,
    reply: HttpReply,
  ): void {
    const { history } = this.#options;
    if (action.type === 'put') history.end(begun, { type: 'stored' }, { server: life, ...versionIn(reply) });
    else history.end(begun, { type: 'deleted', wasThere: reply.status !== 404 }, { server: life });
  }
}

function send(server: NodeProcess, key: string, action: Action, requestId: string): Promise<HttpReply | undefined> {
  if (action.type === 'delete') return call(server, 'DELETE', `/v1/jobs/${key}`, { requestId });
  const value = action.type === 'put' ? action.value : '';
  const body = { name: key, schedule: '@manually', command: 'true', tags: { my_role: 'web:1' }, metadata: { value } };
  return call(server, 'POST', '/v1/jobs', { body, requestId });
}

function valueIn(reply: HttpReply): string {
  return String((reply.json as { readonly metadata: Readonly<Record<string, string>> }).metadata['value']);
}

function versionIn(reply: HttpReply): { readonly version: number } {
  return { version: Number((reply.json as { readonly modified_index: number }).modified_index) };
}
