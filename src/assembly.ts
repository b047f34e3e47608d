/**
 * The actors of a node, put together on whatever threads the plan says: the consensus side (servers), the work side
 * (every node), and the roads between them. A message to this node itself goes straight to the actor; to another node
 * it becomes a frame. Production and the simulator differ only in what is handed in here.
 */
import type { ActorRef, Supervision } from './actors/actor.ts';
import type { ActorSystem } from './actors/system.ts';
import { CodedError } from './base/errors.ts';
import type { Log } from './base/telemetry.ts';
import { decodeFrame, encodeFrame } from './cluster/json-frame.ts';
import type { Arrival, Channel, Transport } from './cluster/transport.ts';
import { createDispatcherActor, type DispatcherMessage } from './dispatcher/dispatcher-actor.ts';
import {
  createMembershipActor,
  type MembershipAnswer,
  type MembershipForward,
  type MembershipMessage,
} from './dispatcher/membership-actor.ts';
import type { Executor } from './executors/executor.ts';
import { createExecutorActor } from './executors/executor-actor.ts';
import type { ExecutorAnswer, ExecutorMessage } from './executors/executor-message.ts';
import { openNodeStore } from './executors/node-store.ts';
import { createOutputActor, type OutputAnswer, type OutputMessage } from './executors/output-actor.ts';
import type { BetweenOutputs, FromNode, OutputChunk, OutputStored, ToNode } from './executors/protocol.ts';
import type { Zones } from './jobs/zone.ts';
import { ballotFileOn } from './raft/ballot.ts';
import { openLogStore } from './raft/log-open.ts';
import type { LogStore } from './raft/log-store.ts';
import { createRaftActor, type RaftActorOptions, type RaftMessage } from './raft/raft-actor.ts';
import type { Entry, RaftAnswer } from './raft/raft-protocol.ts';
import { Schedules } from './scheduler/chain.ts';
import { ClusterTime } from './scheduler/cluster-time.ts';
import type { StateEvent } from './scheduler/event.ts';
import { keys, type NodeRow } from './scheduler/rows.ts';
import { type CompleteAnswer, createSchedulerActor, type SchedulerMessage } from './scheduler/scheduler-actor.ts';
import type { Settings } from './scheduler/settings.ts';
import { createSnapshotPort, openStateStorage, stateMeta } from './scheduler/snapshot.ts';
import { State } from './scheduler/state.ts';
import {
  type ConfigurationMessage,
  createStateActor,
  type EventsMessage,
  type LeadingMessage,
  type Progress,
  type StateMessage,
  type StoredAnswer,
} from './scheduler/state-actor.ts';
import {
  createSubmissionActor,
  type ForwardMessage,
  type SubmissionMessage,
  type SubmitAnswer,
} from './scheduler/submission-actor.ts';
import { noteCleanStop, verifyState } from './scheduler/verify.ts';
import type { Disk } from './store/disk.ts';
import type { Storage } from './store/storage.ts';

/** Who this node is, in this life. */
export interface Self {
  readonly node: string;
  readonly boot: number;
  readonly name: string;
  readonly clusterUuid: string;
  readonly cluster: string;
  /** nodeIds of the servers that vote, as far as this node knew when it started. */
  readonly voters: readonly string[];
  readonly settings: Settings;
}

/** How long nodes may be silent, ms. */
export interface Timing {
  /** L: a node starts nothing unless a leader answered what it said within. Default 5,000. */
  readonly leaseMs: number;
  /** Default 2,000. */
  readonly marginMs: number;
  /** A server that is gone for so long is removed from the cluster, where that is safe. Default 0: never. */
  readonly removeGoneAfterMs: number;
}

export const DEFAULT_TIMING: Timing = { leaseMs: 5_000, marginMs: 2_000, removeGoneAfterMs: 0 };

/** Better no answer than a wrong one. */
const STOP_PROCESS: Supervision = { type: 'stop-process' };

