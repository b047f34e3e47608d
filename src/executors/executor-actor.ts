/**
 * One on every node: decides whether an assigned attempt may start, starts it, and owes its result to the cluster until
 * a committed entry acknowledges it.
 *
 *   execute ─► known? session? startBy? outbox? ─► waiting ─slot, notBefore, lease─► marking ─durable, lease again─► running
 *                 └ refused finish ─► outbox                                                                  ended │
 *                                        ▲──────────────────────── finish (and its tail) ◄──────────────────────────┘
 *
 * An execution id starts at most once here, whatever repeats or overtakes: it is waiting, marking, running, in the
 * outbox, or has a tombstone; and a restart finds its mark. Nothing starts without having heard the leader within the
 * lease, and after a lapse not before a leader has confirmed the session.
 */
import { unreachable } from '../base/errors.ts';
import { crc32Of } from '../base/hash.ts';
import { Heap } from '../base/heap.ts';
import type { Timer } from '../base/time.ts';
import type { Actor, ActorContext, Reply } from '../actors/actor.ts';
import type { Storage, Write } from '../store/storage.ts';
import type { Ending, Executor, Task } from './executor.ts';
import type { RefusalReason } from './finishes.ts';
import { cancelledFinish, finishOfEnding, impossibleFinish, lostFinish, refusedFinish } from './finishes.ts';
import type { NodeStoreState, StartedMark } from './node-store.ts';
import { deleteFinish, deleteMark, deleteTail, putFinish, putMark, putTail, readTail } from './node-store.ts';
import type { OutboxLimits, Released } from './outbox.ts';
import { OUTBOX_LIMITS, Outbox } from './outbox.ts';
import type { ExecuteItem, Finish, FromNode, OutputChunk, OutputStored, ToNode } from './protocol.ts';
import type { Tombstone } from './tombstones.ts';
import { Tombstones } from './tombstones.ts';
import { WriteQueue } from './write-queue.ts';

export type ExecutorMessage =
  | ToNode
  | OutputStored
  /** Starts nothing new; answered with `drained` once nothing runs and all results are durable. */
  | { readonly type: 'drain' }
  | { readonly type: 'inspect' }
  // To itself.
  | { readonly type: 'tick' }
  | { readonly type: 'due' }
  | { readonly type: 'flush' }
  | { readonly type: 'flush-lazily' }
  | { readonly type: 'written'; readonly error: Error | null }
  | { readonly type: 'ended'; readonly execution: string; readonly ending: Ending };

export type ExecutorAnswer =
  | { readonly type: 'drained' }
  | {
      readonly type: 'state';
      readonly leader: string | null;
      readonly session: number | null;
      readonly mayStart: boolean;
      readonly waiting: number;
      readonly running: readonly string[];
      readonly outbox: number;
    };

export interface ExecutorActorOptions {
  /** This node's id, and its boot. */
  readonly node: string;
  readonly boot: number;
  readonly name: string;
  readonly isServer: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly version: string;
  readonly address: string;
  readonly executors: ReadonlyMap<string, Executor>;
  /** The node's own store, and what `openNodeStore` read from it. */
  readonly storage: Storage;
  readonly stored: NodeStoreState;
  /** Fire and forget, as everything between nodes. */
  readonly toLeader: (leader: string, message: FromNode) => void;
  readonly toServers: (message: OutputChunk) => void;
  /** Servers of the cluster as far as this node knows; at least 1. */
  readonly serverCount: () => number;
  /** Default 5,000. */
  readonly leaseMs?: number;
  /** Default 1,000. */
  readonly heartbeatMs?: number;
  /** Attempts that may wait for a slot or their time. Default 10,000. */
  readonly queueMax?: number;
  /** Default 256,000. */
  readonly outputBytesMax?: number;
  readonly outboxLimits?: OutboxLimits;
}

interface Held {
  readonly item: ExecuteItem;
  state: 'waiting' | 'marking' | 'running';
  /** When its executor was started. */
  startedAtMs: number;
  /** A cancel came while its mark was being written. */
  isCancelled: boolean;
}

