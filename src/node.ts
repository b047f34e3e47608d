/**
 * One node, from its settings and its platform: identity, consensus (on a server), work, backend. Everything that
 * touches the world comes in through `Platform`; the simulator passes a virtual one and runs whole clusters in one
 * thread. `consensus-thread.ts` puts the consensus side on a thread of its own.
 */
import type { ActorRef } from './actors/actor.ts';
import { askPromise } from './actors/ask.ts';
import { ActorSystem } from './actors/system.ts';
import type { Turns } from './actors/turns.ts';
import type { HealthView, KnownServer } from './api/backend.ts';
import { type BackendMessage, createBackendActor, NO_PROGRESS } from './api/backend-actor.ts';
import { isJobGone, leaderCheck, sessionCheck } from './api/disk-facts.ts';
import { DiskReader } from './api/disk-reader.ts';
import { ServerBackend } from './api/server-backend.ts';
import {
  type Consensus,
  type ConsensusProbes,
  DEFAULT_TIMING,
  type Doors,
  routeArrival,
  type Self,
  startConsensus,
  startWork,
  type Timing,
  type Work,
} from './assembly.ts';
import type { Random } from './base/random.ts';
import type { Log, Metrics } from './base/telemetry.ts';
import type { Clock } from './base/time.ts';
import { type Identity, joinCluster, openIdentity } from './cluster/identity.ts';
import type { Transport } from './cluster/transport.ts';
import type { Executor } from './executors/executor.ts';
import { readOutput } from './executors/output-store.ts';
import type { Zones } from './jobs/zone.ts';
import { drain } from './node-drain.ts';
import { ballotFileOn } from './raft/ballot.ts';
import { bootstrapLog } from './raft/log-open.ts';
import type { Configuration } from './raft/raft-protocol.ts';
import { Schedules } from './scheduler/chain.ts';
import { DEFAULT_SETTINGS, type Settings } from './scheduler/settings.ts';
import type { State } from './scheduler/state.ts';
import type { ConfigurationMessage, Progress } from './scheduler/state-actor.ts';
import type { Disk } from './store/disk.ts';
import type { Storage } from './store/storage.ts';

export interface NodeConfig {
  readonly nodeName: string;
  readonly cluster: string;
  readonly isServer: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  /** Of the cluster, at genesis. */
  readonly settings?: Partial<Settings>;
  readonly timing?: Partial<Timing>;
  /** Which cluster the node belongs to; null: it is a cluster of its own. */
  readonly formation: { readonly clusterUuid: string; readonly voters: readonly string[] } | null;
  /** Of a directory that has been opened already, for this boot; absent: it is opened here. */
  readonly identity?: Identity;
  readonly version: string;
  /** Where clients reach it; shown among the members. */
  readonly address: string;
}

export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly turns: Turns;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly disk: Disk;
  readonly zones: Zones;
  readonly executors: ReadonlyMap<string, Executor>;
  /** A new random id: 32 hex characters. */
  readonly mint: () => string;
  /** What else must be in order for the node to be ready. */
  readonly checks?: () => HealthView['checks'];
  /** Prometheus text of all threads, for `/metrics`. */
  readonly metricsText?: () => Promise<string>;
  /** Other servers vote or learn by now, as this server's log says; committed. */
  readonly onConfiguration?: (message: ConfigurationMessage) => void;
  /** Servers that were heard and belong to no cluster yet. */
  readonly waitingServers?: () => readonly KnownServer[];
  /** Connects this life of the node; null where there is no other node. */
  readonly connect: ((self: Self) => Transport) | null;
  readonly onStopProcess: (error: unknown, actor: string) => void;
  /** Of the consensus side in this thread, for the simulator. */
  readonly probes?: ConsensusProbes;
  /** Starts the consensus side on a thread of its own; absent: it lives in this one. */
  readonly placeConsensus?: (place: {
    readonly self: Self;
    readonly timing: Timing;
    readonly system: ActorSystem;
  }) => Promise<PlacedConsensus>;
}

