/**
 * The NATS door: a micro service `carillon` that answers `carillon.<cluster>.api.<noun>.<verb>`, in a queue group over
 * all servers. Requests and answers are the JSON of HTTP. While NATS is away nothing is answered, and the connection is
 * tried again for ever; an answer that gets lost is asked for again by the client, under the same request id. The
 * library's service ends as a whole at the first subscription that NATS does not permit: it is started again, since
 * permissions change without a word from NATS.
 */
import { type ServiceMsg, Svcm } from '@nats-io/services';
import { connect, headers as createHeaders, type NatsConnection, PermissionViolationError, type Status } from 'nats';
import { CodedError } from '../base/errors.ts';
import { rateLimited } from '../base/rate-limited.ts';
import type { Log } from '../base/telemetry.ts';
import type { Timer } from '../base/time.ts';
import { clientOptions, type NatsDoor } from '../cluster/nats-door.ts';
import type { Answer } from './answer.ts';
import type { ApiContext, Call } from './call.ts';
import { parseJson, shorten, writeJson } from './json-text.ts';
import { type OperationName, perform } from './operations.ts';
import { problem, problemOf } from './problem.ts';

export interface NatsServiceOptions {
  readonly context: ApiContext;
  readonly cluster: string;
  readonly nodeName: string;
  readonly version: string;
  readonly door: NatsDoor;
}

export interface NatsService {
  /** Resolves at the first connection; the node does not wait for it. */
  readonly connected: Promise<void>;
  /** A server that is not ready leaves the queue group; see `nats-group.ts`. It is ready at the start. */
  setReady(isReady: boolean): void;
  /** Leaves the group, waits up to `graceMs` for the calls that it answers, closes the connection. */
  stop(graceMs: number): Promise<void>;
}

export function startNatsService(options: NatsServiceOptions): NatsService {
  return new Door(options);
}

/** Subjects below `carillon.<cluster>.api.`, and what they do. */
export const NATS_OPERATIONS = {
  'job.put': 'put',
  'job.get': 'get',
  'job.list': 'list',
  'job.delete': 'delete',
  'job.toggle': 'toggle',
  'job.run': 'run',
  'job.run-get': 'run-get',
  'job.runs': 'runs',
  'job.executions': 'executions',
  'job.execution': 'execution',
  'job.fires': 'fires',
  'job.busy': 'busy',
  'cluster.members': 'members',
  'cluster.leader': 'leader',
  'cluster.health': 'health',
  'cluster.status': 'cluster',
  'cluster.add': 'server-add',
  'cluster.promote': 'server-promote',
  'cluster.replace': 'server-replace',
  'cluster.remove': 'server-remove',
  'cluster.transfer': 'transfer',
} as const satisfies Record<string, OperationName>;

const RETRY_MS = 1_000;
/** After a service that ended unasked. */
const RESTART_MS = 5_000;
const LINES_PER_MINUTE = 6;
/** Calls that are being answered at once; runs that are waited for have a lower bound of their own. */
const CALLS_MAX = 20_000;
/** Room for headers beside the body of an answer. */
const HEADERS_BYTES = 4_096;

type Service = Awaited<ReturnType<Svcm['add']>>;

class Door implements NatsService {
  readonly connected: Promise<void>;
  readonly #options: NatsServiceOptions;
  readonly #log: Log;
  #resolveConnected: () => void = () => {};
  #connection: NatsConnection | undefined;
  #service: Service | undefined;
  /** Unasked, and it has not been started again with success. */
  #hasEnded = false;
  #isReady = true;
  #isStopped = false;
  #retry: Timer | undefined;
  #restart: Timer | undefined;
  #openCalls = 0;
  #idle: (() => void) | undefined;
  /** Changes of the service happen one after another. */
  #changes: Promise<void> = Promise.resolve();

  constructor(options: NatsServiceOptions) {
    this.#options = options;
    this.#log = rateLimited(options.context.log, options.context.clock, LINES_PER_MINUTE);
    this.connected = new Promise((resolve) => {
      this.#resolveConnected = resolve;
    });
    this.#gauge(0);
    void this.#connect();
  }

