/**
 * The leader's clockwork: what is due is fired, what waits is placed, what waited too long is given up, and what
 * clients want is completed. It only proposes; the state decides. On a follower it does nothing.
 *
 *   due index ──look──► fire ─┐
 *   waiting ────look──► assign ├─► raft ─► apply ─► events ─► here again
 *   clients ──complete► put …  ┘
 *
 * Every event may be lost: each sweep reads nodes, open executions, waits and the due index from the rows again.
 */

import type { Actor, ActorContext, ActorRef, AskOutcome, Reply } from '../actors/actor.ts';
import { CodedError } from '../base/errors.ts';
import type { Timer } from '../base/time.ts';
import type { RaftAnswer, RaftRequest } from '../raft/raft-protocol.ts';
import { jobRow, statusRow } from './applying.ts';
import { dueItems, type Schedules } from './chain.ts';
import type { ClusterTime } from './cluster-time.ts';
import { type Command, encodeCommand, type FireItem, type Target } from './command.ts';
import { type Completed, complete } from './complete.ts';
import { DueIndex } from './due-index.ts';
import type { StateEvent } from './event.ts';
import type { Result, Submission } from './intent.ts';
import { Report } from './report.ts';
import { Reservations } from './reservations.ts';
import { Roster } from './roster.ts';
import { type JobRow, keys, type NodeRow, type StatusRow } from './rows.ts';
import type { Settings } from './settings.ts';
import type { State } from './state.ts';
import { type Found, scanFound } from './sweep.ts';
import { Waiting } from './waiting.ts';

export type SchedulerMessage =
  | { readonly type: 'leading'; readonly isLeading: boolean; readonly term: number }
  | { readonly type: 'events'; readonly events: readonly StateEvent[] }
  /** Which nodes were heard lately; the others get no work. */
  | { readonly type: 'liveness'; readonly live: readonly string[] }
  /** These have ended on their node, and their finishes are about to be proposed. */
  | { readonly type: 'freed'; readonly node: string; readonly executions: readonly string[] }
  | { readonly type: 'complete'; readonly submission: Submission }
  | { readonly type: 'look' }
  | { readonly type: 'sweep'; readonly epoch: number }
  | { readonly type: 'swept'; readonly epoch: number; readonly found: Found; readonly error: string | null }
  | { readonly type: 'proposed'; readonly key: string; readonly outcome: AskOutcome<RaftAnswer> };

/** What became of a submission at the leader: proposed, answered without an entry, or not taken. */
export type CompleteAnswer =
  | { readonly type: 'proposed' }
  /** As of `index`: who took the call elsewhere waits until it has applied as much. */
  | { readonly type: 'result'; readonly result: Result; readonly index: number }
  | { readonly type: 'later' }
  | { readonly type: 'refused'; readonly code: 'no-leader' | 'not-leader' | 'overloaded' | 'too-large' };

export interface SchedulerOptions {
  readonly state: State;
  readonly schedules: Schedules;
  readonly raft: ActorRef<RaftRequest, RaftAnswer>;
  readonly time: ClusterTime;
  /** Written at genesis. */
  readonly genesis: { readonly cluster: string; readonly settings: Settings };
}

const SWEEP_MS = 5_000;
/** How far ahead the due index is held in memory; two sweeps. */
const HORIZON_MS = 10_000;
/** A new leader says "no target" only after every living node had time to be heard. */
const SETTLE_MS = 1_500;
const TARGETS_PER_COMMAND = 1_000;
const ITEMS_PER_COMMAND = 500;
/** Placements tried for those who wait in one look, and waits passed in all; a later look goes on behind them. */
const WAITS_PER_LOOK = 1_000;
const WAITS_PASSED_PER_LOOK = 10_000;
const NEXT_WAITS_MS = 250;
const WAITS_PASSED_FREELY = 200;
const WAITS_PAUSE_MS = 50;
/** A job whose instant this server's rules do not find is looked at again so much later. */
const NOTHING_DUE_MS = 1_000;
/** A call that was proposed so recently is not proposed again. */
const CALL_IN_FLIGHT_MS = 2_500;
const PROPOSE_MS = 5_000;
/** A new leader that does not know the time yet looks again so soon. */
const TIME_UNKNOWN_MS = 50;
/** A clock may be set while a timer runs, so no timer runs for long. */
const LOOK_MS_MAX = 500;

