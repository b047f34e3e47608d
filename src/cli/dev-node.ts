/** Starts the node of `carillon dev` with its doors, and stops it on a signal. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemTurns } from '../actors/system-turns.ts';
import { type ApiContext, WAITING_MAX } from '../api/call.ts';
import { createHttpDoor, type HttpDoor } from '../api/fastify-http.ts';
import { type NatsAddress, parseNatsAddress } from '../api/nats-address.ts';
import type { NatsService } from '../api/nats-service.ts';
import type { ServerBackend } from '../api/server-backend.ts';
import { CodedError } from '../base/errors.ts';
import { createPinoLog } from '../base/pino-log.ts';
import { createPromMetrics } from '../base/prom-metrics.ts';
import { SystemClock } from '../base/system-clock.ts';
import { LoopDelay } from '../base/system-loop-delay.ts';
import type { Log } from '../base/telemetry.ts';
import type { Settings } from '../config.ts';
import { consensusThread } from '../consensus-thread.ts';
import type { Executor } from '../executors/executor.ts';
import { FunctionExecutor } from '../executors/function-executor.ts';
import { HttpExecutor } from '../executors/http-executor.ts';
import { ShellExecutor } from '../executors/shell-executor.ts';
import { createIntlZones } from '../jobs/intl-zones.ts';
import { type RunningNode, startNode } from '../node.ts';
import type { Disk } from '../store/disk.ts';
import { openSystemDisk } from '../store/system-disk.ts';
import { type DevNats, startDevNats } from './dev-nats.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';

export interface DevNode {
  readonly url: string;
  readonly natsUrl: string | null;
  readonly directory: string;
  readonly isTemporary: boolean;
  readonly version: string;
  /** From the call to the first answer of the API. */
  readonly startMs: number;
  /** Resolves when the node has stopped after a signal. */
  readonly ended: Promise<void>;
}

/** What a stop takes at most beyond the drain. */
const STOP_MS = 10_000;
const FACTS_MS = 1_000;

