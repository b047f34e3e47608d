/**
 * The shell of the core: it obeys `Raft.ready`, and turns time, frames and finished writes into calls of the core.
 *
 * One write is in flight at a time. What arrives meanwhile, proposals as well as appends from a leader, waits and
 * becomes the next write together: batches grow by themselves as load does. A `flush` sent to itself lands behind all
 * messages that are queued already, so one turn's messages make one batch even when the disk is idle.
 */
import type { Actor, ActorContext, ActorRef, Reply } from '../actors/actor.ts';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Timer } from '../base/time.ts';
import type { LogStore } from './log-store.ts';
import { ProposalQueue } from './proposals.ts';
import { Raft } from './raft.ts';
import type {
  ProposeAnswer,
  RaftAnswer,
  RaftEvent,
  RaftRequest,
  RaftStatus,
  Role,
  SnapshotPort,
} from './raft-protocol.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSenders } from './snapshot-senders.ts';
import { DEFAULT_LIMITS, type RaftLimits } from './state.ts';
import { TransferAsks } from './transfer-asks.ts';
import type { AppendWork, LogEntry, LogPoint, Message, ReadWork } from './types.ts';
import { Unapplied } from './unapplied.ts';
import { decodeMessage, decodeTransfer, encodeMessage } from './wire.ts';

export interface RaftActorOptions {
  readonly nodeId: string;
  /** One to seven nodeIds, this node's among them. */
  readonly voters: readonly string[];
  /** Opened, and at or ahead of the state. */
  readonly logStore: LogStore;
  /** What the state machine has durably applied, as given to `openLogStore`. */
  readonly appliedIndex: number;
  readonly send: (to: string, channel: 'raft' | 'bulk', body: Uint8Array) => void;
  readonly listener: ActorRef<RaftEvent, unknown>;
  readonly snapshotPort: SnapshotPort;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Default 100: the unit of all timeouts; a leader sends a heartbeat each. */
  readonly tickMs?: number;
  /** Entries that stay below what the state has stored, for followers that lag. Default 8,192. */
  readonly keepEntries?: number;
  /** For an active follower the log may grow to this before it is given a snapshot. Default 128 MiB. */
  readonly logBytesMax?: number;
  readonly limits?: Partial<RaftLimits>;
}

export type RaftMessage =
  | RaftRequest
  | { readonly type: 'tick' }
  | { readonly type: 'flush' }
  /** Something that a port has finished waits in the actor. */
  | { readonly type: 'wake' };

type RefusalCode = Extract<ProposeAnswer, { readonly type: 'refused' }>['code'];

export function createRaftActor(
  options: RaftActorOptions,
): (context: ActorContext<RaftMessage, RaftAnswer>) => Actor<RaftMessage, RaftAnswer> {
  return (context) => new RaftActor(options, context);
}

class RaftActor implements Actor<RaftMessage, RaftAnswer> {
  readonly #options: RaftActorOptions;
  readonly #context: ActorContext<RaftMessage, RaftAnswer>;
  readonly #raft: Raft;
  readonly #store: LogStore;
  readonly #limits: RaftLimits;
  readonly #tickMs: number;
  readonly #proposals: ProposalQueue;
  readonly #receiver: SnapshotReceiver;
  readonly #senders: SnapshotSenders;
  /** What ports have finished. Kept here, so that a full mailbox delays it but cannot lose it. */
  #finished: (() => void)[] = [];
  #isWriting = false;
  #isCompacting = false;
  #isFlushDue = false;
  #isStopped = false;
  #lastTickMs: number;
  #timer: Timer | null = null;
  readonly #unapplied = new Unapplied();
  readonly #transferAsks = new TransferAsks();
  #announced: { role: Role; term: number; leader: string | null; isReady: boolean } | null = null;

