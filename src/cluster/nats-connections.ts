import { strict as assert } from 'node:assert';
import {
  type NatsConnection,
  type NatsConnectionOptions,
  type NatsStatus,
  openNatsConnection,
} from './nats-connection.ts';

export interface NatsConnectionsOptions extends Omit<NatsConnectionOptions, 'purpose'> {
  /** One connection each: what must not queue behind another thing has a purpose of its own. */
  readonly purposes: readonly string[];
}

/** The connections of one thread of a node; `connected` while all of them stand. */
export interface NatsConnections {
  get(purpose: string): NatsConnection;
  readonly status: NatsStatus;
  onStatus(listener: (status: NatsStatus) => void): void;
  close(): Promise<void>;
}

export function openNatsConnections(options: NatsConnectionsOptions): NatsConnections {
  const { purposes, metrics } = options;
  const connections = new Map<string, NatsConnection>();
  for (const purpose of purposes) connections.set(purpose, openNatsConnection({ ...options, purpose }));
  const listeners: ((status: NatsStatus) => void)[] = [];
  let status: NatsStatus = 'away';

  const look = (): void => {
    const all = [...connections.values()];
    const now = all.every((connection) => connection.status === 'connected') ? 'connected' : 'away';
    if (now === status) return;
    status = now;
    for (const listener of listeners) listener(status);
  };
  for (const [purpose, connection] of connections) {
    const gauge = (now: NatsStatus): void =>
      metrics.gauge('carillon_nats_connected', now === 'connected' ? 1 : 0, { connection: purpose });
    gauge(connection.status);
    connection.onStatus((now) => {
      gauge(now);
      look();
    });
  }

  return {
    get(purpose) {
      const connection = connections.get(purpose);
      assert(connection !== undefined, `no connection to NATS for ${purpose}`);
      return connection;
    },
    get status() {
      return status;
    },
    onStatus: (listener) => void listeners.push(listener),
    async close() {
      await Promise.all([...connections.values()].map((connection) => connection.close()));
    },
  };
}