export interface ConsensusOptions {
  readonly self: Self;
  readonly timing: Timing;
  readonly system: ActorSystem;
  readonly disk: Disk;
  readonly zones: Zones;
  /** Null on a node that is a cluster of its own. */
  readonly transport: Transport | null;
  /** Of this node, wherever it lives. */
  readonly executor: ActorRef<ExecutorMessage, ExecutorAnswer>;
  /** Hears progress; answers clients on this node. */
  readonly backend: ActorRef<Progress | EventsMessage | ConfigurationMessage, unknown>;
  readonly probes?: ConsensusProbes;
}

/** What only a simulator sets: a log that is compacted early, hasty elections, events that get lost, a look at each applied entry. */
export interface ConsensusProbes {
  readonly raft?: Pick<RaftActorOptions, 'keepEntries' | 'logBytesMax' | 'limits'>;
  readonly keepEvent?: (event: StateEvent) => boolean;
  readonly onApplied?: (state: State, entry: Entry, events: readonly StateEvent[]) => void;
}

export interface Consensus {
  readonly raft: ActorRef<RaftMessage, RaftAnswer>;
  readonly submission: ActorRef<SubmissionMessage, SubmitAnswer>;
  readonly dispatcher: ActorRef<DispatcherMessage>;
  readonly membership: ActorRef<MembershipMessage, MembershipAnswer>;
  readonly stateActor: ActorRef<StateMessage, StoredAnswer>;
  readonly state: State;
  /** After the actors have stopped: notes that everything is in order, where it is. */
  stop(): Promise<void>;
}

/** Opens log and state and starts raft, state, scheduler, dispatcher and submission. Throws `storage-failed`. */
export async function startConsensus(options: ConsensusOptions): Promise<Consensus> {
  const { self, timing, system, disk, zones, transport, executor, backend, probes = {} } = options;
  const { onApplied, keepEvent } = probes;
  const opened = await openStateStorage(disk);
  await verifyState(disk, opened.name, opened.storage);
  let storageName = opened.name;
  const state = new State(opened.storage);
  const journal = await disk.openJournal('log');
  const meta = stateMeta(opened.storage);
  const { clusterUuid, voters: formerVoters } = self;
  const ballot = ballotFileOn(disk);
  const logStore = await openLogStore({ journal, ballot, clusterUuid, state: meta, formerVoters });
  lookAtWound(logStore, self.node, system.log);
  const schedules = new Schedules(zones);
  const snapshotPort = createSnapshotPort({
    disk,
    state,
    name: opened.name,
    onReplaced: (name) => {
      storageName = name;
    },
  });

  const { clock, log, metrics } = system;
  const time = new ClusterTime({ node: self.node, voters: self.voters, clock, log, metrics });
  // The actors know each other in a ring: those made later are looked up when they are needed.
  const refs: { raft?: Consensus['raft']; leaders: ActorRef<EventsMessage | LeadingMessage, unknown>[] } = {
    leaders: [],
  };
  const answering: ActorRef<Progress | EventsMessage, unknown>[] = [];
  const following: ActorRef<Progress, unknown>[] = [];
  const stateActor = system.spawn<StateMessage, StoredAnswer>({
    name: 'state',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createStateActor({
      state,
      storageName: () => storageName,
      raft: () => present(refs.raft),
      leaders: () => refs.leaders,
      backend: () => backend,
      answering: () => answering,
      following: () => following,
      onConfiguration: ({ configuration }) => time.follow(configuration.voters),
      ...(keepEvent === undefined ? {} : { keepEvent }),
      ...(onApplied === undefined ? {} : { onApplied: (entry, events) => onApplied(state, entry, events) }),
    }),
  });
  const raft = system.spawn<RaftMessage, RaftAnswer>({
    name: 'raft',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createRaftActor({
      nodeId: self.node,
      logStore,
      appliedIndex: meta.index,
      send: (to, channel, body) => transport?.send(to, channel, body),
      listener: stateActor,
      snapshotPort,
      metrics: system.metrics,
      log: system.log,
      ...probes.raft,
    }),
  });
  refs.raft = raft;
  const scheduler = system.spawn<SchedulerMessage, CompleteAnswer>({
    name: 'scheduler',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createSchedulerActor({
      state,
      schedules,
      raft,
      time,
      genesis: { cluster: self.cluster, settings: self.settings },
    }),
  });
  const dispatcher = system.spawn<DispatcherMessage>({
    name: 'dispatcher',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createDispatcherActor({
      node: self.node,
      state,
      raft,
      time,
      scheduler,
      toNode: (node, message) => {
        if (node === self.node) executor.send(message);
        else transport?.send(node, 'exec', encodeFrame(message));
      },
      toAllNodes: (message) => {
        executor.send(message);
        transport?.broadcast('leader', encodeFrame(message));
      },
      leaseMs: timing.leaseMs,
      marginMs: timing.marginMs,
    }),
  });
  const membership = system.spawn<MembershipMessage, MembershipAnswer>({
    name: 'membership',
    supervision: STOP_PROCESS,
    create: createMembershipActor({
      node: self.node,
      raft,
      toServer: (server, message) => transport?.send(server, 'forward', encodeFrame(message)),
      nameOf: (node) => state.get<NodeRow>(keys.node(node))?.name ?? node.slice(0, 8),
      removeGoneAfterMs: timing.removeGoneAfterMs,
    }),
  });
  const submission = system.spawn<SubmissionMessage, SubmitAnswer>({
    name: 'submission',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createSubmissionActor({
      node: self.node,
      state,
      scheduler,
      raft,
      toServer: (server, message) => transport?.send(server, 'forward', encodeFrame(message)),
    }),
  });
  refs.leaders.push(scheduler, dispatcher);
  answering.push(submission);
  following.push(membership);
  return {
    raft,
    submission,
    dispatcher,
    membership,
    stateActor,
    state,
    stop: () => (state.unflushed > 0 ? Promise.resolve() : noteCleanStop(disk, storageName, state.storage)),
  };
}

