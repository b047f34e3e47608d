/**
 * Who belongs to the servers of the cluster, for those who ask on any server: hands requests to the leader, whose actor
 * judges them, asks its raft, and answers once the change is committed. On a leader it also removes servers that have
 * been gone for longer than a setting allows, and says so.
 *
 *   request ──► here ──► (leader's membership actor) ──► judge ──► raft: configure ──► committed? ──► answer
 */
import type { Actor, ActorContext, ActorRef, AskOutcome, Reply } from '../actors/actor.ts';
import { rateLimited } from '../base/rate-limited.ts';
import type { Log } from '../base/telemetry.ts';
import { changeMembership } from '../raft/membership.ts';
import type { ConfigurationChange, RaftAnswer, RaftRequest, RaftStatus } from '../raft/raft-protocol.ts';
import type { Progress } from '../scheduler/state-actor.ts';
import { chooseGone, judgeChange, judgeTransfer, SAFE, SilentServers } from './membership-rules.ts';

export type MembershipRequest =
  | { readonly type: 'status' }
  | { readonly type: 'configure'; readonly change: ConfigurationChange }
  /** Null: to the follower that is furthest. */
  | { readonly type: 'transfer'; readonly to: string | null };

export type MembershipAnswer =
  /** What the leader knows now that the request is done. Of a question without a leader: what this server knows. */
  | { readonly type: 'done'; readonly status: RaftStatus; readonly leader: string | null }
  | {
      readonly type: 'failed';
      readonly code: 'no-leader' | 'conflict' | 'invalid' | 'overloaded' | 'outcome-unknown';
      readonly message: string;
    };

/** Between membership actors of two servers. */
export type MembershipForward =
  | { readonly type: 'membership-request'; readonly id: number; readonly request: MembershipRequest }
  | { readonly type: 'membership-answer'; readonly id: number; readonly answer: MembershipAnswer };

export type MembershipMessage =
  /** Asked: {@link MembershipAnswer}. */
  | { readonly type: 'request'; readonly request: MembershipRequest }
  | { readonly type: 'forwarded'; readonly from: string; readonly message: MembershipForward }
  | Progress
  | { readonly type: 'raft-answered'; readonly task: number; readonly outcome: AskOutcome<RaftAnswer> }
  | { readonly type: 'look'; readonly task: number }
  | { readonly type: 'overdue'; readonly call: number }
  | { readonly type: 'sweep' }
  | { readonly type: 'swept'; readonly outcome: AskOutcome<RaftAnswer> };

export interface MembershipOptions {
  readonly node: string;
  readonly raft: ActorRef<RaftRequest, RaftAnswer>;
  /** To the membership actor of another server; may get lost. */
  readonly toServer: (server: string, message: MembershipForward) => void;
  readonly nameOf: (node: string) => string;
  /** A server that is gone for so long is removed, if the others can do without it; 0: never. */
  readonly removeGoneAfterMs: number;
}

/** Handed to a leader, or waiting for one. */
interface Call {
  readonly request: MembershipRequest;
  readonly reply: Reply<MembershipAnswer>;
  wasSent: boolean;
  /** Monotonic. */
  dueMs: number;
}

/** What this server does as the leader. */
interface Task {
  readonly request: MembershipRequest;
  readonly answer: (answer: MembershipAnswer) => void;
  readonly untilMs: number;
  /** Judged, and raft has taken it. */
  isAccepted: boolean;
}

const CALLS_MAX = 100;
const NO_LEADER_MS = 5_000;
const COMMIT_MS = 5_000;
/** More than a leader takes for any request. */
const CALL_MS = 8_000;
const RAFT_MS = 3_000;
const LOOK_MS = 50;
const SWEEP_MS = 1_000;
const LINES_PER_MINUTE = 1;

export function createMembershipActor(
  options: MembershipOptions,
): (context: ActorContext<MembershipMessage, MembershipAnswer>) => Actor<MembershipMessage, MembershipAnswer> {
  return (context) => new MembershipActor(options, context);
}

class MembershipActor implements Actor<MembershipMessage, MembershipAnswer> {
  readonly #options: MembershipOptions;
  readonly #context: ActorContext<MembershipMessage, MembershipAnswer>;
  readonly #log: Pick<Log, 'warn'>;
  readonly #calls = new Map<number, Call>();
  readonly #tasks = new Map<number, Task>();
  readonly #silent = new SilentServers();
  #nextId = 1;
  #leader: string | null = null;
  #isSweeping = false;

  constructor(options: MembershipOptions, context: ActorContext<MembershipMessage, MembershipAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#log = rateLimited(context.log, context.clock, LINES_PER_MINUTE);
  }

