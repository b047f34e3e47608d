/**
 * Takes what clients want, on any server: hands it to the leader, answers after this server's own apply. A call that
 * got lost with a leader is handed on again under its request id, so it has one effect. It also tells those who wait
 * for a run how it ended.
 *
 *   submit ──► here ──► (leader's submission actor) ──► scheduler ──► raft ──► … ──► answered (own apply) ──► reply
 *
 * What the leader refuses is not written into the log: that there is no such job, say. Its state may lack what the others
 * have acknowledged, where its disk is slow or another one leads by now. So a refusal counts only if it was read from a
 * state that has all that was committed when the call was judged first (ReadIndex). And since calls are handed on again
 * when an answer is late, it is remembered for as long as one of them may be under way: what a client was told is not
 * there must not be deleted by the same call a second later.
 */
import type { Actor, ActorContext, ActorRef, AskOutcome, Reply } from '../actors/actor.ts';
import { parseRunId } from '../jobs/ids.ts';
import { isFinished } from '../jobs/run.ts';
import type { RaftAnswer, RaftRequest } from '../raft/raft-protocol.ts';
import type { StateEvent } from './event.ts';
import type { FinishedRun, Result, Submission } from './intent.ts';
import { READ_INDEX_MS } from './linear-reads.ts';
import { finishedRun } from './reader.ts';
import { Refusals } from './refusals.ts';
import { requestKey } from './requests.ts';
import { keys, type RunRow } from './rows.ts';
import type { CompleteAnswer, SchedulerMessage } from './scheduler-actor.ts';
import type { State } from './state.ts';
import type { Progress } from './state-actor.ts';
import { Watchers } from './watchers.ts';

/** Between submission actors of two servers. */
export type ForwardMessage =
  | { readonly type: 'forward'; readonly submission: Submission }
  | { readonly type: 'forward-answer'; readonly scope: string; readonly answer: CompleteAnswer };

export type SubmissionMessage =
  /** Asked: {@link SubmitAnswer}; with `waitMs`, of a run that starts, once it has ended or so long after its start. */
  | { readonly type: 'submit'; readonly submission: Submission; readonly waitMs?: number }
  | { readonly type: 'events'; readonly events: readonly StateEvent[] }
  | Progress
  | { readonly type: 'forwarded'; readonly from: string; readonly message: ForwardMessage }
  | { readonly type: 'judged'; readonly call: JudgedCall; readonly outcome: AskOutcome<CompleteAnswer> }
  | {
      readonly type: 'confirmed';
      readonly call: JudgedCall;
      readonly refusal: Extract<CompleteAnswer, { readonly type: 'result' }>;
      readonly outcome: AskOutcome<RaftAnswer>;
    }
  | { readonly type: 'beat' };

/** A call that the scheduler here judges, its own or one that another server has handed on. */
interface JudgedCall {
  readonly submission: Submission;
  readonly scope: string;
  /** Null: it came in here. */
  readonly server: string | null;
  /** A refusal that was read from a state of this index or later is true. Null: nobody has asked raft yet. */
  readonly readIndex: number | null;
}

export type SubmitAnswer =
  | {
      readonly type: 'done';
      readonly result: Result;
      readonly index: number;
      /** Of a run that was waited for. Null: nobody knows it any more. Absent: the wait was over first. */
      readonly finished?: FinishedRun | null;
    }
  | {
      readonly type: 'failed';
      readonly code: 'no-leader' | 'outcome-unknown' | 'overloaded';
      readonly message: string;
    };

export interface SubmissionOptions {
  readonly node: string;
  readonly state: State;
  readonly scheduler: ActorRef<SchedulerMessage, CompleteAnswer>;
  readonly raft: ActorRef<RaftRequest, RaftAnswer>;
  /** To the submission actor of another server; may get lost. */
  readonly toServer: (server: string, message: ForwardMessage) => void;
}

interface Caller {
  readonly reply: Reply<SubmitAnswer>;
  readonly waitMs: number | null;
}