/** Says what the log has lost, and refuses to start where there is nobody from whom it could heal. */
function lookAtWound({ isWounded, woundText, configurations }: LogStore, node: string, log: Log): void {
  if (!isWounded) return;
  const { voters = [], outgoing = [] } = configurations[configurations.length - 1]?.configuration ?? {};
  const isAlone = voters.length > 0 && [...voters, ...outgoing].every((voter) => voter === node);
  if (isAlone) {
    throw new CodedError(
      'storage-failed',
      `${woundText}. This server votes alone, so nobody has what it lost: restore its data directory from a backup`,
    );
  }
  log.warn(`${woundText}. The log heals from its peers, and this server does not vote until then`);
}

/** Messages between the actors of one server must not get lost to a full mailbox: their senders bound them. */
const UNREFUSED = { capacity: 1_000_000, whenFull: 'refuse' } as const;

export interface WorkOptions {
  readonly self: Self;
  readonly timing: Timing;
  readonly system: ActorSystem;
  readonly disk: Disk;
  readonly isServer: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly version: string;
  readonly address: string;
  readonly executors: ReadonlyMap<string, Executor>;
  readonly transport: Transport | null;
  /** nodeIds of the servers there are now. */
  readonly servers: () => readonly string[];
  /** Whether a job was deleted, as far as this server knows. */
  readonly isJobGone: (uid: string) => boolean;
  /** Of this node, on a server. */
  readonly dispatcher: () => ActorRef<DispatcherMessage> | null;
}

export interface Work {
  readonly executor: ActorRef<ExecutorMessage, ExecutorAnswer>;
  readonly output: ActorRef<OutputMessage, OutputAnswer> | null;
  readonly outputStorage: Storage | null;
}