  receive(message: MembershipMessage, reply: Reply<MembershipAnswer>): void {
    switch (message.type) {
      case 'request':
        return this.#take(message.request, reply);
      case 'forwarded':
        return this.#forwarded(message.from, message.message);
      case 'progress':
        return this.#follow(message);
      case 'raft-answered':
        return this.#raftAnswered(message.task, message.outcome);
      case 'look':
        return this.#askRaft(message.task, { type: 'status' });
      case 'overdue':
        return this.#overdue(message.call);
      case 'sweep':
        this.#isSweeping = false;
        return this.#sweep();
      case 'swept':
        return this.#swept(message.outcome);
    }
  }

  #take(request: MembershipRequest, reply: Reply<MembershipAnswer>, waitsForLeader = request.type !== 'status'): void {
    if (this.#calls.size >= CALLS_MAX) {
      return reply({ type: 'failed', code: 'overloaded', message: `${CALLS_MAX} requests wait: try again later` });
    }
    // Who looks at a cluster without a leader wants to see what there is.
    if (this.#leader === null && !waitsForLeader) return this.#begin(request, reply);
    const id = this.#newId();
    const call = { request, reply, wasSent: false, dueMs: 0 };
    this.#calls.set(id, call);
    if (this.#leader === null) this.#waitFor(id, call, NO_LEADER_MS);
    else this.#send(id, call);
  }

  #waitFor(id: number, call: Call, waitMs: number): void {
    call.dueMs = this.#context.clock.monotonic() + waitMs;
    this.#context.after(waitMs, { type: 'overdue', call: id });
  }

  /** To the leader there is. Not again, should that one be gone: nobody can tell what it has done by then. */
  #send(id: number, call: Call): void {
    if (this.#leader === null) return;
    call.wasSent = true;
    this.#waitFor(id, call, CALL_MS);
    if (this.#leader === this.#options.node) this.#begin(call.request, (answer) => this.#finish(id, answer));
    else this.#options.toServer(this.#leader, { type: 'membership-request', id, request: call.request });
  }

  #finish(id: number, answer: MembershipAnswer): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    call?.reply(answer);
  }

