/** Starts the node of `carillon server` in its cluster, with its doors, and stops it on a signal. */
import { systemTurns } from '../actors/system-turns.ts';
import { createHttpDoor, type HttpDoor } from '../api/fastify-http.ts';
import { NatsGroup } from '../api/nats-group.ts';
import { type NatsService, startNatsService } from '../api/nats-service.ts';
import type { ServerBackend } from '../api/server-backend.ts';
import { createPinoLog } from '../base/pino-log.ts';
import { createPromMetrics } from '../base/prom-metrics.ts';
import { SystemClock } from '../base/system-clock.ts';
import { LoopDelay } from '../base/system-loop-delay.ts';
import type { Log } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import { watchRemoval } from '../cluster/removal-watch.ts';
import type { Settings } from '../config.ts';
import { consensusThread } from '../consensus-thread.ts';
import { createIntlZones } from '../jobs/intl-zones.ts';
import { openWorkWires } from '../nats-wires.ts';
import { isServerOf, type RunningNode, startNode } from '../node.ts';
import { readMeta } from '../scheduler/state.ts';
import { joinAsMember, type Member, mint, presenceCheck, waitingServers } from './cluster-member.ts';
import { type ClusterNode, clusterConfig } from './cluster-node.ts';
import { describeDifferences } from './dev-differences.ts';
import { hearStopSignals } from './dev-signals.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';
import {
  advertisedAddress,
  apiContext,
  keepFactsFresh,
  makeExecutors,
  stopProcessWith,
  takeAddress,
} from './node-parts.ts';
import type { Secrets } from './secrets.ts';

/** What callers, once the drain is over, have for taking their answers. */
const GRACE_MS = 1_000;
/** Longer than an election: after it the others elect for themselves. */
const TRANSFER_MS = 2_000;

/** Null: a signal came before the cluster was found. */
export async function startServerNode(
  settings: Settings,
  secrets: Secrets,
  version: string,
): Promise<ClusterNode | null> {
  const log = createPinoLog({ level: settings.logLevel });
  for (const warning of secrets.warnings) log.warn(warning);
  const address = await takeAddress(settings.http);
  const stopAsked = hearStopSignals(settings.drainMs, log);
  const metrics = createPromMetrics({ process: true });
  const onStopProcess = stopProcessWith(log);
  const nodeLog = log.with({ node: settings.nodeName });
  const joining = { settings, secrets, isServer: true, log: nodeLog, metrics, onStopProcess, stopAsked };
  const member = await joinAsMember(joining);
  if (member === null) return null;
  const { directory, disk, way } = member;
  const thread = settings.threads > 1 ? consensusThread({ directory, disk, nats: way, onStopProcess }) : null;
  const loopDelay = new LoopDelay('main');
  let running: RunningNode | undefined;
  const mainText = () => {
    running?.system.sample();
    loopDelay.sample(metrics);
    return metrics.text();
  };
  const zones = createIntlZones();
  const executors = makeExecutors(settings, log);
  const clock = new SystemClock();
  const node = await startNode(
    {
      ...clusterConfig(settings, member, version),
      isServer: true,
      address: advertisedAddress(settings, address),
    },
    {
      clock,
      random: Math.random,
      turns: systemTurns,
      log,
      metrics,
      disk,
      zones,
      executors,
      mint,
      connect: (self) =>
        openWorkWires(way, self, { clock, log: nodeLog, metrics }, { ...member, hearsAll: thread === null }),
      checks: () => [presenceCheck(member)],
      waitingServers: () => waitingServers(member, clock.monotonic()),
      onConfiguration: ({ configuration, index }) => {
        const learners = configuration.learners.map(({ node: learner }) => learner);
        member.presence.setMembership({ voters: configuration.voters, learners, index });
      },
      onStopProcess,
      metricsText: thread === null ? mainText : () => thread.metricsText(mainText),
      ...(thread === null ? {} : { placeConsensus: thread.place }),
    },
  );
  running = node;
  let tellRemoved: () => void = () => {};
  const removed = new Promise<void>((resolve) => {
    tellRemoved = resolve;
  });
  watchRemoval({
    presence: member.presence,
    clock,
    ownIndex: () => node.configuration()?.index ?? 0,
    isNamed: () => isServerOf(node.configuration()?.configuration, node.self.node),
    onRemoved: (error) => {
      log.error(error.message);
      process.exitCode = NODE_EXIT_CODES[error.code] ?? 1;
      tellRemoved();
    },
  });
  const backend = node.backend as ServerBackend;
  const context = apiContext({ node, backend, zones, executors, log, metrics });
  const http = createHttpDoor({ context, nodeName: settings.nodeName, version, apiToken: secrets.apiToken });
  address.release();
  const url = await http.listen(address);
  const endRefreshing = keepFactsFresh(backend, onStopProcess);
  if (node.consensus !== null) warnOfDifferences(settings, readMeta(node.consensus.reader()), log);
  const { cluster, nodeName } = settings;
  const service = startNatsService({ context, cluster, nodeName, version, door: way.door });
  // It joins the group of those who answer as soon as NATS is there.
  service.connected.catch(() => {});
  const endWatching = keepServiceReady(service, backend, clock);
  const parts = { http, service, node, member, endRefreshing, endWatching, drainMs: settings.drainMs, log };
  return { url, directory, ended: Promise.race([stopAsked, removed]).then(() => close(parts)) };
}

function warnOfDifferences(settings: Settings, meta: ReturnType<typeof readMeta>, log: Log): void {
  // Before genesis nothing is written yet.
  if (meta.cluster === '') return;
  for (const line of describeDifferences(settings, meta.settings)) log.warn(line);
}

const READY_MS = 250;

/** A server that should not take calls leaves the group, and comes back. */
function keepServiceReady(service: NatsService, backend: ServerBackend, clock: Clock): () => void {
  const group = new NatsGroup(clock.monotonic());
  const look = async () => {
    const { checks } = await backend.health();
    service.setReady(group.belongs(checks, clock.monotonic()));
  };
  service.setReady(false);
  const timer = setInterval(() => void look(), READY_MS);
  return () => clearInterval(timer);
}

async function close(parts: {
  readonly drainMs: number;
  readonly log: Log;
  readonly http: HttpDoor;
  readonly service: NatsService;
  readonly node: RunningNode;
  readonly member: Member;
  readonly endRefreshing: () => Promise<void>;
  readonly endWatching: () => void;
}): Promise<void> {
  const { node, service, http, member, log, drainMs } = parts;
  parts.endWatching();
  service.setReady(false);
  const next = await node.transfer(TRANSFER_MS);
  if (next !== null && next !== node.self.node) log.info('leadership is handed over', { leader: next });
  if (!(await node.drain(drainMs))) {
    log.warn(`work still runs after ${drainMs} ms: it is ended, and recorded as lost`);
  }
  // Those who wait for a run have what it came to only now.
  await Promise.all([service.stop(GRACE_MS), http.close(GRACE_MS)]);
  await parts.endRefreshing();
  await node.stop();
  await member.close();
}