/** `afterHttp` is called with the URL once the API answers, before NATS is waited for. */
export async function startDevNode(
  settings: Settings,
  version: string,
  afterHttp: (url: string) => Promise<void>,
): Promise<DevNode> {
  const sinceMs = performance.now();
  const log = createPinoLog({ level: settings.logLevel });
  const natsDoor = await readNatsDoor(settings);
  await assertAddressFree(settings.http);
  const isTemporary = settings.dataDir === '';
  const directory = isTemporary ? await mkdtemp(join(tmpdir(), 'carillon-dev-')) : resolve(settings.dataDir);
  const disk = await openSystemDisk(directory);
  // Comes up beside the node.
  const startingNats = settings.natsUrl === '' ? startDevNats() : Promise.resolve(null);
  try {
    const starting = { settings, version, log, natsDoor, directory, isTemporary, sinceMs, afterHttp };
    return await startOn(disk, startingNats, starting);
  } catch (error) {
    await (await startingNats)?.stop();
    if (isTemporary) await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

interface Starting {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  readonly natsDoor: NatsDoorSettings;
  readonly directory: string;
  readonly isTemporary: boolean;
  /** When the start began, `performance.now()`. */
  readonly sinceMs: number;
  readonly afterHttp: (url: string) => Promise<void>;
}

async function startOn(disk: Disk, startingNats: Promise<DevNats | null>, starting: Starting): Promise<DevNode> {
  const { settings, version, log, natsDoor, directory, isTemporary, sinceMs } = starting;
  const metrics = createPromMetrics({ process: true });
  const loopDelay = new LoopDelay('main');
  const zones = createIntlZones();
  const executors = makeExecutors(settings, log);
  const onStopProcess = (error: unknown, actor: string) => {
    const code = error instanceof CodedError ? error.code : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    log.error(`${actor} failed, the node stops: ${message}`, { code });
    process.exit(NODE_EXIT_CODES[code] ?? 1);
  };
  const thread = settings.threads > 1 ? consensusThread({ directory, disk, onStopProcess }) : null;
  const mainText = () => {
    running?.system.sample();
    loopDelay.sample(metrics);
    return metrics.text();
  };
  let running: RunningNode | undefined;
  const node = await startNode(
    {
      nodeName: settings.nodeName,
      cluster: settings.cluster,
      isServer: true,
      tags: settings.tags,
      slots: settings.slots,
      settings: {
        defaultZone: settings.defaultZone,
        defaultTargets: settings.defaultTargets,
        keepFiresMs: settings.keepFiresMs,
      },
      formation: null,
      version,
      address: `${settings.http.host}:${settings.http.port}`,
    },
    {
      clock: new SystemClock(),
      random: Math.random,
      turns: systemTurns,
      log,
      metrics,
      disk,
      zones,
      executors,
      mint: () => randomBytes(16).toString('hex'),
      connect: null,
      onStopProcess,
      metricsText: thread === null ? mainText : () => thread.metricsText(mainText),
      ...(thread === null ? {} : { placeConsensus: thread.place }),
    },
  );
  running = node;
  const backend = node.backend as ServerBackend;
  const context: ApiContext = {
    backend,
    clock: node.system.clock,
    zones,
    executors: [...executors.keys()],
    log,
    metrics,
    makeRequestId: randomUUID,
    waiting: { count: 0, countMax: WAITING_MAX },
  };
  const http = createHttpDoor({ context, nodeName: settings.nodeName, version });
  let url: string;
  try {
    url = await http.listen(settings.http);
  } catch (error) {
    await node.stop();
    throw error;
  }
  await canRun(backend, node);
  const refreshing = setInterval(() => void backend.refreshFacts(), FACTS_MS);
  await backend.refreshFacts();
  await starting.afterHttp(url);
  const nats = await startingNats;
  const natsUrl = nats?.url ?? (settings.natsUrl === '' ? null : settings.natsUrl);
  const service = natsUrl === null ? null : await openNatsDoor(settings, context, natsDoor, natsUrl, version);
  if (service === null) metrics.gauge('carillon_nats_connected', 0);
  const startMs = Math.round(performance.now() - sinceMs);
  const ended = stopOnSignal(
    async () => {
      clearInterval(refreshing);
      await close({ http, service, node, nats, drainMs: settings.drainMs, log });
      if (isTemporary) await rm(directory, { recursive: true, force: true });
    },
    settings.drainMs,
    log,
  );
  return { url, natsUrl, directory, isTemporary, version, startMs, ended };
}

function makeExecutors(settings: Settings, log: Log): ReadonlyMap<string, Executor> {
  const environment = process.env;
  const inheritEnvironment = settings.inheritEnv;
  return new Map<string, Executor>([
    ['shell', new ShellExecutor({ environment, inheritEnvironment, log })],
    ['http', new HttpExecutor()],
    ['function', new FunctionExecutor({ directory: settings.functionsDir, environment, inheritEnvironment, log })],
  ]);
}

interface NatsDoorSettings {
  readonly address: NatsAddress | null;
  readonly creds: Uint8Array | null;
}

/** Read before anything is made, so that a mistake leaves nothing behind. */
async function readNatsDoor({ natsUrl, natsCreds }: Settings): Promise<NatsDoorSettings> {
  try {
    return {
      address: natsUrl === '' ? null : parseNatsAddress(natsUrl),
      creds: natsCreds === '' ? null : await readFile(natsCreds),
    };
  } catch (error) {
    const field = error instanceof CodedError ? 'nats-url' : 'nats-creds';
    throw new CodedError('settings', `${field}: ${(error as Error).message}`, { cause: error });
  }
}

async function openNatsDoor(
  settings: Settings,
  context: ApiContext,
  { address, creds }: NatsDoorSettings,
  url: string,
  version: string,
): Promise<NatsService> {
  // Loaded now, so that HTTP and the first fire need not wait for it.
  const { startNatsService } = await import('../api/nats-service.ts');
  const service = startNatsService({
    context,
    cluster: settings.cluster,
    nodeName: settings.nodeName,
    version,
    address: address ?? parseNatsAddress(url),
    ...(creds === null ? {} : { creds }),
  });
  // A NATS that is away is no reason not to start: the door opens when it is there.
  service.connected.catch(() => {});
  return service;
}

/** Asked first: a start that fails on its port must not have formed a cluster before. */
function assertAddressFree({ host, port }: Settings['http']): Promise<void> {
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

/** A cluster of one elects itself at once, and knows this life of its node soon after: only then a run finds a node. */
async function canRun(backend: ServerBackend, { self }: RunningNode): Promise<void> {
  for (let waited = 0; waited < 500; waited += 1) {
    if ((await backend.health()).isLeader) {
      const { items } = await backend.members();
      if (items.some(({ node, boot, isAlive }) => isAlive && node === self.node && boot === self.boot)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function close(parts: {
  readonly drainMs: number;
  readonly log: Log;
  readonly http: HttpDoor;
  readonly service: NatsService | null;
  readonly node: RunningNode;
  readonly nats: DevNats | null;
}): Promise<void> {
  await parts.service?.stop(1_000);
  if (!(await parts.node.drain(parts.drainMs))) {
    parts.log.warn(`work still runs after ${parts.drainMs} ms: it is ended, and recorded as lost at the next start`);
  }
  await parts.http.close(1_000);
  await parts.node.stop();
  await parts.nats?.stop();
}

/** The first signal drains and stops; the second stops at once. */
function stopOnSignal(stop: () => Promise<void>, drainMs: number, log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isStopping) process.exit(1);
      isStopping = true;
      log.info(`${signal}: running work may end, for ${drainMs} ms at most; once more stops at once`);
      const overdue = setTimeout(() => process.exit(1), drainMs + STOP_MS);
      overdue.unref();
      stop().then(resolve, reject);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