  #overdue(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined || this.#context.clock.monotonic() < call.dueMs) return;
    if (call.request.type === 'status') {
      this.#calls.delete(id);
      return this.#begin(call.request, call.reply);
    }
    this.#finish(id, call.wasSent ? UNKNOWN : NO_LEADER);
  }

  #forwarded(from: string, message: MembershipForward): void {
    if (message.type === 'membership-answer') return this.#finish(message.id, message.answer);
    const { id, request } = message;
    const answer = (given: MembershipAnswer): void =>
      this.#options.toServer(from, { type: 'membership-answer', id, answer: given });
    // One that has just been elected knows how far the others are before it is ready for anything else.
    if (this.#leader === this.#options.node || request.type === 'status') this.#begin(request, answer);
    else answer(NO_LEADER);
  }

  #follow(progress: Progress): void {
    const { node } = this.#options;
    const leader = progress.leader === node && !progress.isReady ? null : progress.leader;
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#silent.forget();
    if (leader === node) this.#sweepLater();
    for (const [id, call] of this.#calls) if (!call.wasSent) this.#send(id, call);
  }

  // As the leader.

  #begin(request: MembershipRequest, answer: Task['answer']): void {
    if (this.#tasks.size >= CALLS_MAX) {
      return answer({ type: 'failed', code: 'overloaded', message: 'the leader has too many requests at once' });
    }
    const id = this.#newId();
    const untilMs = this.#context.clock.monotonic() + COMMIT_MS;
    this.#tasks.set(id, { request, answer, untilMs, isAccepted: false });
    this.#askRaft(id, { type: 'status' });
  }

  #askRaft(task: number, request: RaftRequest): void {
    this.#context.ask(this.#options.raft, request, RAFT_MS, (outcome) => ({ type: 'raft-answered', task, outcome }));
  }

  #raftAnswered(id: number, outcome: AskOutcome<RaftAnswer>): void {
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    if (outcome.type === 'failed') return this.#end(id, task, task.isAccepted ? UNKNOWN : NO_LEADER);
    const { answer } = outcome;
    if (answer.type === 'status') return this.#heardStatus(id, task, answer);
    if (answer.type === 'configured') return this.#askRaft(id, { type: 'status' });
    if (answer.type === 'configure-refused') {
      const { code, message } = answer;
      if (code === 'conflict' || code === 'invalid') return this.#end(id, task, { type: 'failed', code, message });
      return this.#end(id, task, NO_LEADER);
    }
    if (answer.type === 'transferred') return this.#transferred(id, task, answer.leader);
  }

  #heardStatus(id: number, task: Task, status: RaftStatus): void {
    const { request } = task;
    const { node, nameOf } = this.#options;
    if (request.type === 'configure' && !task.isAccepted) {
      const verdict = judgeChange(status, node, request.change, nameOf);
      if (!verdict.isSafe) return this.#end(id, task, { type: 'failed', code: 'conflict', message: verdict.message });
      // From here on it may be in the log, whatever raft answers.
      task.isAccepted = true;
      return this.#askRaft(id, { type: 'configure', change: request.change });
    }
    if (request.type === 'transfer' && !task.isAccepted) return this.#beginTransfer(id, task, request.to, status);
    if (request.type === 'configure' && !isDone(status, request.change)) {
      if (this.#context.clock.monotonic() >= task.untilMs) return this.#end(id, task, UNKNOWN);
      this.#context.after(LOOK_MS, { type: 'look', task: id });
      return;
    }
    if (request.type === 'status' || status.role === 'leader') {
      return this.#end(id, task, { type: 'done', status, leader: status.leader });
    }
    // This server leads no longer, and only a leader knows how far the others are.
    this.#tasks.delete(id);
    this.#leader = status.leader;
    this.#take({ type: 'status' }, task.answer, true);
  }

  #beginTransfer(id: number, task: Task, to: string | null, status: RaftStatus): void {
    const { node, nameOf } = this.#options;
    if (to === node && status.role === 'leader') return this.#end(id, task, { type: 'done', status, leader: node });
    const verdict = to === null ? SAFE : judgeTransfer(status, to, nameOf);
    if (!verdict.isSafe) return this.#end(id, task, { type: 'failed', code: 'conflict', message: verdict.message });
    task.isAccepted = true;
    this.#askRaft(id, { type: 'transfer', ...(to === null ? {} : { to }) });
  }

  #transferred(id: number, task: Task, leader: string | null): void {
    const wanted = task.request.type === 'transfer' ? task.request.to : null;
    if (leader !== null && leader !== this.#options.node && (wanted === null || wanted === leader)) {
      return this.#askRaft(id, { type: 'status' });
    }
    const message =
      leader === null || leader === this.#options.node
        ? 'no other server took over within an election timeout, so this one goes on: is the other one up and level?'
        : `${this.#options.nameOf(leader)} leads now, and not the server that was asked for: try again`;
    this.#end(id, task, { type: 'failed', code: 'conflict', message });
  }

  #end(id: number, task: Task, answer: MembershipAnswer): void {
    this.#tasks.delete(id);
    task.answer(answer);
  }

  // Autopilot.

  #sweepLater(): void {
    if (this.#isSweeping || this.#options.removeGoneAfterMs <= 0) return;
    this.#isSweeping = true;
    this.#context.after(SWEEP_MS, { type: 'sweep' });
  }

  #sweep(): void {
    const { raft, node } = this.#options;
    if (this.#leader !== node) return;
    this.#context.ask(raft, { type: 'status' }, RAFT_MS, (outcome) => ({ type: 'swept', outcome }));
    this.#sweepLater();
  }

  #swept(outcome: AskOutcome<RaftAnswer>): void {
    const { node, nameOf, removeGoneAfterMs: afterMs } = this.#options;
    if (outcome.type !== 'answer' || outcome.answer.type !== 'status' || outcome.answer.role !== 'leader') return;
    const status = outcome.answer;
    const nowMs = this.#context.clock.monotonic();
    this.#silent.look(status, nowMs);
    const sweep = chooseGone(status, node, this.#silent, { afterMs, nowMs });
    if (sweep.type === 'none') return;
    const seconds = Math.round(sweep.silentMs / 1_000);
    const server = nameOf(sweep.node);
    if (sweep.type === 'keep') {
      return this.#log.warn(`server ${server} is gone and is not removed: ${sweep.why}`, { seconds });
    }
    this.#begin({ type: 'configure', change: { type: 'remove', node: sweep.node } }, (answer) => {
      if (answer.type === 'failed') {
        return this.#log.warn(`server ${server} is gone and could not be removed: ${answer.message}`, { seconds });
      }
      this.#context.log.warn('a server that was gone is removed from the cluster', { server, seconds });
      this.#context.metrics.count('carillon_servers_removed_total', {});
    });
  }

  #newId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }
}

/** No change is under way any more, and there is nothing left to do. One that was rolled back leaves no trace. */
function isDone({ configuration, isConfigurationCommitted }: RaftStatus, change: ConfigurationChange): boolean {
  const isSettled = isConfigurationCommitted && configuration.outgoing.length === 0;
  return isSettled && changeMembership(configuration, change).type === 'unchanged';
}

const NO_LEADER: MembershipAnswer = {
  type: 'failed',
  code: 'no-leader',
  message: 'no server leads at the moment: nothing was changed, try again in a few seconds',
};

const UNKNOWN: MembershipAnswer = {
  type: 'failed',
  code: 'outcome-unknown',
  message: 'the change was not confirmed in time: `carillon cluster status` says what has become of it',
};