  setReady(isReady: boolean): void {
    if (this.#isReady === isReady) return;
    this.#isReady = isReady;
    this.#change();
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true;
    this.#retry?.cancel();
    this.#restart?.cancel();
    this.#change();
    await this.#changes;
    await this.#untilIdle(graceMs);
    try {
      // What was answered must leave before the socket ends.
      await this.#connection?.flush();
    } catch {
      // The connection is gone, and with it those who waited.
    }
    await this.#connection?.close();
    this.#gauge(0);
  }

  async #connect(): Promise<void> {
    const { door, nodeName, context } = this.#options;
    try {
      const connection = await connect(clientOptions(door, `${nodeName}/api`));
      if (this.#isStopped) return void (await connection.close());
      this.#connection = connection;
      this.#gauge(1);
      this.#change();
      await this.#changes;
      this.#resolveConnected();
      await this.#watch(connection);
    } catch (error) {
      this.#log.warn('NATS cannot be reached', { servers: door.servers.join(','), error: messageOf(error) });
    }
    if (this.#isStopped) return;
    this.#gauge(0);
    this.#retry = context.clock.after(RETRY_MS, () => void this.#connect());
  }

  /** Ends with the connection, which its client keeps up for ever. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) this.#onStatus(status);
  }

  #onStatus(status: Status): void {
    switch (status.type) {
      case 'disconnect':
        this.#gauge(0);
        if (!this.#isStopped) this.#log.warn('NATS is away', { server: status.server });
        return;
      case 'reconnect':
        this.#gauge(1);
        this.#log.info('NATS is back', { server: status.server });
        // What was not permitted may be now.
        return this.#change();
      case 'error': {
        const { error } = status;
        // Of a subscription it ends the service, which says so once and not for each of its subjects.
        if (error instanceof PermissionViolationError && error.operation === 'subscription') return;
        return this.#log.warn('NATS reports an error', { error: error.message });
      }
      default:
      // The client's own housekeeping.
    }
  }

  #change(): void {
    this.#changes = this.#changes
      .then(() => this.#applyChange())
      .catch((error: unknown) => {
        this.#options.context.log.error('the NATS service could not be changed', { error: messageOf(error) });
      });
  }

  async #applyChange(): Promise<void> {
    const connection = this.#connection;
    const isWanted = this.#isReady && !this.#isStopped;
    if (!isWanted && this.#service !== undefined) {
      const service = this.#service;
      this.#service = undefined;
      if (connection?.isClosed() === false) await service.stop();
    }
    if (!isWanted || connection === undefined || connection.isClosed()) return;
    if (this.#service !== undefined && !this.#service.isStopped) return;
    const { cluster, version } = this.#options;
    const queue = `carillon-${cluster}`;
    const description = `Carillon's API, cluster ${cluster}`;
    const service = await new Svcm(connection).add({ name: 'carillon', version, description, queue });
    for (const [subject, operation] of Object.entries(NATS_OPERATIONS)) {
      service.addEndpoint(subject.replace('.', '-'), {
        subject: `carillon.${cluster}.api.${subject}`,
        queue,
        handler: (error, message) => {
          if (error === null) void this.#answer(operation, message);
        },
      });
    }
    this.#service = service;
    void service.stopped.then((error) => this.#onServiceEnd(service, connection, error));
    await connection.flush();
    if (this.#hasEnded && !service.isStopped) {
      this.#hasEnded = false;
      this.#log.info('the NATS service answers again');
    }
  }

  /** Unasked, or it would be the service no longer; one that ended with its connection is started with the next. */
  #onServiceEnd(service: Service, connection: NatsConnection, error: Error | null): void {
    if (this.#service !== service) return;
    this.#service = undefined;
    if (this.#isStopped || connection.isClosed()) return;
    this.#hasEnded = true;
    this.#log.warn(`the NATS service has ended: it is started again in ${RESTART_MS / 1_000} s`, {
      error: error?.message ?? 'no reason was given',
    });
    this.#restart?.cancel();
    this.#restart = this.#options.context.clock.after(RESTART_MS, () => this.#change());
  }

  /** Never waits for the call before it: one long run must not hold up another. */
  async #answer(operation: OperationName, message: ServiceMsg): Promise<void> {
    if (this.#openCalls >= CALLS_MAX)
      return this.#respond(message, problem('overloaded', `${CALLS_MAX} calls are open`));
    this.#openCalls += 1;
    try {
      this.#respond(message, await this.#perform(operation, message));
    } finally {
      this.#openCalls -= 1;
      if (this.#openCalls === 0) this.#idle?.();
    }
  }

  async #perform(operation: OperationName, message: ServiceMsg): Promise<Answer> {
    try {
      const call = readCall(operation, message);
      return call instanceof CodedError ? failed(call) : await perform(this.#options.context, 'nats', operation, call);
    } catch (error) {
      return this.#fault('a request could not be read', message, error);
    }
  }

  /** A client without an answer waits out its timeout: where this one cannot be written it gets one that can. */
  #respond(message: ServiceMsg, answer: Answer): void {
    try {
      this.#write(message, answer);
    } catch (error) {
      const instead = this.#fault('an answer could not be written', message, error);
      try {
        this.#write(message, instead);
      } catch (lost) {
        this.#log.warn('an answer was lost', { subject: message.subject, error: messageOf(lost) });
      }
    }
  }

  #fault(what: string, { subject }: ServiceMsg, error: unknown): Answer {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.context.log.error(what, { subject, error: text });
    return problemOf(error);
  }

