/**
 * One on every node: decides whether an assigned attempt may start, starts it, and owes its result to the cluster until
 * a committed entry acknowledges it.
 *
 *   execute ─► known? session? startBy? outbox? ─► waiting ─slot, notBefore, lease─► marking ─durable, lease again─► running
 *                 └ refused finish ─► outbox                                                                  ended │
 *                                        ▲──────────────────────── finish (and its tail) ◄──────────────────────────┘
 *
 * An execution id starts at most once here, whatever repeats or overtakes: it is waiting, marking, running, in the
 * outbox, or has a tombstone; and a restart finds its mark. Nothing starts unless the leader has answered what this
 * node said within the lease: then the leader has heard it as well, and has not given its session up.
 */

import type { Actor, ActorContext, Reply } from '../actors/actor.ts';
import { unreachable } from '../base/errors.ts';
import type { Timer } from '../base/time.ts';
import type { Write } from '../store/storage.ts';
import { Delivery } from './delivery.ts';
import type { Ending, Task } from './executor.ts';
import type { ExecutorAnswer, ExecutorMessage } from './executor-message.ts';
import type { ExecutorActorOptions } from './executor-options.ts';
import {
  cancelledFinish,
  finishOfEnding,
  impossibleFinish,
  logEnd,
  lostFinish,
  type RefusalReason,
  refusedFinish,
} from './finishes.ts';
import type { Held } from './held.ts';
import { type Load, Membership } from './membership.ts';
import type { NodeStoreState, StartedMark } from './node-store.ts';
import { deleteFinish, deleteMark, deleteTail, putFinish, putMark, putTail } from './node-store.ts';
import { OUTBOX_LIMITS, Outbox, type Released } from './outbox.ts';
import type { ExecuteItem, Finish } from './protocol.ts';
import { TOMBSTONE_LIMITS, type Tombstone, Tombstones } from './tombstones.ts';
import { WaitingList } from './waiting-list.ts';
import { WriteQueue } from './write-queue.ts';

/** Deletions of acknowledged rows may wait for company. */
const LAZY_FLUSH_MS = 100;
/** A result is sent at once; acknowledged within this time it need not go to the disk (docs/decisions/0002). */
const FINISH_FLUSH_MS = 5;

export function createExecutorActor(
  options: ExecutorActorOptions,
): (context: ActorContext<ExecutorMessage, ExecutorAnswer>) => Actor<ExecutorMessage, ExecutorAnswer> {
  return (context) => new ExecutorActor(options, context);
}

class ExecutorActor implements Actor<ExecutorMessage, ExecutorAnswer> {
  readonly #options: ExecutorActorOptions;
  readonly #context: ActorContext<ExecutorMessage, ExecutorAnswer>;
  readonly #membership: Membership;
  readonly #heartbeatMs: number;
  readonly #queueMax: number;
  readonly #outbox: Outbox;
  readonly #writes = new WriteQueue();
  readonly #delivery: Delivery;
  readonly #tombstones: Tombstones;

