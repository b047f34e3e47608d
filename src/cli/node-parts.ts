/** What `dev`, `server` and `agent` make alike around a node. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { type ApiContext, WAITING_MAX } from '../api/call.ts';
import type { ServerBackend } from '../api/server-backend.ts';
import { CodedError } from '../base/errors.ts';
import { endWithCode } from '../base/system-native-work.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Settings } from '../config.ts';
import type { Executor } from '../executors/executor.ts';
import { FunctionExecutor } from '../executors/function-executor.ts';
import { HttpExecutor } from '../executors/http-executor.ts';
import { ShellExecutor } from '../executors/shell-executor.ts';
import type { Zones } from '../jobs/zone.ts';
import type { RunningNode } from '../node.ts';
import type { HttpAddress, NodeSettings } from '../settings-table.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';

export type StopProcess = (error: unknown, actor: string) => void;

const FACTS_MS = 1_000;

export function makeExecutors(
  settings: Pick<Settings, 'inheritEnv' | 'functionsDir'>,
  log: Log,
): ReadonlyMap<string, Executor> {
  const environment = process.env;
  const inheritEnvironment = settings.inheritEnv;
  return new Map<string, Executor>([
    ['shell', new ShellExecutor({ environment, inheritEnvironment, log })],
    ['http', new HttpExecutor()],
    ['function', new FunctionExecutor({ directory: settings.functionsDir, environment, inheritEnvironment, log })],
  ]);
}

/** For actors whose failure must not be survived: a clear line and the exit code of its kind. */
export function stopProcessWith(log: Log): StopProcess {
  return (error, actor) => {
    const code = error instanceof CodedError ? error.code : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    // What an operator can act on says all in its words; for a fault of ours the place is what counts.
    const stack = code === 'internal' && error instanceof Error ? { stack: error.stack } : {};
    log.error(`${actor} failed, the node stops: ${message}`, { code, ...stack });
    endWithCode(NODE_EXIT_CODES[code] ?? 1);
  };
}

/** For the doors of a server. */
export function apiContext(parts: {
  readonly node: RunningNode;
  readonly backend: ServerBackend;
  readonly zones: Zones;
  readonly executors: ReadonlyMap<string, Executor>;
  readonly log: Log;
  readonly metrics: Metrics;
}): ApiContext {
  const { node, backend, zones, executors, log, metrics } = parts;
  return {
    backend,
    clock: node.system.clock,
    zones,
    executors: [...executors.keys()],
    log,
    metrics,
    makeRequestId: randomUUID,
    waiting: { count: 0, countMax: WAITING_MAX },
  };
}

/** What every node starts with, whatever its command. */
export function nodeConfig(settings: Omit<Settings, 'http'>, version: string) {
  const { nodeName, cluster, tags, slots, defaultZone, defaultTargets, keepFiresMs } = settings;
  return { nodeName, cluster, tags, slots, settings: { defaultZone, defaultTargets, keepFiresMs }, version };
}

/** The address of a node's HTTP, before the node is there to listen on it. */
export interface TakenAddress extends HttpAddress {
  /** To be called right before somebody listens there. */
  release(): void;
}

/**
 * Asked first: a start that fails on its port must not have formed a cluster before. For port 0 a free one is found and
 * kept, since a node says where it is before it listens.
 */
export function takeAddress({ host, port }: HttpAddress): Promise<TakenAddress> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return resolve({ host, port, release() {} });
      reject(
        new CodedError('address-in-use', `${host}:${port} is in use: choose another --http-addr`, { cause: error }),
      );
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      if (port === 0 && typeof address === 'object' && address !== null) {
        server.unref();
        return resolve({ host, port: address.port, release: () => void server.close() });
      }
      server.close(() => resolve({ host, port, release() {} }));
    });
  });
}

/** What members show. Nobody can ask "all addresses of this machine", but others mostly find it by its name. */
export function advertisedAddress(
  { advertise }: Pick<NodeSettings, 'advertise'>,
  { host, port }: HttpAddress,
  hostName = hostname(),
): string {
  if (advertise !== null) return addressText(advertise);
  return addressText({ host: WILDCARDS.has(host) ? hostName : host, port });
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

function addressText({ host, port }: HttpAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** At once, and then again and again. Ends with the promise that it returns: the state must not be closed under a reading. */
export function keepFactsFresh(backend: ServerBackend, onStopProcess: StopProcess): () => Promise<void> {
  let reading: Promise<void> | null = null;
  const read = () => {
    reading ??= backend.refreshFacts().then(
      () => {
        reading = null;
      },
      (error: unknown) => onStopProcess(error, 'facts'),
    );
  };
  read();
  const timer = setInterval(read, FACTS_MS);
  return async () => {
    clearInterval(timer);
    await reading;
  };
}