const TOMBSTONE_KEEP_MS = 600_000;
const TOMBSTONES_MAX = 200_000;
/** Deletions of acknowledged rows may wait for company. */
const LAZY_FLUSH_MS = 100;
const OUTPUT_CHUNK_BYTES = 256 * 1024;
const OUTPUT_BURST_BYTES = 4 * 1024 * 1024;
/** Messages of finishes in one go; the rest follows with the next acknowledgement or tick. */
const FINISH_BURST_MESSAGES = 5;
const TAIL_COPIES_WANTED = 2;

export function createExecutorActor(
  options: ExecutorActorOptions,
): (context: ActorContext<ExecutorMessage, ExecutorAnswer>) => Actor<ExecutorMessage, ExecutorAnswer> {
  return (context) => new ExecutorActor(options, context);
}

class ExecutorActor implements Actor<ExecutorMessage, ExecutorAnswer> {
  readonly #options: ExecutorActorOptions;
  readonly #context: ActorContext<ExecutorMessage, ExecutorAnswer>;
  readonly #leaseMs: number;
  readonly #heartbeatMs: number;
  readonly #queueMax: number;
  readonly #outbox: Outbox;
  readonly #writes = new WriteQueue();
  readonly #tombstones: Tombstones;

  /** Everything between its execute and its finish. */
  readonly #held = new Map<string, Held>();
  /** Waiting for a slot, first come first served; what was cancelled or refused meanwhile is skipped when taken. */
  #ready: Held[] = [];
  /** Taken from the front of `#ready`, and cut off now and then. */
  #readyTaken = 0;
  /** Waiting for its time. */
  readonly #early = new Heap<Held>((left, right) => left.item.notBeforeMs < right.item.notBeforeMs);
  #earlyTimer: Timer | null = null;
  #earlyAtMs = 0;
  #waitingCount = 0;
  #slotsUsed = 0;
  /** Marks in the batch that is on its way, and in the one after it. */
  #marksInFlight: Held[] = [];
  #marksNext: Held[] = [];

  #leader: string | null = null;
  #term = -1;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #welcomedBy: string | null = null;
  #session: number | null = null;
  /** False from a lapse of the lease until a leader confirms the session: it may have been declared lost meanwhile. */
  #isSessionConfirmed = false;

  #isFlushAsked = false;
  #isFlushTimed = false;
  #isDraining = false;
  #drainReplies: Reply<ExecutorAnswer>[] = [];