interface Pending {
  readonly submission: Submission;
  readonly bodyHash: string;
  readonly callers: Caller[];
  readonly sinceMs: number;
  /** When to hand it on again, monotonic. */
  sendAtMs: number;
  /** Answers of others, to whom it was handed before, count no more. */
  sentTo: string | null;
  /** Whether a leader may have proposed it: from then on its fate is unknown until it is answered. */
  wasTaken: boolean;
  /** The scheduler here has the question and has not said yet whether it proposes. */
  isAsked: boolean;
}

const PENDING_MAX = 10_000;
/** No leader for so long: the client is told, and nothing was proposed. */
const NO_LEADER_MS = 5_000;
/** Proposed and not answered for so long: nobody can say what will become of it. */
const UNKNOWN_MS = 10_000;
const RESEND_MS = 1_000;
const LATER_MS = 30;
const BEAT_MS = 50;

export function createSubmissionActor(
  options: SubmissionOptions,
): (context: ActorContext<SubmissionMessage, SubmitAnswer>) => Actor<SubmissionMessage, SubmitAnswer> {
  return (context) => new SubmissionActor(options, context);
}

class SubmissionActor implements Actor<SubmissionMessage, SubmitAnswer> {
  readonly #options: SubmissionOptions;
  readonly #context: ActorContext<SubmissionMessage, SubmitAnswer>;
  readonly #pending = new Map<string, Pending>();
  /** What the leader answered from a state that this server has not reached yet; as many as are pending. */
  readonly #early = new Map<string, { readonly result: Result; readonly index: number }>();
  /** Refused from a state that lacks what is committed; as many as are pending on any server. */
  readonly #doubted = new Map<string, JudgedCall>();
  readonly #refusals = new Refusals();
  readonly #watchers: Watchers;
  #leader: string | null = null;
  /** Changes when a snapshot is installed. */
  #storageName = '';
  #isBeating = false;

  constructor(options: SubmissionOptions, context: ActorContext<SubmissionMessage, SubmitAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#watchers = new Watchers();
  }

  receive(message: SubmissionMessage, reply: Reply<SubmitAnswer>): void {
    switch (message.type) {
      case 'submit':
        return this.#submit(message.submission, { reply, waitMs: message.waitMs ?? null });
      case 'events':
        for (const event of message.events) this.#hear(event);
        return this.#judgeDoubted();
      case 'progress':
        return this.#follow(message);
      case 'forwarded':
        return this.#forwarded(message.from, message.message);
      case 'judged':
        return this.#judged(message.call, answerOf(message.outcome));
      case 'confirmed':
        return this.#confirmed(message);
      case 'beat':
        this.#isBeating = false;
        return this.#beat();
    }
  }

  #submit(submission: Submission, caller: Caller): void {
    const { reply } = caller;
    const { scope, bodyHash } = requestKey(submission);
    const known = this.#pending.get(scope);
    if (known !== undefined) {
      if (known.bodyHash === bodyHash) known.callers.push(caller);
      else reply({ type: 'done', result: REUSED, index: this.#options.state.meta.appliedIndex });
      return;
    }
    if (this.#pending.size >= PENDING_MAX) {
      reply({
        type: 'failed',
        code: 'overloaded',
        message: `${PENDING_MAX} calls wait on this server: try again later`,
      });
      return;
    }
    const nowMs = this.#context.clock.monotonic();
    const pending = {
      submission,
      bodyHash,
      callers: [caller],
      sinceMs: nowMs,
      sendAtMs: nowMs,
      sentTo: null,
      wasTaken: false,
      isAsked: false,
    };
    this.#pending.set(scope, pending);
    this.#send(scope, pending);
    this.#keepBeating();
  }

  #send(scope: string, pending: Pending): void {
    const { node, toServer } = this.#options;
    pending.sendAtMs = this.#context.clock.monotonic() + RESEND_MS;
    if (this.#leader === null) return;
    pending.sentTo = this.#leader;
    if (this.#leader !== node) {
      // It may be proposed there without our hearing of it.
      pending.wasTaken = true;
      return toServer(this.#leader, { type: 'forward', submission: pending.submission });
    }
    pending.isAsked = true;
    this.#judge({ submission: pending.submission, scope, server: null, readIndex: null });
  }

  #judge(call: JudgedCall): void {
    const refusal = this.#refusals.find(keyOf(call), this.#context.clock.monotonic());
    if (refusal !== undefined) return this.#hand(call, refusal);
    const request: SchedulerMessage = { type: 'complete', submission: call.submission };
    this.#context.ask(this.#options.scheduler, request, UNKNOWN_MS, (outcome) => ({ type: 'judged', call, outcome }));
  }

  #judged(call: JudgedCall, answer: CompleteAnswer): void {
    if (answer.type !== 'result' || answer.result.type !== 'refused') return this.#hand(call, answer);
    if (call.readIndex !== null && call.readIndex <= answer.index) return this.#refuse(call, answer);
    const toMessage = (outcome: AskOutcome<RaftAnswer>) =>
      ({ type: 'confirmed', call, refusal: answer, outcome }) as const;
    this.#context.ask(this.#options.raft, { type: 'read' }, READ_INDEX_MS, toMessage);
  }

