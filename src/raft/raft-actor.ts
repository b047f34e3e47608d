/**
 * The shell of the core: it obeys `Raft.ready`, and turns time, frames and finished writes into calls of the core.
 *
 * One write is in flight at a time. What arrives meanwhile, proposals as well as appends from a leader, waits and
 * becomes the next write together: batches grow by themselves as load does. A `flush` sent to itself lands behind all
 * messages that are queued already, so one turn's messages make one batch even when the disk is idle.
 */
import type { Actor, ActorContext, ActorRef, Reply } from '../actors/actor.ts';
import { unreachable } from '../base/errors.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import { Announcements } from './announcements.ts';
import { Compaction } from './compaction.ts';
import { FinishedWork } from './finished-work.ts';
import type { LogStore } from './log-store.ts';
import { PendingReads } from './pending-reads.ts';
import { Proposing } from './proposing.ts';
import { Raft } from './raft.ts';
import type { ConfigurationChange, RaftAnswer, RaftEvent, RaftRequest, SnapshotPort } from './raft-protocol.ts';
import { Snapshots } from './snapshots.ts';
import { DEFAULT_LIMITS, type RaftLimits } from './state.ts';
import { statusOf } from './status.ts';
import { TickTimer } from './tick-timer.ts';
import { TransferAsks } from './transfer-asks.ts';
import type { AppendWork, LogEntry, LogReset, Message, ReadWork } from './types.ts';
import { Unapplied } from './unapplied.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

export interface RaftActorOptions {
  readonly nodeId: string;
  /** Opened, and at or ahead of the state. Who votes stands in it. */
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
  /** How long a server goes without a leader at least. */
  readonly #electionMs: number;
  readonly #finished: FinishedWork;
  readonly #ticks: TickTimer;
  readonly #proposals: Proposing;
  readonly #reads: PendingReads;
  readonly #snapshots: Snapshots;
  readonly #compaction: Compaction;
  readonly #announcements: Announcements;
  #isWriting = false;
  #isFlushDue = false;
  readonly #unapplied = new Unapplied();
  /** Ticks. */
  #untilGreeting = 0;
  readonly #transferAsks = new TransferAsks();