  constructor(options: ExecutorActorOptions, context: ActorContext<ExecutorMessage, ExecutorAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#leaseMs = options.leaseMs ?? 5_000;
    this.#heartbeatMs = options.heartbeatMs ?? 1_000;
    this.#queueMax = options.queueMax ?? 10_000;
    this.#outbox = new Outbox(options.outboxLimits ?? OUTBOX_LIMITS);
    this.#tombstones = new Tombstones({
      keepMs: TOMBSTONE_KEEP_MS,
      countMax: TOMBSTONES_MAX,
      nowMs: context.clock.monotonic(),
    });
    this.#takeOver(options.stored);
    this.#report();
    context.after(this.#heartbeatMs, { type: 'tick' });
  }

  receive(message: ExecutorMessage, reply: Reply<ExecutorAnswer>): void {
    switch (message.type) {
      case 'beacon':
        return this.#onBeacon(message.leader, message.term);
      case 'welcome':
        return this.#onWelcome(message);
      case 'execute':
        for (const item of message.items) this.#onExecute(item);
        this.#askFlush();
        return this.#startDue();
      case 'cancel':
        for (const execution of message.executions) this.#onCancel(execution, message.graceMs);
        return;
      case 'reconcile':
        for (const { execution, session } of message.executions) this.#onReconcile(execution, session);
        return this.#askFlush();
      case 'acknowledge':
        for (const execution of message.executions) this.#onAcknowledge(execution);
        return this.#sendFinishes();
      case 'output-stored':
        return this.#release(this.#outbox.stored(message.execution, message.server, this.#copiesWanted()));
      case 'ended':
        return this.#onEnded(message.execution, message.ending);
      case 'written':
        return this.#onWritten(message.error);
      case 'flush':
        this.#isFlushAsked = false;
        return this.#flush();
      case 'flush-lazily':
        this.#isFlushTimed = false;
        return this.#flush();
      case 'due':
        this.#earlyTimer = null;
        return this.#startDue();
      case 'tick':
        return this.#onTick();
      case 'drain':
        return this.#onDrain(reply);
      case 'inspect':
        return reply(this.#state());
      default:
        return unreachable(message);
    }
  }

  // What an earlier boot left.

  #takeOver(stored: NodeStoreState): void {
    for (const finish of stored.finishes) this.#outbox.add(finish);
    for (const mark of stored.marks) {
      const finish = lostFinish(mark, this.#context.clock.now());
      this.#logEnd(finish, mark.job, mark.run);
      this.#writes.add(deleteMark(mark.execution));
      this.#owe(finish);
    }
  }

  // Leader, lease and session.

  #onBeacon(leader: string, term: number): void {
    if (term < this.#term) return;
    const isNewLeader = leader !== this.#leader || term !== this.#term;
    if (!this.#isLeaseValid()) this.#isSessionConfirmed = false;
    this.#term = term;
    this.#leader = leader;
    this.#heardAtMs = this.#context.clock.monotonic();
    if (isNewLeader) {
      this.#welcomedBy = null;
      this.#outbox.hurryAll();
    }
    if (this.#welcomedBy !== leader || !this.#isSessionConfirmed) this.#sayHello(leader);
    if (isNewLeader) this.#sendFinishes();
    this.#startDue();
  }

  #onWelcome(message: Extract<ToNode, { type: 'welcome' }>): void {
    // Sessions are log indexes, so a lower one is an old message.
    if (message.boot !== this.#options.boot || (this.#session !== null && message.session < this.#session)) return;
    if (message.leader === this.#leader) {
      this.#welcomedBy = message.leader;
      this.#isSessionConfirmed = true;
    }
    if (message.session === this.#session) return this.#startDue();
    this.#session = message.session;
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting' && held.item.session !== message.session) this.#dropWaiting(held, 'session');
    }
  }

  #sayHello(leader: string): void {
    const { node, boot, name, isServer, tags, slots, version, address } = this.#options;
    this.#options.toLeader(leader, { type: 'hello', node, boot, name, isServer, tags, slots, version, address });
  }

  #isLeaseValid(): boolean {
    return this.#context.clock.monotonic() - this.#heardAtMs <= this.#leaseMs;
  }

  #mayStart(): boolean {
    return this.#isSessionConfirmed && !this.#isDraining && this.#isLeaseValid();
  }

  // What the leader asks for.

  #onExecute(item: ExecuteItem): void {
    const { execution } = item;
    const known = this.#held.get(execution);
    if (known !== undefined) {
      if (item.fence < known.item.fence) this.#context.log.debug('execute with a lower fence ignored', { execution });
      return;
    }
    if (this.#outbox.has(execution)) return this.#outbox.hurry(execution);
    const stone = this.#tombstones.get(execution);
    if (stone !== undefined) return this.#answerTombstone(execution, stone);

    const nowMs = this.#context.clock.now();
    const refusal = this.#refusalOf(item, nowMs);
    if (refusal !== null) return this.#owe(refusedFinish(execution, refusal, nowMs));
    if (!this.#options.executors.has(item.executor)) {
      const text = `executor '${item.executor}' is not available on node ${this.#options.name}`;
      const finish = impossibleFinish(execution, text, nowMs);
      this.#logEnd(finish, item.job, item.run);
      return this.#owe(finish);
    }
    const held: Held = { item, state: 'waiting', startedAtMs: 0, isCancelled: false };
    this.#held.set(execution, held);
    this.#waitingCount += 1;
    if (item.notBeforeMs > nowMs) this.#early.push(held);
    else this.#ready.push(held);
  }

  #refusalOf(item: ExecuteItem, nowMs: number): RefusalReason | null {
    if (item.session !== this.#session) return 'session';
    if (nowMs > item.startByMs) return 'start-by';
    if (this.#isDraining) return 'draining';
    if (this.#outbox.isFull) return 'outbox-full';
    // Slots that are free take what is ready at once, so only what exceeds them really queues.
    const isRoom = this.#waitingCount < this.#queueMax + Math.max(0, this.#options.slots - this.#slotsUsed);
    return isRoom ? null : 'no-slot';
  }

  #onCancel(execution: string, graceMs: number): void {
    const held = this.#held.get(execution);
    if (held === undefined) {
      if (this.#outbox.has(execution) || this.#tombstones.get(execution) !== undefined) return;
      // It may have overtaken its execute.
      this.#tombstones.add(execution, 'cancelled', this.#context.clock.monotonic());
      return;
    }
    if (held.state === 'waiting') {
      this.#forgetWaiting(held);
      this.#owe(cancelledFinish(execution, this.#context.clock.now()));
    } else if (held.state === 'marking') {
      held.isCancelled = true;
    } else {
      this.#options.executors.get(held.item.executor)?.cancel(execution, graceMs);
    }
  }

  #onReconcile(execution: string, session: number): void {
    if (this.#held.has(execution)) return;
    if (this.#outbox.has(execution)) return this.#outbox.hurry(execution);
    const stone = this.#tombstones.get(execution);
    if (stone !== undefined) return this.#answerTombstone(execution, stone);
    // Its execute was lost, or belongs to a session that is over. One that is still on its way must not start it.
    const nowMs = this.#context.clock.now();
    this.#context.log.debug('reconcile: never started here', { execution, session });
    this.#owe(refusedFinish(execution, 'never-started', nowMs));
  }

  #answerTombstone(execution: string, stone: Tombstone): void {
    // What is over has been committed, so the leader that asks learns it from its own log.
    if (stone === 'cancelled') this.#owe(cancelledFinish(execution, this.#context.clock.now()));
  }

  #onAcknowledge(execution: string): void {
    this.#release(this.#outbox.acknowledge(execution, this.#copiesWanted()));
  }

  // Starting.

  #startDue(): void {
    this.#moveEarly();
    const nowMs = this.#context.clock.now();
    const mayStart = this.#mayStart();
    for (; this.#readyTaken < this.#ready.length; this.#readyTaken += 1) {
      const held = this.#ready[this.#readyTaken] as Held;
      if (held.state !== 'waiting' || this.#held.get(held.item.execution) !== held) continue;
      if (nowMs > held.item.startByMs) this.#dropWaiting(held, 'start-by');
      else if (mayStart && this.#slotsUsed < this.#options.slots) this.#mark(held, nowMs);
      else break;
    }
    if (2 * this.#readyTaken >= this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyTaken);
      this.#readyTaken = 0;
    }
  }

  /** What waits behind others learns in time that it is too late. */
  #dropExpired(): void {
    const nowMs = this.#context.clock.now();
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting' && nowMs > held.item.startByMs) this.#dropWaiting(held, 'start-by');
    }
  }

  #moveEarly(): void {
    const nowMs = this.#context.clock.now();
    for (let held = this.#early.peek(); held !== undefined; held = this.#early.peek()) {
      if (held.item.notBeforeMs > nowMs) break;
      this.#early.pop();
      this.#ready.push(held);
    }
    const next = this.#early.peek();
    if (next === undefined || (this.#earlyTimer !== null && this.#earlyAtMs <= next.item.notBeforeMs)) return;
    this.#earlyTimer?.cancel();
    this.#earlyAtMs = next.item.notBeforeMs;
    // The wall clock may jump, so the tick looks as well.
    this.#earlyTimer = this.#context.after(next.item.notBeforeMs - nowMs, { type: 'due' });
  }

  #mark(held: Held, nowMs: number): void {
    const { execution, fence, job, run } = held.item;
    held.state = 'marking';
    this.#waitingCount -= 1;
    this.#slotsUsed += 1;
    this.#write(putMark({ execution, fence, startedAtMs: nowMs, job, run } satisfies StartedMark));
    this.#marksNext.push(held);
  }

  /** Its mark is durable. Time has passed: whether it may start is asked again. */
  #startMarked(held: Held): void {
    const { item } = held;
    const nowMs = this.#context.clock.now();
    const executor = this.#options.executors.get(item.executor);
    let finish: Finish | null = null;
    if (held.isCancelled) finish = cancelledFinish(item.execution, nowMs);
    else if (item.session !== this.#session) finish = refusedFinish(item.execution, 'session', nowMs);
    else if (nowMs > item.startByMs) finish = refusedFinish(item.execution, 'start-by', nowMs);
    else if (this.#isDraining) finish = refusedFinish(item.execution, 'draining', nowMs);
    if (finish !== null || !this.#mayStart() || executor === undefined) {
      this.#write(deleteMark(item.execution));
      this.#slotsUsed -= 1;
      if (finish !== null) {
        this.#held.delete(item.execution);
        return this.#owe(finish);
      }
      // Only the lease is missing: it waits for a leader.
      held.state = 'waiting';
      this.#waitingCount += 1;
      this.#ready.splice(this.#readyTaken, 0, held);
      return;
    }
    held.state = 'running';
    held.startedAtMs = nowMs;
    const { session: _session, notBeforeMs: _notBefore, startByMs: _startBy, ...rest } = item;
    const task: Task = { ...rest, outputBytesMax: this.#options.outputBytesMax ?? 256_000 };
    executor.start(task, (ending) => this.#context.self.send({ type: 'ended', execution: item.execution, ending }));
  }

  #dropWaiting(held: Held, reason: RefusalReason): void {
    this.#forgetWaiting(held);
    this.#owe(refusedFinish(held.item.execution, reason, this.#context.clock.now()));
  }

  #forgetWaiting(held: Held): void {
    this.#held.delete(held.item.execution);
    this.#waitingCount -= 1;
  }

  // Ending.

  #onEnded(execution: string, ending: Ending): void {
    const held = this.#held.get(execution);
    if (held === undefined || held.state !== 'running') {
      throw new Error(`executor ended ${execution}, which was not running`);
    }
    this.#held.delete(execution);
    this.#slotsUsed -= 1;
    const finish = finishOfEnding(execution, ending, {
      startedAtMs: held.startedAtMs,
      finishedAtMs: this.#context.clock.now(),
    });
    this.#logEnd(finish, held.item.job, held.item.run);
    if (finish.storedBytes > 0) this.#write(putTail(execution, ending.output));
    this.#write(deleteMark(execution));
    this.#owe(finish);
    this.#startDue();
  }

  /** Into the outbox: kept until it is acknowledged. It is sent with the flush, together with others of this turn. */
  #owe(finish: Finish): void {
    this.#outbox.add(finish);
    this.#write(putFinish(finish));
  }

  #sendFinishes(): void {
    if (this.#leader === null) return;
    const nowMs = this.#context.clock.monotonic();
    const { node, boot } = this.#options;
    for (let message = 0; message < FINISH_BURST_MESSAGES; message += 1) {
      const finishes = this.#outbox.takeDueFinishes(nowMs);
      if (finishes.length === 0) return;
      this.#options.toLeader(this.#leader, { type: 'finish', node, boot, finishes });
    }
  }

  #sendTails(): void {
    const nowMs = this.#context.clock.monotonic();
    for (const execution of this.#outbox.takeDueTails(nowMs, this.#copiesWanted(), OUTPUT_BURST_BYTES)) {
      const bytes = this.#writes.peek(putTail(execution, new Uint8Array()).key) ?? readTail(this.#options.storage, execution);
      if (bytes === undefined) throw new Error(`outbox: the tail of ${execution} is missing from the node store`);
      const crc = crc32Of(bytes);
      for (let offset = 0; offset < bytes.length; offset += OUTPUT_CHUNK_BYTES) {
        const chunk = bytes.subarray(offset, offset + OUTPUT_CHUNK_BYTES);
        this.#options.toServers({ type: 'output', execution, offset, totalBytes: bytes.length, crc, bytes: chunk });
      }
    }
  }

  #copiesWanted(): number {
    return Math.max(1, Math.min(TAIL_COPIES_WANTED, this.#options.serverCount()));
  }

  #release(released: Released | null): void {
    if (released === null) return;
    const { execution, hadTail } = released;
    this.#writes.undoPut(deleteFinish(execution));
    if (hadTail) this.#writes.undoPut(deleteTail(execution));
    this.#flushLazily();
    this.#tombstones.add(execution, 'over', this.#context.clock.monotonic());
  }

  // Writing.

  #write(write: Write): void {
    this.#writes.add(write);
    this.#askFlush();
  }

  /** The flush comes behind the messages that wait already, so that what they bring shares its batch. */
  #askFlush(): void {
    if (this.#isFlushAsked) return;
    this.#isFlushAsked = true;
    this.#context.self.send({ type: 'flush' });
  }

  #flushLazily(): void {
    if (this.#isFlushTimed || this.#isFlushAsked) return;
    this.#isFlushTimed = true;
    this.#context.after(LAZY_FLUSH_MS, { type: 'flush-lazily' });
  }

  #flush(): void {
    // Results leave before their fsync: whichever way is quicker makes them safe.
    this.#sendFinishes();
    this.#sendTails();
    const batch = this.#writes.take();
    if (batch === null) return;
    this.#marksInFlight = this.#marksNext;
    this.#marksNext = [];
    this.#options.storage.write(batch, (error) => this.#context.self.send({ type: 'written', error }));
  }

  #onWritten(error: Error | null): void {
    // Supervision stops the process: a node that cannot keep results must not go on (P7).
    if (error !== null) throw error;
    this.#writes.written();
    const marked = this.#marksInFlight;
    this.#marksInFlight = [];
    for (const held of marked) this.#startMarked(held);
    this.#flush();
    this.#answerDrain();
    this.#report();
  }

  // Now and then.

  #onTick(): void {
    this.#context.after(this.#heartbeatMs, { type: 'tick' });
    this.#tombstones.expire(this.#context.clock.monotonic());
    for (const released of this.#outbox.releaseStored(this.#copiesWanted())) this.#release(released);
    if (this.#leader !== null && this.#session !== null) {
      this.#options.toLeader(this.#leader, {
        type: 'heartbeat',
        node: this.#options.node,
        boot: this.#options.boot,
        session: this.#session,
        running: this.#slotsUsed,
        outbox: this.#outbox.size,
      });
    }
    this.#dropExpired();
    this.#sendFinishes();
    this.#sendTails();
    this.#startDue();
    this.#report();
  }

  #onDrain(reply: Reply<ExecutorAnswer>): void {
    this.#isDraining = true;
    this.#drainReplies.push(reply);
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting') this.#dropWaiting(held, 'draining');
    }
    this.#answerDrain();
  }

  #answerDrain(): void {
    if (!this.#isDraining || this.#held.size > 0 || !this.#writes.isIdle) return;
    for (const reply of this.#drainReplies) reply({ type: 'drained' });
    this.#drainReplies = [];
  }

  #state(): ExecutorAnswer {
    return {
      type: 'state',
      leader: this.#leader,
      session: this.#session,
      mayStart: this.#mayStart(),
      waiting: this.#waitingCount,
      running: [...this.#held.values()].filter((held) => held.state === 'running').map((held) => held.item.execution),
      outbox: this.#outbox.size,
    };
  }

  #report(): void {
    const { metrics } = this.#context;
    metrics.gauge('carillon_slots', this.#slotsUsed, { state: 'used' });
    metrics.gauge('carillon_slots', Math.max(0, this.#options.slots - this.#slotsUsed), { state: 'free' });
    metrics.gauge('carillon_outbox_entries', this.#outbox.size);
  }

  #logEnd(finish: Finish, job: string, run: string): void {
    const { execution, outcome, reason, exitCode } = finish;
    const fields = { job, run, execution, node: this.#options.name, outcome, reason, exitCode };
    if (outcome === 'succeeded') this.#context.log.debug('execution succeeded', fields);
    else this.#context.log.info(`execution ${outcome}`, fields);
  }
}