  #confirmed({ call, refusal, outcome }: Extract<SubmissionMessage, { readonly type: 'confirmed' }>): void {
    const answer = outcome.type === 'answer' ? outcome.answer : null;
    if (answer?.type !== 'read') return this.#hand(call, { type: 'later' });
    if (answer.index <= refusal.index) return this.#refuse(call, refusal);
    if (this.#doubted.size >= PENDING_MAX) return this.#hand(call, { type: 'later' });
    this.#doubted.set(`${call.server} ${call.scope}`, { ...call, readIndex: answer.index });
    this.#judgeDoubted();
  }

  /** Those whose refusal came from a state that was too old, once this server is far enough. */
  #judgeDoubted(): void {
    const { appliedIndex } = this.#options.state.meta;
    for (const [key, call] of this.#doubted) {
      if ((call.readIndex ?? 0) > appliedIndex) continue;
      this.#doubted.delete(key);
      this.#judge(call);
    }
  }

  #refuse(call: JudgedCall, refusal: CompleteAnswer): void {
    this.#refusals.keep(keyOf(call), refusal, this.#context.clock.monotonic());
    this.#hand(call, refusal);
  }

  #hand({ scope, server }: JudgedCall, answer: CompleteAnswer): void {
    if (server === null) this.#completed(scope, answer);
    else this.#options.toServer(server, { type: 'forward-answer', scope, answer });
  }

  #completed(scope: string, answer: CompleteAnswer): void {
    const pending = this.#pending.get(scope);
    if (pending === undefined) return;
    pending.isAsked = false;
    switch (answer.type) {
      case 'proposed':
        pending.wasTaken = true;
        return;
      case 'result':
        this.#early.set(scope, answer);
        return this.#finishEarly();
      case 'later':
        pending.sendAtMs = this.#context.clock.monotonic() + LATER_MS;
        return;
      case 'refused':
        if (answer.code === 'overloaded' && !pending.wasTaken) {
          const message = 'the log is full of proposals that are not committed yet: try again later';
          return this.#finish(scope, { type: 'failed', code: 'overloaded', message });
        }
        pending.sendAtMs = this.#context.clock.monotonic() + LATER_MS;
        return;
    }
  }

  #forwarded(from: string, message: ForwardMessage): void {
    if (message.type === 'forward-answer') {
      if (this.#pending.get(message.scope)?.sentTo === from) this.#completed(message.scope, message.answer);
      return;
    }
    const { submission } = message;
    this.#judge({ submission, scope: requestKey(submission).scope, server: from, readIndex: null });
  }

  #hear(event: StateEvent): void {
    if (event.type === 'answered') {
      const pending = this.#pending.get(event.scope);
      // Another server's call may have the same request id and another body: this one gets an answer of its own.
      if (pending === undefined || pending.bodyHash !== event.bodyHash) return;
      if (event.isStale) return this.#send(event.scope, pending);
      const index = this.#options.state.meta.appliedIndex;
      return this.#finish(event.scope, { type: 'done', result: event.result, index }, true);
    }
    if (event.type === 'run-ended') {
      return this.#watchers.tell(event.run, () => event.last ?? this.#finishedRun(event.run) ?? null);
    }
    if (event.type === 'job-deleted') this.#watchers.tellJob(event.uid);
  }

  /** Whoever is answered must find here what the answer says. */
  #finishEarly(): void {
    const { appliedIndex } = this.#options.state.meta;
    for (const [scope, { result, index }] of this.#early) {
      if (index <= appliedIndex) this.#finish(scope, { type: 'done', result, index: appliedIndex });
    }
  }

  /** `isNew`: the answer is an event of the own apply, and what it started can only end in later events. */
  #finish(scope: string, answer: SubmitAnswer, isNew = false): void {
    this.#early.delete(scope);
    const pending = this.#pending.get(scope);
    this.#pending.delete(scope);
    for (const { reply, waitMs } of pending?.callers ?? []) {
      if (waitMs === null || answer.type !== 'done' || answer.result.type !== 'run') reply(answer);
      else this.#answerAtEnd(answer, answer.result.run.id, waitMs, isNew, reply);
    }
  }

  /** The watcher stands before the next event is heard, so no end of a run that has just started is missed. */
  #answerAtEnd(
    answer: Extract<SubmitAnswer, { readonly type: 'done' }>,
    run: string,
    waitMs: number,
    isNew: boolean,
    reply: Caller['reply'],
  ): void {
    const tell = (finished: FinishedRun | null): void => reply({ ...answer, finished });
    const known = this.#finishedRun(run);
    if (known !== undefined && isFinished(known.run.state)) return tell(known);
    // The state may be ahead of the events: a new run that is gone from it is still to be told of.
    if (known === undefined && !isNew) return tell(null);
    const untilMs = this.#context.clock.monotonic() + waitMs;
    const giveUp = (): void => reply(answer);
    if (!this.#watchers.add(run, { untilMs, tell, giveUp })) giveUp();
    this.#keepBeating();
  }

  #finishedRun(run: string): FinishedRun | undefined {
    const parts = parseRunId(run);
    const { state } = this.#options;
    const row = parts && state.get<RunRow>(keys.run(parts.uid, `${parts.cause}${parts.key}`));
    return parts && row && finishedRun(state, parts.uid, row);
  }

  #follow(progress: Progress): void {
    this.#finishEarly();
    this.#judgeDoubted();
    if (progress.storageName !== this.#storageName) {
      this.#storageName = progress.storageName;
      // A snapshot brought what happened meanwhile, without events.
      this.#watchers.tellEnded((run) => this.#finishedRun(run));
    }
    const leader = progress.leader === this.#options.node && !progress.isReady ? null : progress.leader;
    if (leader === this.#leader) return;
    this.#leader = leader;
    if (leader === null) return;
    for (const [scope, pending] of this.#pending) this.#send(scope, pending);
  }

  #beat(): void {
    const nowMs = this.#context.clock.monotonic();
    for (const [scope, pending] of this.#pending) {
      const waitedMs = nowMs - pending.sinceMs;
      if (!pending.wasTaken && !pending.isAsked && waitedMs >= NO_LEADER_MS) {
        const message = 'no server leads at the moment: the call was not carried out, try again in a few seconds';
        this.#finish(scope, { type: 'failed', code: 'no-leader', message });
      } else if (waitedMs >= UNKNOWN_MS) {
        const message =
          'the call was handed on and not answered: repeat it with the same request id to learn its outcome';
        this.#finish(scope, { type: 'failed', code: 'outcome-unknown', message });
      } else if (nowMs >= pending.sendAtMs) this.#send(scope, pending);
    }
    this.#watchers.dropOverdue(nowMs);
    this.#keepBeating();
  }

  #keepBeating(): void {
    if (this.#isBeating || (this.#pending.size === 0 && this.#watchers.size === 0)) return;
    this.#isBeating = true;
    this.#context.after(BEAT_MS, { type: 'beat' });
  }
}

function keyOf({ submission, scope }: JudgedCall): string {
  return `${scope} ${submission.bodyHash}`;
}

const REUSED: Result = {
  type: 'refused',
  code: 'request-id-reused',
  message: 'this request id is in use with another body: use a new id for a new request',
};

/** A question that was not answered in time may have been heard: the call's fate is unknown. */
function answerOf(outcome: AskOutcome<CompleteAnswer>): CompleteAnswer {
  if (outcome.type === 'answer') return outcome.answer;
  return outcome.code === 'mailbox-full' ? { type: 'refused', code: 'overloaded' } : { type: 'proposed' };
}
