/**
 * One connection of a node to NATS, kept up for ever. What is published while it is away is dropped here: the client
 * would keep it without a word, and discard it at its next dial or send it late. Subscriptions outlive the connection.
 */
import { type NatsConnection as Client, connect, type Msg, PermissionViolationError, type Status } from 'nats';
import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';
import { clientOptions, type NatsDoor } from './nats-door.ts';
import { Interest } from './nats-interest.ts';
import { REDIAL_MS } from './redial-delay.ts';
import { SendWindow } from './send-window.ts';

export type NatsStatus = 'connected' | 'away';

export interface NatsConnection {
  readonly status: NatsStatus;
  /** With `reply`, NATS answers there with status 503 if nobody listens. Dropped and counted if it cannot leave now. */
  publish(subject: string, payload: Uint8Array, reply?: string): void;
  /** Until the returned function is called. */
  subscribe(subject: string, listener: (message: Msg) => void): () => void;
  onStatus(listener: (status: NatsStatus) => void): void;
  /** Resolves once the server has read all that was published, and all that it had for us before has arrived. */
  flush(): Promise<void>;
  /** What was published has left then, if the server reads. */
  close(): Promise<void>;
}

export interface NatsConnectionOptions {
  readonly door: NatsDoor;
  readonly nodeName: string;
  /** What it is for, in one word; NATS shows `nodeName/purpose`. */
  readonly purpose: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Returns at once; the first connection may come at any time. */
export function openNatsConnection(options: NatsConnectionOptions): NatsConnection {
  return new Connection(options);
}

const CLOSE_MS = 500;
const LINES_PER_MINUTE = 6;
/** Unread by the server: many snapshot chunks, and far less than a process has to spare. */
const WINDOW = { bytesMax: 16 * 1024 * 1024, markEveryBytes: 256 * 1024 };

class Connection implements NatsConnection {
  readonly #options: NatsConnectionOptions;
  readonly #log: Log;
  readonly #window = new SendWindow(WINDOW);
  readonly #interests = new Set<Interest>();
  readonly #listeners: ((status: NatsStatus) => void)[] = [];
  #client: Client | undefined;
  #status: NatsStatus = 'away';
  #isClosed = false;
  #retry: Timer | undefined;

  constructor(options: NatsConnectionOptions) {
    this.#options = options;
    const { clock, log, purpose } = options;
    this.#log = rateLimited(log.with({ connection: purpose }), clock, LINES_PER_MINUTE);
    this.#dial();
  }

  get status(): NatsStatus {
    return this.#status;
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    const client = this.#client;
    // Gone during a dial, which may begin a moment before the status says that the connection broke.
    const info = client?.info;
    if (client === undefined || info === undefined || this.#status === 'away') return this.#drop('away');
    if (payload.byteLength > info.max_payload)
      return this.#dropOversized(subject, payload.byteLength, info.max_payload);
    if (!this.#window.take(payload.byteLength)) {
      this.#log.warn('NATS does not read: frames are dropped', { subject });
      return this.#drop('congested');
    }
    client.publish(subject, payload, reply === undefined ? undefined : { reply });
    if (this.#window.mark()) this.#confirmMark(client);
  }

  subscribe(subject: string, listener: (message: Msg) => void): () => void {
    const interest = new Interest({ subject, listener, clock: this.#options.clock, log: this.#log });
    this.#interests.add(interest);
    if (this.#client !== undefined) interest.attach(this.#client);
    return () => {
      this.#interests.delete(interest);
      interest.end();
    };
  }

  onStatus(listener: (status: NatsStatus) => void): void {
    this.#listeners.push(listener);
  }

  flush(): Promise<void> {
    if (this.#client === undefined || this.#status === 'away') return Promise.reject(new Error('NATS is away'));
    return this.#client.flush();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#retry?.cancel();
    const client = this.#client;
    if (client !== undefined && this.#status === 'connected') await this.#lastFlush(client);
    for (const interest of this.#interests) interest.end();
    this.#interests.clear();
    this.#setStatus('away');
    await client?.close();
  }

  #dial(): void {
    const { door, nodeName, purpose } = this.#options;
    // Not in this turn: bad credentials throw at once.
    Promise.resolve()
      .then(() => connect(clientOptions(door, `${nodeName}/${purpose}`)))
      .then(
        (client) => this.#take(client),
        (error: unknown) => this.#failed(error),
      );
  }

  #take(client: Client): void {
    if (this.#isClosed) {
      // Nobody waits for it any more.
      void client.close();
      return;
    }
    this.#client = client;
    for (const interest of this.#interests) interest.attach(client);
    void this.#watch(client);
    this.#connected('NATS is there', client.getServer());
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    const { clock, door } = this.#options;
    this.#log.warn('NATS cannot be reached', { servers: door.servers.join(','), error: messageOf(error) });
    this.#retry = clock.after(REDIAL_MS, () => this.#dial());
  }

  async #watch(client: Client): Promise<void> {
    for await (const status of client.status()) this.#onClientStatus(status);
    if (this.#isClosed) return;
    // The client gave up for good, which only happens when it cannot even say who it is. A new one takes over.
    this.#client = undefined;
    this.#setStatus('away');
    this.#failed('the client ended');
  }

  #onClientStatus(status: Status): void {
    switch (status.type) {
      case 'disconnect':
        if (this.#status === 'connected') this.#log.warn('NATS is away', { server: status.server });
        this.#setStatus('away');
        return;
      case 'reconnect':
        return this.#connected('NATS is back', status.server);
      case 'error': {
        const { error } = status;
        const message = error instanceof PermissionViolationError ? 'NATS permits it not' : 'NATS reports an error';
        return this.#log.warn(message, { error: error.message });
      }
      case 'staleConnection':
        return this.#log.warn('NATS does not answer pings');
      case 'ldm':
        return this.#log.info('this NATS server is about to stop', { server: status.server });
      default:
      // The client's own housekeeping.
    }
  }

  #connected(message: string, server: string): void {
    this.#window.reset();
    this.#log.info(message, { server });
    this.#setStatus('connected');
  }

  #setStatus(status: NatsStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    for (const listener of this.#listeners) listener(status);
  }

  #confirmMark(client: Client): void {
    client.flush().then(
      () => this.#window.confirm(),
      () => {
        // The connection broke; the next one begins with an empty window.
      },
    );
  }

  async #lastFlush(client: Client): Promise<void> {
    let timer: Timer | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(CLOSE_MS, resolve);
    });
    // A broken connection has nothing left to wait for.
    await Promise.race([client.flush().catch(() => {}), timeout]);
    timer?.cancel();
  }

  #drop(reason: 'away' | 'congested'): void {
    this.#options.metrics.count('carillon_unsent_frames_total', { reason });
  }

  #dropOversized(subject: string, bytes: number, bytesMax: number): void {
    this.#options.metrics.count('carillon_oversized_frames_total');
    this.#log.warn('a frame is larger than NATS carries: raise max_payload of the nats-server', {
      subject,
      bytes,
      bytesMax,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