  constructor(options: RaftActorOptions, context: ActorContext<RaftMessage, RaftAnswer>) {
    const { nodeId, voters, logStore, appliedIndex } = options;
    if (!voters.includes(nodeId)) throw new CodedError('settings', `raft: node ${nodeId} is not among its voters`);
    this.#options = options;
    this.#context = context;
    this.#store = logStore;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#tickMs = options.tickMs ?? 100;
    this.#proposals = new ProposalQueue(this.#limits.uncommittedBytesMax);
    this.#raft = new Raft({
      id: nodeId,
      voters,
      log: logStore,
      hardState: logStore.hardState,
      appliedIndex,
      random: context.random,
      limits: this.#limits,
    });
    this.#receiver = this.#makeReceiver();
    this.#senders = this.#makeSenders();
    this.#lastTickMs = context.clock.monotonic();
    // A lone voter need not wait whether somebody else leads.
    if (voters.length === 1) this.#raft.campaign();
    this.#armTick();
    this.#scheduleFlush();
  }

  receive(message: RaftMessage, reply: Reply<RaftAnswer>): void {
    this.#runFinished();
    // The timer's own message may have met a full mailbox.
    if (this.#context.clock.monotonic() - this.#lastTickMs >= 2 * this.#tickMs) this.#tick();
    switch (message.type) {
      case 'propose':
        this.#propose(message.data, message.class === 'internal', reply);
        return;
      case 'frame':
        this.#takeFrame(message.from, message.channel, message.body);
        return;
      case 'applied':
        this.#applied(message.index);
        return;
      case 'stored':
        this.#compact(message.index);
        return;
      case 'status':
        reply(this.#status());
        return;
      case 'unreachable':
        this.#raft.unreachable(message.node);
        this.#scheduleFlush();
        return;
      case 'transfer':
        this.#transfer(reply);
        return;
      case 'configure':
      case 'read':
        throw new Error(`raft: ${message.type} is to come`);
      case 'tick':
        this.#tick();
        return;
      case 'flush':
        this.#flush();
        return;
      case 'wake':
        return;
      default:
        unreachable(message);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#senders.closeAll();
    this.#receiver.close();
    for (const { reply } of this.#proposals.takeAll()) reply({ type: 'refused', code: 'no-leader', leader: null });
    this.#transferAsks.end(null);
  }

  #propose(data: Uint8Array, isInternal: boolean, reply: Reply<RaftAnswer>): void {
    const { role, leader, uncommittedBytes } = this.#raft.state;
    if (role !== 'leader') this.#refuse(reply, leader === null ? 'no-leader' : 'not-leader', leader);
    else if (this.#raft.isTransferring) this.#refuse(reply, 'no-leader', null);
    else if (data.length > this.#limits.appendBytesMax) this.#refuse(reply, 'too-large', leader);
    else if (!this.#proposals.hasRoom(data, isInternal, uncommittedBytes)) this.#refuse(reply, 'overloaded', leader);
    else {
      this.#proposals.push({ data, reply });
      this.#scheduleFlush();
    }
  }

  #refuse(reply: Reply<ProposeAnswer>, code: RefusalCode, leader: string | null): void {
    this.#options.metrics.count('carillon_raft_proposals_total', { outcome: code });
    reply({ type: 'refused', code, leader });
  }

  /** What was proposed before it goes first, and with it what it lacks to the follower that takes over. */
  #transfer(reply: Reply<RaftAnswer>): void {
    this.#appendProposals();
    const isPending = this.#raft.transfer();
    const { leader, role } = this.#raft.state;
    if (!isPending) {
      reply({ type: 'transferred', leader: role === 'leader' ? null : leader });
      return;
    }
    this.#options.log.info('raft: leadership is handed over', { to: this.#raft.state.transfer?.target ?? null });
    this.#transferAsks.add(reply, this.#context.clock.monotonic() + this.#limits.electionTicks * this.#tickMs);
    this.#scheduleFlush();
  }

  #takeFrame(from: string, channel: 'raft' | 'bulk', body: Uint8Array): void {
    const { state } = this.#raft;
    if (from === state.id || !state.voters.includes(from)) return;
    if (channel === 'raft') {
      const message = decodeMessage(body, from, state.id, this.#store.encoder.cluster);
      if (message === undefined) {
        this.#options.log.warn('raft: a frame that cannot be read was dropped', { node: from });
        return;
      }
      this.#raft.step(message);
      this.#scheduleFlush();
      return;
    }
    const transfer = decodeTransfer(body);
    if (transfer?.type === 'snapshot-answer') this.#senders.answer(from, transfer);
    // A snapshot is only taken from the leader that this node follows. Others repeat theirs until it does.
    else if (transfer?.term === state.term && state.leader === from) this.#receiver.take(from, transfer);
    this.#scheduleFlush();
  }

  #applied(index: number): void {
    this.#raft.applied(index);
    this.#options.metrics.gauge('carillon_raft_applied_index', index);
    this.#unapplied.appliedTo(index);
    if (this.#raft.state.log.handedOn < this.#raft.state.log.handOnEnd - 1) this.#scheduleFlush();
  }

  #status(): RaftStatus {
    const { term, leader, voters, log } = this.#raft.state;
    return {
      type: 'status',
      role: this.#role,
      term,
      leader,
      configuration: { voters, outgoing: [], learners: [] },
      isConfigurationCommitted: true,
      lastIndex: log.lastIndex,
      commitIndex: log.committed,
      appliedIndex: log.applied,
      firstIndex: log.firstIndex,
      isWounded: false,
      peers: [],
    };
  }

  // Time.

  #tick(): void {
    this.#armTick();
    const nowMs = this.#context.clock.monotonic();
    const due = Math.floor((nowMs - this.#lastTickMs) / this.#tickMs);
    if (due <= 0) return;
    // A process that slept must not let all timeouts fire at once: what is over two ticks late never was.
    const ticks = Math.min(due, CATCH_UP_TICKS_MAX);
    this.#lastTickMs = due > ticks ? nowMs : this.#lastTickMs + ticks * this.#tickMs;
    for (let tick = 0; tick < ticks; tick += 1) {
      this.#raft.tick();
      this.#senders.tick();
    }
    this.#probeLeader();
    this.#flush();
  }

  /** Followers only answer. So that the transport notices a leader's death, something is sent to one that is silent. */
  #probeLeader(): void {
    const { silentLeader: to } = this.#raft;
    const { id: from, term } = this.#raft.state;
    if (to !== null) this.#send({ type: 'probe', from, to, term });
  }

  #armTick(): void {
    this.#timer?.cancel();
    const delayMs = Math.max(1, this.#lastTickMs + this.#tickMs - this.#context.clock.monotonic());
    this.#timer = this.#context.after(Math.min(this.#tickMs, delayMs), { type: 'tick' });
  }

  // Ready.

  #scheduleFlush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#context.self.send({ type: 'flush' });
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (!this.#isWriting) this.#appendProposals();
    this.#pump();
  }

  #appendProposals(): void {
    const proposals = this.#proposals.takeAll();
    if (proposals.length === 0) return;
    const result = this.#raft.propose(
      proposals.map((proposal) => proposal.data),
      Number.POSITIVE_INFINITY,
    );
    if (result.type === 'refused') {
      for (const { reply } of proposals) this.#refuse(reply, result.code, result.leader);
      return;
    }
    const { index, term } = result;
    for (const [position, { reply }] of proposals.entries()) reply({ type: 'accepted', index: index + position, term });
    this.#options.metrics.count('carillon_raft_proposals_total', { outcome: 'accepted' }, proposals.length);
  }

  /** Does all that the core asks for, until it asks for nothing more. */
  #pump(): void {
    for (let isDone = false; !isDone; ) {
      const ready = this.#raft.ready({
        append: !this.#isWriting,
        committedBytes: this.#unapplied.roomBytes,
        committedEntries: this.#unapplied.roomEntries,
      });
      for (const message of ready.messages) this.#send(message);
      for (const work of ready.reads) this.#read(work);
      for (const peer of ready.snapshots) this.#sendSnapshot(peer);
      if (ready.committed.length > 0) this.#handOn(ready.committed);
      if (ready.append !== null) this.#append(ready.append);
      isDone = ready.append === null && ready.committed.length === 0;
    }
    this.#announce();
  }

  #append(work: AppendWork): void {
    if (work.hardState === null) {
      this.#deliver(work.answers);
      return;
    }
    this.#isWriting = true;
    const startMs = this.#context.clock.monotonic();
    this.#store.append(work, (error) =>
      this.#later(() => {
        if (error !== null) throw error;
        this.#isWriting = false;
        const seconds = (this.#context.clock.monotonic() - startMs) / 1000;
        this.#options.metrics.observe('carillon_raft_fsync_seconds', seconds);
        this.#raft.persisted(work.receipt);
        this.#deliver(work.answers);
        this.#pump();
        if (this.#proposals.length > 0) this.#scheduleFlush();
      }),
    );
  }

  #deliver(answers: readonly Message[]): void {
    for (const message of answers) {
      if (message.to === this.#raft.state.id) this.#raft.step(message);
      else this.#send(message);
    }
  }

  #send(message: Message): void {
    this.#options.send(message.to, 'raft', encodeMessage(message, this.#store.encoder));
  }

  #read(work: ReadWork): void {
    this.#store.read(work.low, work.high, work.bytesMax, (error, entries) =>
      this.#later(() => {
        if (error !== null) throw error;
        this.#raft.entriesRead(work, entries);
        this.#scheduleFlush();
      }),
    );
  }

  #handOn(entries: readonly LogEntry[]): void {
    this.#unapplied.add(entries);
    const { committed: commitIndex } = this.#raft.state.log;
    this.#options.listener.send({ type: 'committed', entries, commitIndex });
    this.#options.metrics.gauge('carillon_raft_commit_index', commitIndex);
  }

  get #role(): Role {
    const { role } = this.#raft.state;
    return role === 'pre-candidate' ? 'candidate' : role;
  }

  #announce(): void {
    const { term, leader, termStart, log } = this.#raft.state;
    const { isTransferring } = this.#raft;
    const role = this.#role;
    this.#transferAsks.settle(
      { leader, isLeading: role === 'leader', isTransferring },
      this.#context.clock.monotonic(),
    );
    const isReady = role === 'leader' && log.handedOn >= termStart;
    const last = this.#announced;
    if (last?.role === role && last.term === term && last.leader === leader && last.isReady === isReady) return;
    if (last === null || last.role !== role || last.term !== term) {
      if (role !== 'leader') this.#senders.closeAll();
      this.#options.log.info(`raft: ${role}`, { term, leader });
    }
    this.#announced = { role, term, leader, isReady };
    this.#options.metrics.gauge('carillon_raft_leader', role === 'leader' ? 1 : 0);
    this.#options.metrics.gauge('carillon_raft_term', term);
    this.#options.listener.send({ type: 'role', role, term, leader, isReady });
  }

  // Compaction and snapshots.

  #compact(storedIndex: number): void {
    if (this.#isCompacting) return;
    const keep = this.#options.keepEntries ?? KEEP_ENTRIES;
    const { log, progress } = this.#raft.state;
    let target = Math.min(storedIndex, log.applied) - keep;
    if (this.#store.bytes <= (this.#options.logBytesMax ?? LOG_BYTES_MAX)) {
      for (const follower of progress.values()) {
        const isWithinReach = follower.isRecentlyActive || follower.state === 'replicate';
        if (isWithinReach && follower.state !== 'snapshot') target = Math.min(target, follower.match);
      }
    }
    if (target - this.#store.base.index < Math.max(1, keep / 8)) return;
    this.#isCompacting = true;
    this.#store.compact(target, (error) =>
      this.#later(() => {
        if (error !== null) throw error;
        this.#isCompacting = false;
      }),
    );
  }

  #sendSnapshot(peer: string): void {
    const { term } = this.#raft.state;
    this.#options.log.info('raft: a follower is too far behind, sending it the state', { node: peer, term });
    this.#senders.start(peer, term);
  }

  #makeSenders(): SnapshotSenders {
    return new SnapshotSenders({
      port: this.#options.snapshotPort,
      send: (peer, body) => this.#options.send(peer, 'bulk', body),
      pointOf: (index, term) => this.#pointOf(index, term),
      later: (run) => this.#later(run),
      onEnd: (peer, index, isDone) => {
        this.#raft.snapshotSent(peer, index, isDone);
        this.#scheduleFlush();
      },
    });
  }

  #pointOf(index: number, term: number): LogPoint | null {
    const { log } = this.#raft.state;
    return log.matches({ index, term }) ? log.point(index) : null;
  }

  #makeReceiver(): SnapshotReceiver {
    return new SnapshotReceiver({
      port: this.#options.snapshotPort,
      send: (to, body) => this.#options.send(to, 'bulk', body),
      later: (run) => this.#later(run),
      isWanted: (point) => point.index > this.#raft.state.log.committed,
      begin: (point, done) => this.#beginInstall(point, done),
      onInstalled: (point) => this.#installed(point),
      onUseless: () => this.#raft.answerUselessSnapshot(),
      onFailed: (error) => {
        this.#raft.installFailed();
        if (error instanceof CodedError && error.code === 'storage-failed') throw error;
        this.#options.log.warn(`raft: a snapshot could not be taken: ${error.message}`);
      },
    });
  }

  #beginInstall(point: LogPoint, done: (isWanted: boolean) => void): void {
    if (!this.#raft.beginInstall(point)) {
      done(false);
      return;
    }
    this.#store.noteInstall(point, (error) =>
      this.#later(() => {
        if (error !== null) throw error;
        done(true);
      }),
    );
  }

  #installed(point: LogPoint): void {
    this.#raft.restored(point);
    this.#unapplied.clear();
    this.#options.log.info('raft: the state was replaced by the leader’s', { term: point.term, index: point.index });
    this.#options.listener.send({ type: 'installed', index: point.index, term: point.term });
    this.#scheduleFlush();
  }

  // Ports.

  /** For the callback of a port: `run` is called as part of a message to this actor. */
  #later(run: () => void): void {
    if (this.#isStopped) return;
    this.#finished.push(run);
    if (this.#finished.length === 1) this.#context.self.send({ type: 'wake' });
  }

  #runFinished(): void {
    if (this.#finished.length === 0) return;
    const finished = this.#finished;
    this.#finished = [];
    for (const run of finished) run();
  }
}

const CATCH_UP_TICKS_MAX = 2;
const KEEP_ENTRIES = 8_192;
const LOG_BYTES_MAX = 128 * 1024 * 1024;
