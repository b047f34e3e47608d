/** What `dev`, `server` and `agent` make alike around a node. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { type ApiContext, WAITING_MAX } from '../api/call.ts';
import type { ServerBackend } from '../api/server-backend.ts';
import { CodedError } from '../base/errors.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Settings } from '../config.ts';
import type { Executor } from '../executors/executor.ts';
import { FunctionExecutor } from '../executors/function-executor.ts';
import { HttpExecutor } from '../executors/http-executor.ts';
import { ShellExecutor } from '../executors/shell-executor.ts';
import type { Zones } from '../jobs/zone.ts';
import type { RunningNode } from '../node.ts';
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
    log.error(`${actor} failed, the node stops: ${message}`, { code });
    process.exit(NODE_EXIT_CODES[code] ?? 1);
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

/** Asked first: a start that fails on its port must not have formed a cluster before. */
export function assertAddressFree({ host, port }: Settings['http']): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return resolve();
      reject(
        new CodedError('address-in-use', `${host}:${port} is in use: choose another --http-addr`, { cause: error }),
      );
    });
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

/** Ends with the promise that it returns: the state must not be closed under a reading. */
export function keepFactsFresh(backend: ServerBackend, onStopProcess: StopProcess): () => Promise<void> {
  let reading: Promise<void> | null = null;
  const timer = setInterval(() => {
    reading ??= backend.refreshFacts().then(
      () => {
        reading = null;
      },
      (error: unknown) => onStopProcess(error, 'facts'),
    );
  }, FACTS_MS);
  return async () => {
    clearInterval(timer);
    await reading;
  };
}