export function createSchedulerActor(
  options: SchedulerOptions,
): (context: ActorContext<SchedulerMessage, CompleteAnswer>) => Actor<SchedulerMessage, CompleteAnswer> {
  return (context) => new SchedulerActor(options, context);
}

class SchedulerActor implements Actor<SchedulerMessage, CompleteAnswer> {
  readonly #options: SchedulerOptions;
  readonly #context: ActorContext<SchedulerMessage, CompleteAnswer>;
  readonly #due = new DueIndex();
  readonly #waiting = new Waiting();
  readonly #roster = new Roster();
  readonly #reservations: Reservations;
  readonly #replies = new Map<string, Reply<CompleteAnswer>>();
  readonly #report: Report;
  /** Keys of what has changed since the sweep that is under way began; null between sweeps. */
  #touched: Set<string> | null = null;
  #isLeading = false;
  /** Raised with each change of leadership: what belongs to an older one is void. */
  #epoch = 0;
  #leadingSinceMs = 0;
  /** Those who wait are not looked at before. */
  #waitsFromMs = 0;
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #proposals = 0;

  constructor(options: SchedulerOptions, context: ActorContext<SchedulerMessage, CompleteAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#reservations = new Reservations(this.#roster);
    const { clock, log, metrics } = context;
    this.#report = new Report({ clock, log, metrics, jobName: (uid) => jobRow(options.state, uid)?.job.name ?? uid });
  }

  receive(message: SchedulerMessage, reply: Reply<CompleteAnswer>): void {
    switch (message.type) {
      case 'leading':
        return this.#lead(message.isLeading);
      case 'events':
        return this.#hear(message.events);
      case 'liveness': {
        this.#roster.setAllLive(new Set(message.live));
        return this.#look();
      }
      case 'freed':
        if (!this.#isLeading || this.#waiting.size === 0) return;
        for (const execution of message.executions) this.#roster.closed(message.node, execution);
        return this.#placeWaiting(this.#nowMs());
      case 'complete':
        return this.#complete(message.submission, reply);
      case 'look':
        this.#timer = null;
        this.#timerAtMs = Number.POSITIVE_INFINITY;
        return this.#look();
      case 'sweep':
        return this.#sweep(message.epoch);
      case 'swept':
        return this.#swept(message);
      case 'proposed':
        return this.#proposed(message.key, message.outcome);
    }
  }

  #lead(isLeading: boolean): void {
    this.#isLeading = isLeading;
    this.#epoch += 1;
    this.#due.clear();
    this.#waiting.clear();
    this.#roster.clear();
    this.#reservations.clear();
    // Raft has not said whether it took them: they may still be committed.
    for (const reply of this.#replies.values()) reply({ type: 'proposed' });
    this.#replies.clear();
    if (!isLeading) return;
    this.#leadingSinceMs = this.#context.clock.monotonic();
    this.#proposeGenesis();
    this.#sweep(this.#epoch);
  }

  #proposeGenesis(): void {
    if (this.#options.state.meta.cluster !== '' || this.#reservations.has('genesis')) return;
    if (!this.#options.time.isKnown) return;
    this.#reservations.hold('genesis', [], this.#context.clock.monotonic());
    const { cluster, settings } = this.#options.genesis;
    this.#propose('genesis', { type: 'genesis', nowMs: this.#nowMs(), cluster, settings }, 'internal');
  }

  #hear(events: readonly StateEvent[]): void {
    if (!this.#isLeading) return;
    for (const event of events) {
      this.#touch(event);
      this.#hearOne(event);
      this.#report.hear(event);
    }
    // At once: a slot that came free goes to those who wait, ahead of the next call.
    this.#look();
  }

  /** Notes what changes while a sweep reads: there the events are newer than what it found. */
  #touch(event: StateEvent): void {
    const touched = this.#touched;
    if (touched === null) return;
    if (event.type === 'due-moved' || event.type === 'job-deleted') touched.add(event.uid);
    else if (event.type === 'waiting') touched.add(keys.wait(event.wait.run, event.wait.ordinal));
    else if (event.type === 'wait-ended') touched.add(keys.wait(event.run, event.ordinal));
    else if (event.type === 'assigned' || event.type === 'finished') touched.add(event.execution);
    else if (event.type === 'session-opened' || event.type === 'session-closed' || event.type === 'node-forgotten') {
      touched.add(keys.node(event.node));
    }
  }

  #hearOne(event: StateEvent): void {
    switch (event.type) {
      case 'due-moved':
        this.#reservations.release(event.uid);
        return this.#due.move(event.uid, event.nextMs);
      case 'job-deleted':
        this.#reservations.release(event.uid);
        return this.#due.move(event.uid, null);
      case 'waiting':
        // It comes again for an assignment that could not be made.
        this.#reservations.release(keys.wait(event.wait.run, event.wait.ordinal));
        return this.#waiting.add(event.wait);
      case 'wait-ended':
        this.#reservations.release(keys.wait(event.run, event.ordinal));
        return this.#waiting.remove(event.run, event.ordinal);
      case 'assigned':
        return this.#roster.opened(event.node, event.execution);
      case 'finished':
        return this.#roster.closed(event.node, event.execution);
      case 'session-opened':
      case 'session-closed': {
        const row = this.#options.state.get<NodeRow>(keys.node(event.node));
        if (row === undefined) return;
        this.#roster.register(row);
        // Whoever opened a session was heard just now.
        return this.#roster.setLive(event.node, event.type === 'session-opened');
      }
      case 'node-forgotten':
        return this.#roster.forget(event.node);
      case 'answered':
        return this.#reservations.release(event.scope);
      case 'purge-left':
        this.#propose(`purge/${event.uid}`, { type: 'purge', nowMs: this.#nowMs(), uid: event.uid }, 'internal');
        return;
      default:
        return;
    }
  }

