/**
 * Runs the state machine: applies what raft commits, in slices, so that ticks and heartbeats run in between; writes the
 * changed rows behind it, one synced batch at a time; tells the others what has happened.
 */

import type { Actor, ActorContext, ActorRef, AskOutcome, Reply } from '../actors/actor.ts';
import { CodedError } from '../base/errors.ts';
import type { Entry, RaftAnswer, RaftEvent, RaftRequest, Role } from '../raft/raft-protocol.ts';
import { apply } from './apply.ts';
import { decodeCommand } from './command.ts';
import type { StateEvent } from './event.ts';
import { LinearReads, READ_INDEX_MS } from './linear-reads.ts';
import type { State } from './state.ts';

export type StateMessage =
  | RaftEvent
  /** Asked: answered once the disk has all that is applied now; or, if linearizable, all that was acknowledged anywhere. */
  | { readonly type: 'await-stored'; readonly isLinearizable?: boolean }
  | { readonly type: 'read-index'; readonly outcome: AskOutcome<RaftAnswer> }
  | { readonly type: 'continue' }
  | { readonly type: 'flush' }
  | { readonly type: 'flushed'; readonly index: number; readonly error: string | null };

/** How far this server is and who leads: told with each change of role and each flush. */
export interface Progress {
  readonly type: 'progress';
  /** Known here to be committed; never below what is applied. */
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** On disk, so that a second handle sees it. */
  readonly storedIndex: number;
  readonly loggedMs: number;
  readonly role: Role;
  readonly isReady: boolean;
  readonly term: number;
  readonly leader: string | null;
  /** Where the state lies on disk; changes when a snapshot is installed. */
  readonly storageName: string;
}

export type StoredAnswer =
  | { readonly type: 'stored'; readonly index: number }
  /** Only to those who want a linearizable read. */
  | { readonly type: 'unreadable'; readonly code: 'no-leader' | 'overloaded' };

/** Who votes and who learns, as raft tells it. */
export type ConfigurationMessage = Extract<RaftEvent, { readonly type: 'configuration' }>;

export interface LeadingMessage {
  readonly type: 'leading';
  readonly isLeading: boolean;
  /** Raft's. */
  readonly term: number;
}

export interface EventsMessage {
  readonly type: 'events';
  readonly events: readonly StateEvent[];
}

export interface StateOptions {
  readonly state: State;
  readonly storageName: () => string;
  readonly raft: () => ActorRef<RaftRequest, RaftAnswer>;
  /** Work on a leader only: scheduler and dispatcher. */
  readonly leaders: () => readonly ActorRef<LeadingMessage | EventsMessage, unknown>[];
  /** Follows how far this server is, and which jobs are gone; perhaps on another thread, so it gets little. */
  readonly backend: () => ActorRef<EventsMessage | Progress | ConfigurationMessage, unknown> | null;
  /** Whoever answers clients here: hears events on every server, and progress. */
  readonly answering: () => readonly ActorRef<EventsMessage | Progress, unknown>[];
  /** Hears progress only. */
  readonly following: () => readonly ActorRef<Progress, unknown>[];
  readonly onConfiguration: (message: ConfigurationMessage) => void;
  /** Events are hints: the simulator loses some on their way to the leader's actors. Default: all are kept. */
  readonly keepEvent?: (event: StateEvent) => boolean;
  /** After each entry; the simulator checks its invariants here. */
  readonly onApplied?: (entry: Entry, events: readonly StateEvent[]) => void;
}

/**
 * At most one flush in this time, unless a read waits for it: rows that change with every run are written once for
 * many, and rows that come and go in between never.
 */
const FLUSH_EVERY_MS = 25;
/** Rows that may be ahead of the disk: one flush encodes them all, so this also bounds how long it holds the thread. */
const UNFLUSHED_ROWS_MAX = 20_000;
/** Reads that wait for the disk; where it hangs, those whose askers have given up stay until it answers. */
const WAITING_MAX = 20_000;
/** No slice of applying holds up its thread for longer. */
const SLICE_MS = 5;

export function createStateActor(
  options: StateOptions,
): (context: ActorContext<StateMessage, StoredAnswer>) => Actor<StateMessage, StoredAnswer> {
  return (context) => new StateActor(options, context);
}