  /** Everything between its execute and its finish. */
  readonly #held = new Map<string, Held>();
  readonly #waiting = new WaitingList<Held>(
    (held) => held.state === 'waiting' && this.#held.get(held.item.execution) === held,
  );
  #earlyTimer: Timer | null = null;
  #earlyAtMs = 0;
  #waitingCount = 0;
  #slotsUsed = 0;
  /** Marks in the batch that is on its way, and in the one after it. */
  #marksInFlight: Held[] = [];
  #marksNext: Held[] = [];

  #isFlushAsked = false;
  #isSendAsked = false;
  /** When a timed flush comes, monotonic. */
  #flushAtMs = Number.POSITIVE_INFINITY;
  #drainReplies: Reply<ExecutorAnswer>[] = [];

  constructor(options: ExecutorActorOptions, context: ActorContext<ExecutorMessage, ExecutorAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#membership = new Membership(options, context, () => this.#held.size === 0 && this.#outbox.owed === 0);
    this.#heartbeatMs = options.heartbeatMs ?? 1_000;
    this.#queueMax = options.queueMax ?? 10_000;
    this.#outbox = new Outbox(options.outboxLimits ?? OUTBOX_LIMITS, options.isServer ? options.node : null);
    this.#delivery = new Delivery({ ...options, outbox: this.#outbox, writes: this.#writes });
    this.#tombstones = new Tombstones({ ...TOMBSTONE_LIMITS, nowMs: context.clock.monotonic() });
    this.#takeOver(options.stored);
    this.#report();
    context.after(this.#heartbeatMs, { type: 'tick' });
  }

  receive(message: ExecutorMessage, reply: Reply<ExecutorAnswer>): void {
    switch (message.type) {
      case 'beacon':
        return this.#onBeacon(message.leader, message.term);
      case 'welcome':
        return this.#onWelcome(message.session, this.#membership.welcome(message));
      case 'left':
        return this.#membership.left(message);
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
        for (const execution of message.executions) {
          this.#release(this.#outbox.acknowledge(execution, this.#delivery.copiesWanted()));
        }
        return this.#sendFinishes();
      case 'output-stored':
        return this.#release(this.#outbox.stored(message.execution, message.server, this.#delivery.copiesWanted()));
      case 'ended':
        return this.#onEnded(message.execution, message.ending);
      case 'written':
        return this.#onWritten(message.error);
      case 'flush':
        this.#isFlushAsked = false;
        return this.#flush();
      case 'send':
        this.#isSendAsked = false;
        return this.#sendFinishes();
      case 'flush-lazily':
        this.#flushAtMs = Number.POSITIVE_INFINITY;
        return this.#flush();
      case 'due':
        this.#earlyTimer = null;
        return this.#startDue();
      case 'tick':
        return this.#onTick();
      case 'drain':
        return this.#onDrain(reply);
      case 'leave':
        return this.#membership.leave(reply);
      case 'leave-again':
        return this.#membership.leaveAgain();
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
      const finish = lostFinish(mark, 'node-restarted', this.#context.clock.now());
      logEnd(this.#context.log, finish, mark.job, mark.run);
      this.#writes.add(deleteMark(mark.execution));
      this.#owe(finish);
    }
  }

  // Leader, lease and session.

  #onBeacon(leader: string, term: number): void {
    const news = this.#membership.hear(leader, term);
    if (news === 'old') return;
    if (news === 'new-leader') {
      this.#outbox.hurryAll();
      this.#sendFinishes();
    }
    this.#startDue();
  }

  #onWelcome(session: number, news: ReturnType<Membership['welcome']>): void {
    if (news === 'old') return;
    if (news === 'same-session') return this.#startDue();
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting' && held.item.session !== session) this.#dropWaiting(held, 'session');
    }
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
      logEnd(this.#context.log, finish, item.job, item.run);
      return this.#owe(finish);
    }
    const { notBeforeMs } = item;
    const held: Held = { item, notBeforeMs, state: 'waiting', startedAtMs: 0, isCancelled: false };
    this.#held.set(execution, held);
    this.#waitingCount += 1;
    this.#waiting.add(held, nowMs);
  }

  #refusalOf(item: ExecuteItem, nowMs: number): RefusalReason | null {
    if (item.session !== this.#membership.session) return 'session';
    if (nowMs > item.startByMs) return 'start-by';
    if (this.#membership.isDraining) return 'draining';
    if (!this.#makeOutboxRoom()) return 'outbox-full';
    // Slots that are free take what is ready at once, so only what exceeds them really queues.
    const isRoom = this.#waitingCount < this.#queueMax + Math.max(0, this.#options.slots - this.#slotsUsed);
    return isRoom ? null : 'no-slot';
  }

  /** Lets go of what another server's copy makes spare; false: it is full all the same. */
  #makeOutboxRoom(): boolean {
    const released = this.#outbox.makeRoom();
    for (const one of released) this.#release(one);
    if (released.length > 0) {
      this.#context.log.warn('the outbox is full: outputs stay with one server only', { count: released.length });
    }
    return !this.#outbox.isFull;
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

  // Starting.

  #startDue(): void {
    const nowMs = this.#context.clock.now();
    const { mayStart } = this.#membership;
    for (let held = this.#waiting.peek(nowMs); held !== undefined; held = this.#waiting.peek(nowMs)) {
      if (nowMs > held.item.startByMs) this.#dropWaiting(held, 'start-by');
      else if (mayStart && this.#slotsUsed < this.#options.slots) this.#mark(held, nowMs);
      else break;
      this.#waiting.shift();
    }
    this.#awaitEarly(nowMs);
  }

  /** What waits behind others learns in time that it is too late. */
  #dropExpired(): void {
    const nowMs = this.#context.clock.now();
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting' && nowMs > held.item.startByMs) this.#dropWaiting(held, 'start-by');
    }
  }

  #awaitEarly(nowMs: number): void {
    const dueMs = this.#waiting.nextDueMs;
    if (dueMs === undefined || (this.#earlyTimer !== null && this.#earlyAtMs <= dueMs)) return;
    this.#earlyTimer?.cancel();
    this.#earlyAtMs = dueMs;
    // The wall clock may jump, so the tick looks as well.
    this.#earlyTimer = this.#context.after(dueMs - nowMs, { type: 'due' });
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
    else if (item.session !== this.#membership.session) finish = refusedFinish(item.execution, 'session', nowMs);
    else if (nowMs > item.startByMs) finish = refusedFinish(item.execution, 'start-by', nowMs);
    else if (this.#membership.isDraining) finish = refusedFinish(item.execution, 'draining', nowMs);
    if (finish !== null || !this.#membership.mayStart || executor === undefined) {
      this.#write(deleteMark(item.execution));
      this.#slotsUsed -= 1;
      if (finish !== null) {
        this.#held.delete(item.execution);
        return this.#owe(finish);
      }
      // Only the lease is missing: it waits for a leader's answer.
      held.state = 'waiting';
      this.#waitingCount += 1;
      this.#waiting.putBack(held);
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
    logEnd(this.#context.log, finish, held.item.job, held.item.run);
    if (finish.storedBytes > 0) this.#write(putTail(execution, ending.output));
    this.#writes.add(deleteMark(execution));
    this.#outbox.add(finish);
    this.#writes.add(putFinish(finish));
    this.#askSend();
    this.#flushWithin(FINISH_FLUSH_MS);
    this.#startDue();
  }

  /** Into the outbox: kept until it is acknowledged. It is sent with the flush, together with others of this turn. */
  #owe(finish: Finish): void {
    this.#outbox.add(finish);
    this.#write(putFinish(finish));
  }

  #sendFinishes(): void {
    this.#delivery.sendFinishes(this.#membership.leader, this.#context.clock.monotonic());
  }

  #release(released: Released | null): void {
    if (released === null) return;
    const { execution, hadTail } = released;
    this.#writes.undoPut(deleteFinish(execution));
    if (hadTail) this.#writes.undoPut(deleteTail(execution));
    this.#flushWithin(LAZY_FLUSH_MS);
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

  #flushWithin(delayMs: number): void {
    const atMs = this.#context.clock.monotonic() + delayMs;
    if (this.#isFlushAsked || atMs >= this.#flushAtMs) return;
    this.#flushAtMs = atMs;
    this.#context.after(delayMs, { type: 'flush-lazily' });
  }

  #askSend(): void {
    if (this.#isSendAsked) return;
    this.#isSendAsked = true;
    this.#context.self.send({ type: 'send' });
  }

  #flush(): void {
    // Results leave before their fsync: whichever way is quicker makes them safe.
    this.#sendFinishes();
    this.#delivery.sendTails(this.#context.clock.monotonic());
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
    for (const released of this.#outbox.releaseStored(this.#delivery.copiesWanted())) this.#release(released);
    this.#membership.beat(this.#load);
    this.#dropExpired();
    this.#sendFinishes();
    this.#delivery.sendTails(this.#context.clock.monotonic());
    this.#startDue();
    this.#report();
  }

  #onDrain(reply: Reply<ExecutorAnswer>): void {
    this.#membership.drain(this.#load);
    this.#drainReplies.push(reply);
    for (const held of [...this.#held.values()]) {
      if (held.state === 'waiting') this.#dropWaiting(held, 'draining');
    }
    this.#answerDrain();
  }

  #answerDrain(): void {
    if (!this.#membership.isDraining || this.#held.size > 0 || !this.#writes.isIdle) return;
    for (const reply of this.#drainReplies) reply({ type: 'drained' });
    this.#drainReplies = [];
  }

  get #load(): Load {
    return { running: this.#slotsUsed, outbox: this.#outbox.size };
  }

  #state(): ExecutorAnswer {
    return {
      type: 'state',
      leader: this.#membership.leader,
      session: this.#membership.session,
      mayStart: this.#membership.mayStart,
      waiting: this.#waitingCount,
      running: [...this.#held.values()].filter((held) => held.state === 'running').map((held) => held.item.execution),
      outbox: this.#outbox.size,
      owed: this.#outbox.owed,
    };
  }

  #report(): void {
    const { metrics } = this.#context;
    metrics.gauge('carillon_slots', this.#slotsUsed, { state: 'used' });
    metrics.gauge('carillon_slots', Math.max(0, this.#options.slots - this.#slotsUsed), { state: 'free' });
    metrics.gauge('carillon_outbox_entries', this.#outbox.size);
  }
}