  #look(): void {
    if (!this.#isLeading) return;
    this.#proposeGenesis();
    const nowMs = this.#nowMs();
    this.#fireDue(nowMs);
    this.#placeWaiting(nowMs);
    this.#expireWaiting(nowMs);
    this.#lookNext(nowMs);
  }

  #fireDue(nowMs: number): void {
    const { state, schedules } = this.#options;
    let items: FireItem[] = [];
    let uids: string[] = [];
    let targets = 0;
    const flush = () => {
      if (items.length > 0) this.#proposeFor(uids, { type: 'fire', nowMs, items });
      items = [];
      uids = [];
      targets = 0;
    };
    for (const uid of this.#due.take(nowMs, ITEMS_PER_COMMAND)) {
      const row = jobRow(state, uid);
      // A job whose fire is on its way comes back with its `due-moved`.
      if (row === undefined || this.#reservations.has(uid)) continue;
      const planned = dueItems(schedules, row, statusRow(state, uid), nowMs);
      if (planned.length === 0) {
        const { nextMs } = statusRow(state, uid);
        // Written by a server with other zone data, say: never a reason to spin.
        this.#due.move(uid, nextMs === null ? null : Math.max(nextMs, nowMs + NOTHING_DUE_MS));
        continue;
      }
      const placed = this.#placeLinks(row, planned);
      const placedTargets = placed.reduce((sum, item) => sum + item.targets.length, 0);
      if (items.length + placed.length > ITEMS_PER_COMMAND || targets + placedTargets > TARGETS_PER_COMMAND) flush();
      uids.push(uid);
      items.push(...placed);
      targets += placedTargets;
    }
    flush();
  }