  #write(message: ServiceMsg, given: Answer): void {
    if (this.#connection === undefined || this.#connection.isClosed()) return;
    const payloadMax = this.#connection.info?.max_payload ?? 1024 * 1024;
    let answer = given;
    let text = writeJson(answer.body);
    if (Buffer.byteLength(text) + HEADERS_BYTES > payloadMax) {
      const detail = `the answer is larger than the ${payloadMax} bytes that NATS carries: ask for less with _start and _end, output_size_limit or limit`;
      answer = problem('too-large', detail);
      text = writeJson(answer.body);
    }
    const headers = createHeaders();
    for (const [name, value] of Object.entries(answer.headers)) headers.set(name, shorten(value, 1_000));
    if (answer.isProblem === true) {
      const { detail } = answer.body as { readonly detail: string };
      message.respondError(answer.status, shorten(detail.replace(/[\r\n]+/g, ' '), 500), text, { headers });
    } else {
      message.respond(text, { headers });
    }
  }

  #untilIdle(graceMs: number): Promise<void> {
    if (this.#openCalls === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.context.clock.after(graceMs, resolve);
      this.#idle = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #gauge(value: number): void {
    this.#options.context.metrics.gauge('carillon_nats_connected', value, { connection: 'api' });
  }
}

/** `put` takes the job bare, every other call an object of its name, id and query. */
function readCall(operation: OperationName, message: ServiceMsg): Call | CodedError {
  const requestId = message.headers?.get('Nats-Msg-Id');
  const base = { caller: '', requestId: requestId === '' ? undefined : requestId };
  if (operation === 'put') return { ...base, query: {}, body: message.data, name: '', id: '' };
  if (message.data.byteLength === 0) return { ...base, query: {}, body: message.data, name: '', id: '' };
  try {
    const value = parseJson(message.data);
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      return new CodedError('invalid', 'the body is not a JSON object: send {"name": …} and what else is asked for');
    }
    const { name = '', id = '', ...query } = value as { readonly name?: unknown; readonly id?: unknown };
    if (typeof name !== 'string' || typeof id !== 'string') {
      const [field, wrong] = typeof name === 'string' ? ['id', id] : ['name', name];
      const fault = { field: String(field), value: wrong, allowed: 'a string', message: 'is not a string' };
      return new CodedError('invalid', `${field} is not a string`, { faults: [fault] });
    }
    return { ...base, query, body: message.data, name, id };
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

function failed(error: CodedError): Answer {
  return problem(error.code, error.message, { faults: error.faults });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
