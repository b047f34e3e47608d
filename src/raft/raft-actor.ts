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
import type { ProposeAnswer, RaftEvent, RaftRequest, RaftStatus, Role, SnapshotPort } from './raft-protocol.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { DEFAULT_LIMITS, type RaftLimits } from './state.ts';
import { type AppendWork, entryBytes, type LogEntry, type LogPoint, type Message, type ReadWork } from './types.ts';
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

type Answer = ProposeAnswer | RaftStatus;

export function createRaftActor(
  options: RaftActorOptions,
): (context: ActorContext<RaftMessage, Answer>) => Actor<RaftMessage, Answer> {
  return (context) => new RaftActor(options, context);
}

class RaftActor implements Actor<RaftMessage, Answer> {
  readonly #options: RaftActorOptions;
  readonly #context: ActorContext<RaftMessage, Answer>;
  readonly #raft: Raft;
  readonly #store: LogStore;
  readonly #limits: RaftLimits;
  readonly #tickMs: number;
  readonly #proposals: ProposalQueue;
  readonly #receiver: SnapshotReceiver;
  readonly #senders = new Map<string, SnapshotSender>();
  /** What ports have finished. Kept here, so that a full mailbox delays it but cannot lose it. */
  #finished: (() => void)[] = [];
  #isWriting = false;
  #isCompacting = false;
  #isFlushDue = false;
  #isStopped = false;
  #lastTickMs: number;
  #timer: Timer | null = null;
  #transfers = 0;
  /** Handed on and not applied: bounded, so that a slow state machine slows agreement instead of filling memory. */
  #unapplied: { readonly index: number; readonly count: number; readonly bytes: number }[] = [];
  #unappliedCount = 0;
  #unappliedBytes = 0;
  #announced: { role: Role; term: number; leader: string | null; isReady: boolean } | null = null;

  constructor(options: RaftActorOptions, context: ActorContext<RaftMessage, Answer>) {
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
    this.#lastTickMs = context.clock.monotonic();
    // A lone voter need not wait whether somebody else leads.
    if (voters.length === 1) this.#raft.campaign();
    this.#armTick();
    this.#scheduleFlush();
  }

  receive(message: RaftMessage, reply: Reply<Answer>): void {
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
    this.#closeSenders();
    this.#receiver.close();
    for (const { reply } of this.#proposals.takeAll()) reply({ type: 'refused', code: 'no-leader', leader: null });
  }

  #propose(data: Uint8Array, isInternal: boolean, reply: Reply<Answer>): void {
    const { role, leader, uncommittedBytes } = this.#raft.state;
    if (role !== 'leader') this.#refuse(reply, leader === null ? 'no-leader' : 'not-leader', leader);
    else if (data.length > this.#limits.appendBytesMax) this.#refuse(reply, 'too-large', leader);
    else if (!this.#proposals.hasRoom(data, isInternal, uncommittedBytes)) this.#refuse(reply, 'overloaded', leader);
    else {
      this.#proposals.push({ data, reply });
      this.#scheduleFlush();
    }
  }

  #refuse(
    reply: Reply<Answer>,
    code: 'no-leader' | 'not-leader' | 'overloaded' | 'too-large',
    leader: string | null,
  ): void {
    this.#options.metrics.count('carillon_raft_proposals_total', { outcome: code });
    reply({ type: 'refused', code, leader });
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
    if (transfer?.type === 'snapshot-answer') this.#senders.get(from)?.answer(transfer);
    // A snapshot is only taken from the leader that this node follows. Others repeat theirs until it does.
    else if (transfer?.term === state.term && state.leader === from) this.#receiver.take(from, transfer);
    this.#scheduleFlush();
  }

  #applied(index: number): void {
    this.#raft.applied(index);
    this.#options.metrics.gauge('carillon_raft_applied_index', index);
    let first = this.#unapplied[0];
    while (first !== undefined && first.index <= index) {
      this.#unappliedCount -= first.count;
      this.#unappliedBytes -= first.bytes;
      this.#unapplied.shift();
      first = this.#unapplied[0];
    }
    if (this.#raft.state.log.handedOn < this.#raft.state.log.handOnEnd - 1) this.#scheduleFlush();
  }

  #status(): RaftStatus {
    const { term, leader, voters, log } = this.#raft.state;
    return {
      type: 'status',
      role: this.#role,
      term,
      leader,
      voters,
      lastIndex: log.lastIndex,
      commitIndex: log.committed,
      appliedIndex: log.applied,
      firstIndex: log.firstIndex,
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
      for (const sender of [...this.#senders.values()]) sender.tick();
    }
    this.#flush();
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
        committedBytes: UNAPPLIED_BYTES_MAX - this.#unappliedBytes,
        committedEntries: UNAPPLIED_ENTRIES_MAX - this.#unappliedCount,
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
    const last = entries[entries.length - 1] as LogEntry;
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    this.#unapplied.push({ index: last.index, count: entries.length, bytes });
    this.#unappliedCount += entries.length;
    this.#unappliedBytes += bytes;
    this.#options.listener.send({ type: 'committed', entries });
    this.#options.metrics.gauge('carillon_raft_commit_index', this.#raft.state.log.committed);
  }

  get #role(): Role {
    const { role } = this.#raft.state;
    return role === 'pre-candidate' ? 'candidate' : role;
  }

  #announce(): void {
    const { term, leader, termStart, log } = this.#raft.state;
    const role = this.#role;
    const isReady = role === 'leader' && log.handedOn >= termStart;
    const last = this.#announced;
    if (last?.role === role && last.term === term && last.leader === leader && last.isReady === isReady) return;
    if (last === null || last.role !== role || last.term !== term) {
      if (role !== 'leader') this.#closeSenders();
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
    this.#senders.get(peer)?.close();
    this.#transfers += 1;
    const { term } = this.#raft.state;
    this.#options.log.info('raft: a follower is too far behind, sending it the state', { node: peer, term });
    const sender = new SnapshotSender({
      term,
      // Unique among the transfers of a term, across restarts too: a term has one leader, and a restart ends it.
      transfer: this.#transfers,
      port: this.#options.snapshotPort,
      send: (body) => this.#options.send(peer, 'bulk', body),
      pointOf: (index, entryTerm) => this.#pointOf(index, entryTerm),
      later: (run) => this.#later(run),
      onEnd: (index, isDone) => {
        this.#senders.delete(peer);
        this.#raft.snapshotSent(peer, index, isDone);
        this.#scheduleFlush();
      },
    });
    this.#senders.set(peer, sender);
  }

  #pointOf(index: number, term: number): LogPoint | null {
    const { log } = this.#raft.state;
    return log.matches({ index, term }) ? log.point(index) : null;
  }

  #closeSenders(): void {
    for (const sender of this.#senders.values()) sender.close();
    this.#senders.clear();
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
    this.#unapplied = [];
    this.#unappliedCount = 0;
    this.#unappliedBytes = 0;
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
const UNAPPLIED_ENTRIES_MAX = 4_096;
const UNAPPLIED_BYTES_MAX = 8 * 1024 * 1024;
const KEEP_ENTRIES = 8_192;
const LOG_BYTES_MAX = 128 * 1024 * 1024;