  /** A job's next links with their targets: as many as fit one command, the rest follows with the next. */
  #placeLinks({ uid, job }: JobRow, planned: readonly FireItem[]): readonly FireItem[] {
    const { defaultTargets } = this.#options.state.meta.settings;
    const links: FireItem[] = [];
    let targets: readonly Target[] = [];
    for (const item of planned) {
      const placed = item.plan === 'run' ? this.#roster.place(job, defaultTargets, this.#context.random) : null;
      const chosen = placed?.type === 'placed' ? placed.targets : [];
      if (links.length > 0 && targets.length + chosen.length > TARGETS_PER_COMMAND) break;
      links.push({ ...item, targets: chosen });
      targets = [...targets, ...chosen];
      // At once: the next link must not count on the same slots.
      this.#reservations.hold(uid, targets, this.#context.clock.monotonic());
    }
    return links;
  }

  #placeWaiting(nowMs: number): void {
    if (nowMs < this.#waitsFromMs) return this.#wake(this.#waitsFromMs);
    const { state } = this.#options;
    const { defaultTargets } = state.meta.settings;
    const items: { run: string; ordinal: number | null; targets: readonly Target[] }[] = [];
    let targets = 0;
    const passed: string[] = [];
    /** Jobs, with the node that must try again, for which there is no place now: the same for all their waits. */
    const hopeless = new Set<string>();
    for (const wait of this.#waiting.ready(nowMs)) {
      if (!this.#roster.hasFreeSlot || items.length >= ITEMS_PER_COMMAND) break;
      if (hopeless.size >= WAITS_PER_LOOK || passed.length >= WAITS_PASSED_PER_LOOK) {
        // Those behind them must get their turn.
        this.#waiting.postpone(passed);
        this.#wake(nowMs + NEXT_WAITS_MS);
        break;
      }
      const key = keys.wait(wait.run, wait.ordinal);
      passed.push(key);
      if (this.#reservations.has(key)) continue;
      const row = jobRow(state, uidOfRun(wait.run));
      if (row === undefined) continue;
      const about = `${row.uid} ${wait.ordinal === null ? '' : (wait.node ?? 'any')}`;
      if (hopeless.has(about)) continue;
      const placed =
        wait.ordinal === null
          ? this.#roster.place(row.job, defaultTargets, this.#context.random)
          : this.#roster.placeOne(row.job, wait.node, this.#context.random);
      if (placed.type !== 'placed') {
        hopeless.add(about);
        continue;
      }
      if (items.length > 0 && targets + placed.targets.length > TARGETS_PER_COMMAND) break;
      targets += placed.targets.length;
      this.#reservations.hold(key, placed.targets, this.#context.clock.monotonic());
      items.push({ run: wait.run, ordinal: wait.ordinal, targets: placed.targets });
    }
    // A long list without a place for anyone is not walked again for each slot that comes free elsewhere.
    if (items.length === 0 && passed.length > WAITS_PASSED_FREELY) this.#waitsFromMs = nowMs + WAITS_PAUSE_MS;
    if (items.length === 0) return;
    this.#proposeFor(
      items.map((item) => keys.wait(item.run, item.ordinal)),
      { type: 'assign', nowMs, items },
    );
  }

  #expireWaiting(nowMs: number): void {
    const over = this.#waiting.expired(nowMs, ITEMS_PER_COMMAND);
    if (over.length === 0) return;
    for (const wait of over) this.#waiting.expireAgain(wait, nowMs + SETTLE_MS);
    if (!this.#isSettled) return;
    const waits = over.map(({ run, ordinal }) => ({ run, ordinal }));
    this.#propose('expire', { type: 'expire', nowMs, waits }, 'internal');
  }

  #complete(submission: Submission, reply: Reply<CompleteAnswer>): void {
    if (!this.#isLeading) return reply({ type: 'refused', code: 'not-leader' });
    const { state, schedules, time } = this.#options;
    // What the cluster's settings are, or what time it is, is not known yet.
    if (state.meta.cluster === '' || !time.isKnown) return reply({ type: 'later' });
    const completed: Completed = complete(
      {
        state,
        schedules,
        roster: this.#roster,
        random: this.#context.random,
        nowMs: this.#nowMs(),
        isSettled: this.#isSettled,
      },
      submission,
    );
    if (completed.type === 'later') return reply(completed);
    if (completed.type === 'result') return reply({ ...completed, index: state.meta.appliedIndex });
    const { command, targets } = completed;
    const nowMs = this.#context.clock.monotonic();
    const { scope } = command.request;
    if (nowMs - this.#reservations.sinceMs(scope) < CALL_IN_FLIGHT_MS) return reply({ type: 'proposed' });
    this.#reservations.hold(scope, targets, nowMs);
    this.#replies.set(this.#propose(scope, command, 'client'), reply);
  }

  /** Every node that lives has had the time to be heard. */
  get #isSettled(): boolean {
    return this.#context.clock.monotonic() - this.#leadingSinceMs >= SETTLE_MS;
  }

  #proposeFor(held: readonly string[], command: Command): void {
    const key = this.#propose('', command, 'internal');
    this.#reservations.bind(key, held);
  }

  /** Answers with the key under which the outcome comes back. */
  #propose(about: string, command: Command, kind: 'client' | 'internal'): string {
    this.#proposals += 1;
    const key = `${this.#epoch}/${this.#proposals}/${about}`;
    const { raft } = this.#options;
    const request: RaftRequest = { type: 'propose', data: encodeCommand(command), class: kind };
    this.#context.ask(raft, request, PROPOSE_MS, (outcome) => ({ type: 'proposed', key, outcome }));
    return key;
  }

  #proposed(key: string, outcome: AskOutcome<RaftAnswer>): void {
    // Of an earlier time as leader: what it held has been given back, and may be held for something new.
    if (!key.startsWith(`${this.#epoch}/`)) return;
    const reply = this.#replies.get(key);
    this.#replies.delete(key);
    if (outcome.type === 'answer' && outcome.answer.type === 'accepted') {
      this.#reservations.forget(key);
      return reply?.({ type: 'proposed' });
    }
    // Nothing was appended: plan it anew.
    const about = key.slice(key.indexOf('/', key.indexOf('/') + 1) + 1);
    this.#reservations.release(about);
    for (const held of this.#reservations.bound(key)) {
      this.#reservations.release(held);
      // A wait's key has slashes; what has none is the uid of a job that was to fire.
      const status = held.includes('/') ? undefined : this.#statusOf(held);
      if (status !== undefined) this.#due.move(held, status.nextMs);
    }
    this.#reservations.forget(key);
    reply?.(this.#refusal(outcome));
    if (this.#isLeading) this.#wake(this.#nowMs() + 50);
  }

  #refusal(outcome: AskOutcome<RaftAnswer>): CompleteAnswer {
    if (outcome.type === 'failed') {
      // Raft did not say in time: it may have taken it.
      return outcome.code === 'mailbox-full' ? { type: 'refused', code: 'overloaded' } : { type: 'proposed' };
    }
    const code = outcome.answer.type === 'refused' ? outcome.answer.code : 'overloaded';
    if (code !== 'too-large') return { type: 'refused', code };
    const message = 'the call is larger than an entry of the log may be: make the job smaller';
    return { type: 'result', result: { type: 'refused', code, message }, index: this.#options.state.meta.appliedIndex };
  }

  #sweep(epoch: number): void {
    if (epoch !== this.#epoch || !this.#isLeading) return;
    const horizonMs = this.#nowMs() + HORIZON_MS;
    // From now on, so that what is moved into the new stretch while the sweep reads is not lost to both.
    this.#due.horizonMs = horizonMs;
    this.#touched = new Set();
    scanFound(this.#options.state, horizonMs, (error, found) => {
      this.#context.self.send({ type: 'swept', epoch, found, error: error?.message ?? null });
    });
  }

  #swept({ epoch, found, error }: Extract<SchedulerMessage, { type: 'swept' }>): void {
    if (epoch !== this.#epoch) return;
    if (error !== null) throw new CodedError('storage-failed', `the state could not be read: ${error}`);
    // Only now: two sweeps at a time would undo each other's findings.
    this.#context.after(SWEEP_MS, { type: 'sweep', epoch });
    const touched = this.#touched ?? new Set();
    this.#touched = null;
    this.#roster.keepNodes(found.nodes, touched);
    this.#roster.keepOpen(found.open, touched);
    this.#waiting.keep(found.waits, touched);
    for (const [uid, nextMs] of found.due) if (!touched.has(uid)) this.#due.move(uid, nextMs);
    this.#reservations.releaseOlderThan(this.#context.clock.monotonic() - SWEEP_MS);
    for (const uid of found.purges) {
      this.#propose(`purge/${uid}`, { type: 'purge', nowMs: this.#nowMs(), uid }, 'internal');
    }
    this.#look();
  }

  #lookNext(nowMs: number): void {
    const due = this.#due.peekMs() ?? Number.POSITIVE_INFINITY;
    const wait = this.#waiting.nextMs() ?? Number.POSITIVE_INFINITY;
    this.#wake(Math.min(due, wait, nowMs + LOOK_MS_MAX));
  }

  /** One timer: the earliest wish counts. */
  #wake(atMs: number): void {
    if (this.#timerAtMs <= atMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    const { time } = this.#options;
    const delayMs = time.isKnown ? Math.min(Math.max(0, atMs - time.now()), LOOK_MS_MAX) : TIME_UNKNOWN_MS;
    this.#timer = this.#context.after(delayMs, { type: 'look' });
  }

  #statusOf(uid: string): StatusRow | undefined {
    return this.#options.state.get<StatusRow>(keys.status(uid));
  }

  #nowMs(): number {
    return this.#options.time.stampMs(this.#options.state.meta.loggedMs);
  }
}

function uidOfRun(run: string): string {
  return run.slice(0, run.lastIndexOf('-'));
}