class StateActor implements Actor<StateMessage, StoredAnswer> {
  readonly #options: StateOptions;
  readonly #context: ActorContext<StateMessage, StoredAnswer>;
  readonly #queue: Entry[] = [];
  #next = 0;
  #role: Extract<RaftEvent, { type: 'role' }> = {
    type: 'role',
    role: 'follower',
    term: 0,
    leader: null,
    isReady: false,
  };
  /** Holds a role back until everything committed before it is applied. */
  #nextRole: Extract<RaftEvent, { type: 'role' }> | null = null;
  #isContinuing = false;
  #isFlushing = false;
  #isFlushDue = false;
  /** No flush before, monotonic. */
  #flushFromMs = 0;
  #commitIndex: number;
  #storedIndex: number;
  /** Reads, in the order of their index. */
  readonly #waiting: { readonly index: number; readonly reply: Reply<StoredAnswer> }[] = [];
  readonly #linearReads = new LinearReads<Reply<StoredAnswer>>();

  constructor(options: StateOptions, context: ActorContext<StateMessage, StoredAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#commitIndex = options.state.meta.appliedIndex;
    this.#storedIndex = options.state.meta.appliedIndex;
  }

  receive(message: StateMessage, reply: Reply<StoredAnswer>): void {
    switch (message.type) {
      case 'await-stored':
        return message.isLinearizable === true ? this.#readLinear(reply) : this.#awaitStored(reply);
      case 'read-index':
        return this.#takeReadIndex(message.outcome);
      case 'flush':
        this.#isFlushDue = false;
        return this.#flush();
      case 'committed':
        for (const entry of message.entries) this.#queue.push(entry);
        this.#commitIndex = Math.max(this.#commitIndex, message.commitIndex);
        return this.#work();
      case 'continue':
        this.#isContinuing = false;
        return this.#work();
      case 'role':
        this.#nextRole = message;
        return this.#work();
      case 'installed':
        return this.#installed(message.index);
      case 'configuration':
        this.#options.onConfiguration(message);
        this.#options.backend()?.send(message);
        return;
      case 'flushed':
        return this.#flushed(message);
    }
  }

  #work(): void {
    if (this.#isContinuing) return;
    const events = this.#applySlice();
    if (this.#next < this.#queue.length) {
      // Where the disk is behind, the end of its flush goes on with the work.
      if (!this.#isDiskBehind) this.#continue();
    } else {
      this.#queue.length = 0;
      this.#next = 0;
    }
    this.#tell(events);
    this.#flush();
  }

  #continue(): void {
    this.#isContinuing = true;
    this.#context.self.send({ type: 'continue' });
  }

  /** What is not on disk is bounded: raft's bound on what is not applied then slows the proposals. */
  get #isDiskBehind(): boolean {
    return this.#options.state.unflushed >= UNFLUSHED_ROWS_MAX;
  }

  #applySlice(): StateEvent[] {
    const { state, onApplied } = this.#options;
    const { clock } = this.#context;
    const startMs = clock.monotonic();
    const all: StateEvent[] = [];
    const first = this.#next;
    while (this.#next < this.#queue.length && !this.#isDiskBehind) {
      const entry = this.#queue[this.#next] as Entry;
      this.#next += 1;
      if (entry.index <= state.meta.appliedIndex) continue;
      const command = entry.kind === 'command' ? decodeCommand(entry.data) : null;
      const events = apply(state, entry, command);
      onApplied?.(entry, events);
      for (const event of events) all.push(event);
      // Each time: one entry may hold five hundred results.
      if (clock.monotonic() - startMs >= SLICE_MS) break;
    }
    if (this.#next > first) this.#options.raft().send({ type: 'applied', index: state.meta.appliedIndex });
    return all;
  }

  #tell(events: readonly StateEvent[]): void {
    const before = this.#role;
    const wasLeading = isLeading(before);
    const role = this.#next < this.#queue.length ? null : this.#nextRole;
    if (role !== null) {
      this.#role = role;
      this.#nextRole = null;
      this.#tellProgress();
    }
    if (events.length > 0) {
      for (const ref of this.#options.answering()) ref.send({ type: 'events', events });
      const removals = events.filter((event) => event.type === 'job-deleted');
      if (removals.length > 0) this.#options.backend()?.send({ type: 'events', events: removals });
      if (wasLeading) this.#tellLeaders(events);
    }
    // Another term is a change too: what happened between the two was held back until all was applied.
    if (isLeading(this.#role) !== wasLeading || (wasLeading && this.#role.term !== before.term)) {
      const leading: LeadingMessage = { type: 'leading', isLeading: isLeading(this.#role), term: this.#role.term };
      for (const ref of this.#options.leaders()) ref.send(leading);
    }
  }

  #tellLeaders(events: readonly StateEvent[]): void {
    const { leaders, keepEvent } = this.#options;
    for (const ref of leaders()) {
      const kept = keepEvent === undefined ? events : events.filter(keepEvent);
      if (kept.length > 0) ref.send({ type: 'events', events: kept });
    }
  }

  #awaitStored(reply: Reply<StoredAnswer>, index = this.#options.state.meta.appliedIndex): void {
    if (index <= this.#storedIndex) return reply({ type: 'stored', index: this.#storedIndex });
    let place = this.#waiting.length;
    while (place > 0 && (this.#waiting[place - 1]?.index ?? 0) > index) place -= 1;
    this.#waiting.splice(place, 0, { index, reply });
    this.#flush();
  }

  #readLinear(reply: Reply<StoredAnswer>): void {
    const mustAsk = this.#waiting.length < WAITING_MAX ? this.#linearReads.add(reply) : null;
    if (mustAsk === null) reply({ type: 'unreadable', code: 'overloaded' });
    else if (mustAsk) this.#askReadIndex();
  }

  #askReadIndex(): void {
    const toMessage = (outcome: AskOutcome<RaftAnswer>) => ({ type: 'read-index', outcome }) as const;
    this.#context.ask(this.#options.raft(), { type: 'read' }, READ_INDEX_MS, toMessage);
  }

  #takeReadIndex(outcome: AskOutcome<RaftAnswer>): void {
    const { readers, mustAsk } = this.#linearReads.takeAnswered();
    const answer = outcome.type === 'answer' ? outcome.answer : null;
    for (const reply of readers) {
      if (answer?.type === 'read') this.#awaitStored(reply, answer.index);
      else reply({ type: 'unreadable', code: answer?.type === 'read-refused' ? answer.code : 'no-leader' });
    }
    if (mustAsk) this.#askReadIndex();
  }

  #flush(): void {
    const { state } = this.#options;
    const index = state.meta.appliedIndex;
    if (this.#isFlushing || index === this.#storedIndex) return;
    const nowMs = this.#context.clock.monotonic();
    const isHurried = this.#waiting.length > 0 || this.#isDiskBehind;
    if (!isHurried && nowMs < this.#flushFromMs) return this.#flushLater(this.#flushFromMs - nowMs);
    this.#flushFromMs = nowMs + FLUSH_EVERY_MS;
    this.#isFlushing = true;
    state.flush((error) => {
      this.#context.self.send({ type: 'flushed', index, error: error?.message ?? null });
    });
  }

  #flushLater(delayMs: number): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#context.after(delayMs, { type: 'flush' });
  }

  #flushed({ index, error }: Extract<StateMessage, { type: 'flushed' }>): void {
    if (error !== null) throw new CodedError('storage-failed', `the state could not be written: ${error}`);
    this.#isFlushing = false;
    this.#storedIndex = Math.max(this.#storedIndex, index);
    this.#options.raft().send({ type: 'stored', index: this.#storedIndex });
    this.#answerStored();
    this.#tellProgress();
    if (this.#next < this.#queue.length && !this.#isContinuing) this.#continue();
    this.#flush();
  }

  #answerStored(): void {
    const isDue = ({ index }: { readonly index: number }) => index <= this.#storedIndex;
    while (this.#waiting[0] !== undefined && isDue(this.#waiting[0])) {
      this.#waiting.shift()?.reply({ type: 'stored', index: this.#storedIndex });
    }
  }

  #installed(index: number): void {
    this.#queue.length = 0;
    this.#next = 0;
    this.#commitIndex = Math.max(this.#commitIndex, index);
    this.#storedIndex = index;
    this.#answerStored();
    this.#tellProgress();
  }

  #tellProgress(): void {
    const { meta } = this.#options.state;
    this.#context.metrics.gauge('carillon_jobs', meta.jobs);
    this.#context.metrics.gauge('carillon_pending_runs', meta.waits);
    const { role, isReady, term, leader } = this.#role;
    const progress: Progress = {
      type: 'progress',
      commitIndex: this.#commitIndex,
      appliedIndex: meta.appliedIndex,
      storedIndex: this.#storedIndex,
      loggedMs: meta.loggedMs,
      role,
      isReady,
      term,
      leader,
      storageName: this.#options.storageName(),
    };
    for (const ref of this.#options.answering()) ref.send(progress);
    for (const ref of this.#options.following()) ref.send(progress);
    this.#options.backend()?.send(progress);
  }
}

function isLeading(role: Extract<RaftEvent, { type: 'role' }>): boolean {
  return role.role === 'leader' && role.isReady;
}