/** The consensus side, wherever it lives. */
export interface PlacedConsensus extends Pick<Consensus, 'submission' | 'dispatcher' | 'membership' | 'stateActor'> {
  /** Null where its actors get their frames on their own thread. */
  readonly raft: Consensus['raft'] | null;
  /** Null on another thread. */
  readonly state: State | null;
  /** The durable state, for reads; follows when a snapshot moves it. */
  readonly reader: () => Storage;
  follow(progress: Progress): void;
  /** Hands leadership to another server, if this one leads. Gives who leads then, or null. */
  transfer(timeoutMs: number): Promise<string | null>;
  stop(): Promise<void>;
}

export interface RunningNode {
  readonly self: Self;
  readonly system: ActorSystem;
  /** Null on an agent. */
  readonly consensus: PlacedConsensus | null;
  readonly work: Work;
  /** What clients can ask here; null on an agent. */
  readonly backend: ServerBackend | null;
  readonly progress: () => Progress | null;
  /** Who votes and who learns, committed, as this server's log says; null before it has said, and on an agent. */
  readonly configuration: () => ConfigurationMessage | null;
  /** On an agent: these are the servers from now on. */
  setServers(servers: readonly string[]): void;
  /** Hands leadership to another server, where there is one; so that a stop costs the cluster no election. */
  transfer(timeoutMs: number): Promise<string | null>;
  /**
   * Is no longer ready, starts nothing new and waits for what runs, at most so long; true: all has ended and every
   * result is taken. Then the node also leaves: it gives up its session, if a leader answers soon.
   */
  drain(timeoutMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

export async function startNode(config: NodeConfig, platform: Platform): Promise<RunningNode> {
  const self = await takeIdentity(config, platform);
  const { disk, clock, random, log, metrics, turns, executors, zones } = platform;
  const nodeLog = log.with({ node: config.nodeName });
  const system = new ActorSystem({
    thread: 'main',
    clock,
    random,
    log: nodeLog,
    metrics,
    turns,
    onStopProcess: platform.onStopProcess,
  });
  const timing = { ...DEFAULT_TIMING, ...config.timing };
  const transport = platform.connect?.(self) ?? null;
  let consensus: PlacedConsensus | null = null;
  let progress: Progress | null = null;
  let servers = self.voters;
  let configuration: ConfigurationMessage | null = null;
  let isDraining = false;
  const parts: { work?: Work; reader?: DiskReader } = {};
  const backendActor = config.isServer
    ? system.spawn<BackendMessage>({
        name: 'backend',
        supervision: { type: 'stop-process' },
        create: createBackendActor({
          onProgress(heard) {
            progress = heard;
            consensus?.follow(heard);
          },
          onConfiguration(heard) {
            // A server that joins has no entry yet, and what is not committed may be taken back.
            if (heard.index === 0 || !heard.isCommitted) return;
            servers = serversOf(heard.configuration);
            configuration = heard;
            platform.onConfiguration?.(heard);
          },
          onJobDeleted: (uid) => parts.work?.output?.send({ type: 'forget-job', uid }),
        }),
      })
    : null;
  // A thread of its own comes up while the work side does.
  const placing = backendActor === null ? undefined : platform.placeConsensus?.({ self, timing, system });
  placing?.catch(() => {});
  let work: Work;
  try {
    work = await startWork({
      self,
      timing,
      system,
      disk,
      isServer: config.isServer,
      tags: config.tags,
      slots: config.slots,
      version: config.version,
      address: config.address,
      executors,
      transport,
      servers: () => servers,
      isJobGone: (uid) => parts.reader !== undefined && isJobGone(parts.reader, uid),
      dispatcher: () => consensus?.dispatcher ?? null,
    });
  } catch (error) {
    // Where the thread failed as well, this error is as good as its.
    const placed = await placing?.catch(() => undefined);
    await placed?.stop();
    throw error;
  }
  parts.work = work;
  let backend: ServerBackend | null = null;
  if (backendActor !== null) {
    const here = { self, timing, system, transport, work, backend: backendActor };
    const placed = placing === undefined ? await startConsensusHere(platform, here) : await placing;
    consensus = placed;
    const reader = new DiskReader(placed.reader);
    parts.reader = reader;
    backend = new ServerBackend({
      cluster: config.cluster,
      reader,
      schedules: new Schedules(zones),
      submission: placed.submission,
      membership: placed.membership,
      servers: () => servers,
      waitingServers: () => platform.waitingServers?.() ?? [],
      state: placed.stateActor,
      progressNow: () => progress ?? NO_PROGRESS,
      readOutput: (execution) => (work.outputStorage === null ? undefined : readOutput(work.outputStorage, execution)),
      outputs: work.output,
      checks: () => [
        leaderCheck(reader, progress?.leader ?? null),
        { name: 'not-draining', isOk: !isDraining, detail: isDraining ? 'the node is about to stop' : '' },
        sessionCheck(reader, self, config.slots),
        ...(platform.checks?.() ?? []),
      ],
      metrics: platform.metricsText ?? (() => Promise.resolve('')),
    });
  }
  const doors: Doors = {
    raft: consensus?.raft ?? null,
    dispatcher: consensus?.dispatcher ?? null,
    submission: consensus?.submission ?? null,
    membership: consensus?.membership ?? null,
    executor: work.executor,
    output: work.output,
  };
  transport?.onArrival((arrival) => routeArrival(doors, arrival));
  transport?.onUnreachable((node) => doors.raft?.send({ type: 'unreachable', node }));
  return {
    self,
    system,
    consensus,
    work,
    backend,
    progress: () => progress,
    configuration: () => configuration,
    setServers(heard) {
      servers = heard;
    },
    transfer: async (timeoutMs) => (await consensus?.transfer(timeoutMs)) ?? null,
    drain(timeoutMs) {
      isDraining = true;
      return drain({ work, stateActor: consensus?.stateActor ?? null, clock, timeoutMs });
    },
    async stop() {
      await consensus?.stop();
      system.stopAll();
      await transport?.close();
      for (const executor of executors.values()) await executor.close();
      await disk.close();
    },
  };
}

export function isServerOf(configuration: Configuration | undefined, node: string): boolean {
  return configuration !== undefined && serversOf(configuration).includes(node);
}

function serversOf({ voters, outgoing, learners }: Configuration): readonly string[] {
  return [...new Set([...voters, ...outgoing, ...learners.map(({ node }) => node)])].sort();
}

async function startConsensusHere(
  { disk, zones, probes }: Platform,
  parts: {
    readonly self: Self;
    readonly timing: Timing;
    readonly system: ActorSystem;
    readonly transport: Transport | null;
    readonly work: Work;
    readonly backend: ActorRef<BackendMessage>;
  },
): Promise<PlacedConsensus> {
  const { self, timing, system, transport, work, backend } = parts;
  const consensus = await startConsensus({
    self,
    timing,
    system,
    disk,
    zones,
    transport,
    executor: work.executor,
    backend,
    ...(probes === undefined ? {} : { probes }),
  });
  const { state } = consensus;
  return {
    ...consensus,
    reader: () => state.storage,
    follow: () => {},
    transfer: (timeoutMs) => transferLeadership(consensus.raft, timeoutMs),
    stop() {
      system.stopAll();
      return consensus.stop();
    },
  };
}

export async function transferLeadership(raft: Consensus['raft'], timeoutMs: number): Promise<string | null> {
  const outcome = await askPromise(raft, { type: 'transfer' }, timeoutMs);
  return outcome.type === 'answer' && outcome.answer.type === 'transferred' ? outcome.answer.leader : null;
}

/** Opens the directory's identity, and on the first start of a server writes entry 1 of its log. */
export async function takeIdentity(config: NodeConfig, { disk, mint }: Pick<Platform, 'disk' | 'mint'>): Promise<Self> {
  const { cluster, nodeName, formation } = config;
  let identity = config.identity ?? (await openIdentity(disk, { clusterName: cluster, nodeName, mint }));
  const clusterUuid = identity.clusterUuid ?? formation?.clusterUuid ?? mint();
  const voters = formation?.voters ?? [identity.nodeId];
  if (identity.clusterUuid === null) identity = await joinCluster(disk, identity, clusterUuid);
  // Whoever joins a cluster later gets entry 1 from the others.
  if (config.isServer && voters.includes(identity.nodeId)) {
    // After a crash between the two steps the second is done again: entry 1 is the same bytes each time.
    const log = await disk.openJournal('log');
    await bootstrapLog(log, ballotFileOn(disk), clusterUuid, voters);
    await log.close();
  }
  return {
    node: identity.nodeId,
    boot: identity.boot,
    name: nodeName,
    clusterUuid,
    cluster,
    voters,
    settings: { ...DEFAULT_SETTINGS, ...config.settings },
  };
}
