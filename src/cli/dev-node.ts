/** Starts the node of `carillon dev` with its doors, and stops it on a signal. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { systemTurns } from '../actors/system-turns.ts';
import { createHttpDoor, type HttpDoor } from '../api/fastify-http.ts';
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
import { createIntlZones } from '../jobs/intl-zones.ts';
import { type RunningNode, startNode } from '../node.ts';
import { readMeta } from '../scheduler/state.ts';
import type { Disk } from '../store/disk.ts';
import { openSystemDisk } from '../store/system-disk.ts';
import { describeDifferences } from './dev-differences.ts';
import { temporaryDirectory } from './dev-leftovers.ts';
import { type DevNats, startDevNats } from './dev-nats.ts';
import { openNatsDoor } from './dev-nats-door.ts';
import { hearStopSignals } from './dev-signals.ts';
import {
  advertisedAddress,
  apiContext,
  keepFactsFresh,
  makeExecutors,
  nodeConfig,
  stopProcessWith,
  type TakenAddress,
  takeAddress,
} from './node-parts.ts';
import type { Secrets } from './secrets.ts';

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

/** What callers, once the drain is over, have for taking their answers. */
const GRACE_MS = 1_000;
/** Usual are a few hundred milliseconds; a slow disk may take many times as long. */
const CAN_RUN_TRIES = 500;
const CAN_RUN_PAUSE_MS = 10;

/** `afterHttp` is called with the URL once the API answers, before NATS is waited for. */
export async function startDevNode(
  settings: Settings,
  secrets: Secrets,
  version: string,
  afterHttp: (url: string) => Promise<void>,
): Promise<DevNode> {
  const sinceMs = performance.now();
  const log = createPinoLog({ level: settings.logLevel });
  for (const warning of secrets.warnings) log.warn(warning);
  const address = await takeAddress(settings.http);
  const stopAsked = hearStopSignals(settings.drainMs, log);
  const temporary = settings.dataDir === '' ? temporaryDirectory('carillon-dev-') : null;
  const directory = temporary?.path ?? resolve(settings.dataDir);
  const disk = await openSystemDisk(directory);
  // Comes up beside the node.
  const startingNats = settings.natsUrl === '' ? startDevNats() : Promise.resolve(null);
  // Waited for below, whatever happens to the rest before.
  startingNats.catch(() => {});
  const removeTemporary = async () => {
    if (temporary === null) return;
    await rm(directory, { recursive: true, force: true });
    temporary.forget();
  };
  try {
    const isTemporary = temporary !== null;
    const starting = { settings, version, log, secrets, address, directory, isTemporary, sinceMs, afterHttp };
    const { close, ...node } = await startOn(disk, startingNats, starting);
    return { ...node, ended: stopAsked.then(close).then(removeTemporary) };
  } catch (error) {
    await (await startingNats.catch(() => null))?.stop();
    await disk.close();
    await removeTemporary();
    throw error;
  }
}

interface Starting {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  readonly secrets: Secrets;
  readonly address: TakenAddress;
  readonly directory: string;
  readonly isTemporary: boolean;
  /** When the start began, `performance.now()`. */
  readonly sinceMs: number;
  readonly afterHttp: (url: string) => Promise<void>;
}

type Started = Omit<DevNode, 'ended'> & { readonly close: () => Promise<void> };

async function startOn(disk: Disk, startingNats: Promise<DevNats | null>, starting: Starting): Promise<Started> {
  const { settings, version, log, secrets, address, directory, isTemporary, sinceMs } = starting;
  const metrics = createPromMetrics({ process: true });
  const loopDelay = new LoopDelay('main');
  const zones = createIntlZones();
  const executors = makeExecutors(settings, log);
  const onStopProcess = stopProcessWith(log);
  const thread = settings.threads > 1 ? consensusThread({ directory, disk, nats: null, onStopProcess }) : null;
  const mainText = () => {
    running?.system.sample();
    loopDelay.sample(metrics);
    return metrics.text();
  };
  let running: RunningNode | undefined;
  const node = await startNode(
    {
      ...nodeConfig(settings, version),
      isServer: true,
      formation: null,
      address: advertisedAddress(settings, address),
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
  const context = apiContext({ node, backend, zones, executors, log, metrics });
  const http = createHttpDoor({ context, nodeName: settings.nodeName, version, apiToken: secrets.apiToken });
  let url: string;
  try {
    address.release();
    url = await http.listen(address);
    await canRun(backend, node);
  } catch (error) {
    await http.close(1_000);
    await node.stop();
    throw error;
  }
  await backend.refreshFacts();
  const endRefreshing = keepFactsFresh(backend, onStopProcess);
  if (node.consensus !== null) {
    const stored = readMeta(node.consensus.reader()).settings;
    for (const line of describeDifferences(settings, stored)) log.warn(line);
  }
  await starting.afterHttp(url);
  const nats = await startingNats;
  const natsUrl = nats?.url ?? (settings.natsUrl === '' ? null : settings.natsUrl);
  const service = natsUrl === null ? null : await openNatsDoor(settings, context, secrets, natsUrl, version);
  if (service === null) metrics.gauge('carillon_nats_connected', 0, { connection: 'api' });
  const startMs = Math.round(performance.now() - sinceMs);
  const parts = { http, service, node, nats, endRefreshing, drainMs: settings.drainMs, log };
  return { url, natsUrl, directory, isTemporary, version, startMs, close: () => close(parts) };
}

/** A cluster of one elects itself at once, and knows this life of its node soon after: only then a run finds a node. */
async function canRun(backend: ServerBackend, { self }: RunningNode): Promise<void> {
  for (let tries = 0; tries < CAN_RUN_TRIES; tries += 1) {
    if ((await backend.health()).isLeader) {
      const { items } = await backend.members();
      if (items.some(({ node, boot, isAlive }) => isAlive && node === self.node && boot === self.boot)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, CAN_RUN_PAUSE_MS));
  }
  const { checks, isLeader } = await backend.health();
  const issues = checks.filter(({ isOk }) => !isOk).map(({ name, detail }) => `${name}: ${detail}`);
  if (!isLeader) issues.unshift('it does not lead its cluster of one');
  throw new CodedError(
    'internal',
    `node '${self.name}' was not ready to run jobs after ${CAN_RUN_TRIES} tries (${issues.join('; ')}): ` +
      'start it again, and with --log-level debug if this happens again; the data directory is unharmed',
  );
}

async function close(parts: {
  readonly drainMs: number;
  readonly log: Log;
  readonly http: HttpDoor;
  readonly service: NatsService | null;
  readonly node: RunningNode;
  readonly nats: DevNats | null;
  readonly endRefreshing: () => Promise<void>;
}): Promise<void> {
  parts.service?.setReady(false);
  if (!(await parts.node.drain(parts.drainMs))) {
    parts.log.warn(`work still runs after ${parts.drainMs} ms: it is ended, and recorded as lost at the next start`);
  }
  // Those who wait for a run have what it came to only now.
  await Promise.all([parts.service?.stop(GRACE_MS), parts.http.close(GRACE_MS)]);
  await parts.endRefreshing();
  await parts.node.stop();
  await parts.nats?.stop();
}