/** Opens the node's own store and starts what does the work; on a server also what keeps outputs. */
export async function startWork(options: WorkOptions): Promise<Work> {
  const { self, timing, system, disk, isServer, transport, dispatcher } = options;
  const storage = await disk.openStorage('node');
  const stored = await openNodeStore(storage);
  const outputStorage = isServer ? await disk.openStorage('output') : null;
  const refs: { executor?: Work['executor'] } = {};
  const output =
    outputStorage === null
      ? null
      : system.spawn<OutputMessage, OutputAnswer>({
          name: 'output',
          supervision: STOP_PROCESS,
          create: createOutputActor({
            server: self.node,
            storage: outputStorage,
            isGone: options.isJobGone,
            others: () => options.servers().filter((server) => server !== self.node),
            toServer: (server, message) => transport?.send(server, 'exec', encodeFrame(message)),
            toNode: (node, message) => {
              if (node === self.node) refs.executor?.send(message);
              else transport?.send(node, 'exec', encodeFrame(message));
            },
          }),
        });
  const executor = system.spawn<ExecutorMessage, ExecutorAnswer>({
    name: 'executor',
    supervision: STOP_PROCESS,
    mailbox: UNREFUSED,
    create: createExecutorActor({
      node: self.node,
      boot: self.boot,
      name: self.name,
      isServer,
      tags: options.tags,
      slots: options.slots,
      version: options.version,
      address: options.address,
      executors: options.executors,
      storage,
      stored,
      leaseMs: timing.leaseMs,
      servers: options.servers,
      toLeader: (leader, message) => {
        if (leader === self.node) dispatcher()?.send({ type: 'from-node', message });
        else transport?.send(leader, 'report', encodeFrame(message));
      },
      toServer: (server, chunk) => {
        if (server === self.node) output?.send({ type: 'chunk', node: self.node, chunk });
        else transport?.send(server, 'exec', encodeFrame(chunk));
      },
    }),
  });
  refs.executor = executor;
  return { executor, output, outputStorage };
}

/** What comes in by the transport, to whom it belongs. */
export interface Doors {
  readonly raft: ActorRef<RaftMessage, RaftAnswer> | null;
  readonly dispatcher: ActorRef<DispatcherMessage> | null;
  readonly submission: ActorRef<SubmissionMessage, SubmitAnswer> | null;
  readonly membership: ActorRef<MembershipMessage, MembershipAnswer> | null;
  readonly executor: ActorRef<ExecutorMessage, ExecutorAnswer> | null;
  readonly output: ActorRef<OutputMessage, OutputAnswer> | null;
}

export function routeArrival(doors: Doors, arrival: Arrival): void {
  const { channel, from, body } = arrival;
  if (channel === 'raft' || channel === 'bulk') return doors.raft?.send({ type: 'frame', from, channel, body });
  const message = decodeFrame(body) as { readonly type?: unknown } | undefined;
  if (typeof message?.type !== 'string') return;
  route(doors, channel, from, message as { readonly type: string });
}

function route(
  doors: Doors,
  channel: Exclude<Channel, 'raft' | 'bulk'>,
  from: string,
  message: { readonly type: string },
): void {
  if (channel === 'forward' && FOR_MEMBERSHIP.has(message.type)) {
    doors.membership?.send({ type: 'forwarded', from, message: message as MembershipForward });
  } else if (channel === 'forward') {
    doors.submission?.send({ type: 'forwarded', from, message: message as ForwardMessage });
  } else if (channel === 'report') {
    doors.dispatcher?.send({ type: 'from-node', message: message as FromNode });
  } else if (message.type === 'output') {
    doors.output?.send({ type: 'chunk', node: from, chunk: message as OutputChunk });
  } else if (FOR_OUTPUT.has(message.type)) {
    doors.output?.send({ type: 'from-server', server: from, message: message as BetweenOutputs });
  } else if (FOR_EXECUTOR.has(message.type)) {
    doors.executor?.send(message as ToNode | OutputStored);
  }
}

const FOR_MEMBERSHIP: ReadonlySet<string> = new Set<MembershipForward['type']>([
  'membership-request',
  'membership-answer',
]);

const FOR_OUTPUT: ReadonlySet<string> = new Set<BetweenOutputs['type']>([
  'output-wanted',
  'output-missing',
  'output-copy',
]);

/** Nothing else gets through: a newer leader may say what this build does not know, and the actor has words for itself. */
const FOR_EXECUTOR: ReadonlySet<string> = new Set<(ToNode | OutputStored)['type']>([
  'beacon',
  'welcome',
  'execute',
  'cancel',
  'reconcile',
  'left',
  'acknowledge',
  'output-stored',
]);

function present<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw new Error('an actor was used before the node was put together');
  return thing;
}