  constructor(options: RaftActorOptions, context: ActorContext<RaftMessage, RaftAnswer>) {
    const { nodeId, logStore, appliedIndex } = options;
    this.#options = options;
    this.#context = context;
    this.#store = logStore;
    const limits: RaftLimits = { ...DEFAULT_LIMITS, ...options.limits };
    const { clock, random, self } = context;
    this.#raft = new Raft({
      id: nodeId,
      log: logStore,
      hardState: logStore.hardState,
      appliedIndex,
      random,
      limits,
      isWounded: logStore.isWounded,
    });
    this.#finished = new FinishedWork(() => self.send({ type: 'wake' }));
    const tickMs = options.tickMs ?? 100;
    this.#electionMs = limits.electionTicks * tickMs;
    this.#proposals = new Proposing(this.#raft, limits, options.metrics);
    this.#reads = new PendingReads(this.#raft, this.#electionMs);
    this.#snapshots = this.#makeSnapshots();
    this.#compaction = this.#makeCompaction();
    this.#announcements = this.#makeAnnouncements();
    this.#ticks = new TickTimer(tickMs, clock, (delayMs) => context.after(delayMs, { type: 'tick' }));
    // A lone voter need not wait whether somebody else leads.
    if (this.#raft.state.voters.every((voter) => voter === nodeId)) this.#raft.campaign();
    this.#scheduleFlush();
  }

  receive(message: RaftMessage, reply: Reply<RaftAnswer>): void {
    this.#finished.runAll();
    if (this.#ticks.isLate) this.#tick();
    switch (message.type) {
      case 'propose':
        if (this.#proposals.take(message.data, message.class === 'internal', reply)) this.#scheduleFlush();
        return;
      case 'frame':
        this.#takeFrame(message.from, message.channel, message.body);
        return;
      case 'applied':
        this.#applied(message.index);
        return;
      case 'stored':
        this.#compaction.consider(message.index);
        return;
      case 'status':
        reply(statusOf(this.#raft.state));
        return;
      case 'unreachable':
        this.#raft.unreachable(message.node);
        this.#scheduleFlush();
        return;
      case 'transfer':
        this.#transfer(message.to ?? null, reply);
        return;
      case 'configure':
        this.#configure(message.change, reply);
        return;
      case 'read':
        this.#reads.add(reply);
        this.#scheduleFlush();
        return;
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
    this.#finished.stop();
    this.#snapshots.close();
    this.#reads.end();
    this.#proposals.end();
    this.#transferAsks.end(null);
  }

  /** What was proposed before it goes first, and with it what it lacks to the follower that takes over. */
  #transfer(to: string | null, reply: Reply<RaftAnswer>): void {
    this.#proposals.append();
    const isPending = this.#raft.transfer(to);
    const { leader, role } = this.#raft.state;
    if (!isPending) {
      reply({ type: 'transferred', leader: role === 'leader' ? null : leader });
      return;
    }
    this.#options.log.info('raft: leadership is handed over', { to: this.#raft.state.transfer?.target ?? null });
    this.#transferAsks.add(reply, this.#context.clock.monotonic() + this.#electionMs);
    this.#scheduleFlush();
  }

  #configure(change: ConfigurationChange, reply: Reply<RaftAnswer>): void {
    this.#proposals.append();
    const result = this.#raft.configure(change);
    if (result.type === 'configured') reply(result);
    else reply({ ...result, type: 'configure-refused' });
    this.#scheduleFlush();
  }

  /** From any server of the cluster: one that this server does not know as a member may be one by a newer entry. */
  #takeFrame(from: string, channel: 'raft' | 'bulk', body: Uint8Array): void {
    const { state } = this.#raft;
    if (from === state.id) return;
    this.#scheduleFlush();
    if (channel === 'raft') {
      const message = decodeMessage(body, from, state.id, this.#store.encoder.cluster);
      if (message === undefined) {
        this.#options.log.warn('raft: a frame that cannot be read was dropped', { node: from });
        return;
      }
      this.#raft.step(message);
    } else {
      this.#snapshots.takeFrame(from, body);
    }
  }

  #applied(index: number): void {
    this.#raft.applied(index);
    this.#options.metrics.gauge('carillon_raft_applied_index', index);
    this.#unapplied.appliedTo(index);
    if (this.#raft.state.log.handedOn < this.#raft.state.log.handOnEnd - 1) this.#scheduleFlush();
  }

  // Time.

  #tick(): void {
    const ticks = this.#ticks.take();
    if (ticks === 0) return;
    for (let tick = 0; tick < ticks; tick += 1) {
      this.#raft.tick();
      this.#snapshots.tick();
    }
    this.#reads.tick(this.#context.clock.monotonic());
    this.#probeLeader();
    this.#untilGreeting -= ticks;
    if (this.#untilGreeting <= 0) this.#greetPeers();
    this.#flush();
  }

  /** Followers only answer. So that the transport notices a leader's death, something is sent to one that is silent. */
  #probeLeader(): void {
    const { silentLeader: to } = this.#raft;
    const { id: from, term } = this.#raft.state;
    if (to !== null) this.#send({ type: 'probe', from, to, term });
  }

  /**
   * Followers have nothing to say to each other, and yet must be heard in this life when they ask for votes: a frame of
   * a life that is known to nobody there is dropped, and so is one that is meant for a former life of the other.
   */
  #greetPeers(): void {
    this.#untilGreeting = GREETING_TICKS;
    const { id: from, term, log } = this.#raft.state;
    for (const to of log.configurations.members) if (to !== from) this.#send({ type: 'probe', from, to, term });
  }

  // Ready.

  #scheduleFlush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#context.self.send({ type: 'flush' });
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (!this.#isWriting) this.#proposals.append();
    this.#reads.begin(this.#context.clock.monotonic());
    this.#pump();
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
      for (const peer of ready.snapshots) this.#snapshots.sendTo(peer);
      for (const result of ready.readResults) this.#reads.answer(result);
      if (ready.hasHealed) this.#heal();
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
        if (this.#proposals.isWaiting) this.#scheduleFlush();
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

  /** The log has all that it had lost. Only once that is durable the server votes again. */
  #heal(): void {
    this.#store.heal((error) =>
      this.#later(() => {
        if (error !== null) throw error;
        this.#raft.healed();
        this.#options.log.info('raft: the log has again all that it had lost; this server votes again');
        this.#scheduleFlush();
      }),
    );
  }

  #announce(): void {
    const { state, isTransferring } = this.#raft;
    const { leader } = state;
    this.#transferAsks.settle(
      { leader, isLeading: state.role === 'leader', isTransferring },
      this.#context.clock.monotonic(),
    );
    this.#announcements.announce();
  }

  #makeAnnouncements(): Announcements {
    const { listener, metrics, log } = this.#options;
    return new Announcements({
      state: this.#raft.state,
      listener,
      metrics,
      log,
      onRole: (role) => {
        if (role !== 'leader') this.#snapshots.stopSending();
      },
    });
  }

  // Compaction and snapshots.

  #makeCompaction(): Compaction {
    const { keepEntries, logBytesMax } = this.#options;
    const { state } = this.#raft;
    return new Compaction({ state, store: this.#store, later: (run) => this.#later(run), keepEntries, logBytesMax });
  }

  #makeSnapshots(): Snapshots {
    const { snapshotPort: port, send, log } = this.#options;
    return new Snapshots({
      raft: this.#raft,
      store: this.#store,
      port,
      send: (to, body) => send(to, 'bulk', body),
      later: (run) => this.#later(run),
      onChange: () => this.#scheduleFlush(),
      onInstalled: (reset) => this.#installed(reset),
      log,
    });
  }

  #installed({ point, configuration }: LogReset): void {
    this.#raft.restored(point, configuration);
    this.#unapplied.clear();
    this.#options.log.info('raft: the state was replaced by the leader’s', { term: point.term, index: point.index });
    this.#options.listener.send({ type: 'installed', index: point.index, term: point.term });
    this.#scheduleFlush();
  }

  /** For the callback of a port: `run` is called as part of a message to this actor. */
  #later(run: () => void): void {
    this.#finished.add(run);
  }
}

const GREETING_TICKS = 10;
