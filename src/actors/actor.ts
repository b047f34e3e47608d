/**
 * The actor runtime: typed messages, one at a time, synchronously.
 *
 * An actor owns its state and handles one message at a time; `receive` never awaits. What it needs from the world it
 * gets as ports, and a port's answer comes back as a message to itself. So between two messages nothing can
 * interleave. The runtime knows nothing of jobs, Raft or storage.
 *
 *        send / ask                    turn (one macrotask, or the simulator's loop)
 *   ref ───────────► mailbox ───────────────────────────► actor.receive(message, reply)
 *    │                (bounded; system messages first)           │ throws
 *    │ other thread: one MessagePort per pair of threads,        ▼
 *    └ messages batched per turn                           supervision: restart, stop, escalate, stop the process
 *
 * Files, from the inside out: `mailbox` (bounds), `supervision` (what follows a throw), `ask` (pending questions and
 * deadlines), `incarnation` (one life of an actor, and its context), `cell` (the place of an actor, which outlives its
 * restarts), `system` (spawn, registry, turns), `thread-link` and `link-connection` (refs across threads),
 * `worker-thread` (starting and losing a thread), `thread-entry` (the inside of one), `comlink-control` (start, stop,
 * inspect). What holds, and each bound, stands in docs/actors.md.
 */

import type { ErrorCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';

/** Answers the ask that a message came with. Does nothing after the first call, or where nobody asked. */
export type Reply<Answer> = (answer: Answer) => void;

/** What came of an ask. Failures are values: the asker decides. */
export type AskOutcome<Answer> =
  | { readonly type: 'answer'; readonly answer: Answer }
  | {
      readonly type: 'failed';
      readonly code: Extract<ErrorCode, 'deadline' | 'stopped' | 'thread-died' | 'mailbox-full'>;
      readonly message: string;
    };

export interface Actor<Message, Answer = never> {
  /** Handles one message. A throw is handled by this actor's supervision. */
  receive(message: Message, reply: Reply<Answer>): void;
  /** Called once when the actor is stopped for good or before it is made anew; its timers are gone already. */
  stop?(): void;
}

/** Where to send. Looks the same for an actor in this thread and in another; messages are plain, cloneable data. */
export interface ActorRef<Message, Answer = never> {
  /** `<thread>/<name>`, unique in the process. */
  readonly address: string;
  /** Delivers at most once, in order per sender. Never throws: what cannot be delivered becomes a dead letter. */
  send(message: Message): void;
  /** Sends, and calls `done` exactly once: with the answer, or with why there is none. */
  ask(message: Message, deadlineMs: number, done: (outcome: AskOutcome<Answer>) => void): void;
}

/** What an actor gets from the runtime. Timers, watches and asks end with the actor (its restart included). */
export interface ActorContext<Message, Answer = never> {
  readonly self: ActorRef<Message, Answer>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Sends `message` to this actor after `delayMs`. */
  after(delayMs: number, message: Message): Timer;
  /** Asks another actor; what comes of it arrives here as the message that `toMessage` makes. */
  ask<OtherMessage, OtherAnswer>(
    ref: ActorRef<OtherMessage, OtherAnswer>,
    message: OtherMessage,
    deadlineMs: number,
    toMessage: (outcome: AskOutcome<OtherAnswer>) => Message,
  ): void;
  /** Sends `message` here once the watched actor has stopped for good (at once if it has already). */
  watch(ref: ActorRef<never, unknown>, message: Message): void;
}

/** What happens to a message that finds the mailbox full. An ask that is refused fails with `mailbox-full`. */
export type WhenFull = 'refuse' | 'drop-oldest';

/** What follows a throw in `receive`. */
export type Supervision =
  | {
      readonly type: 'restart';
      /** More restarts than this within `withinMs` escalate. */
      readonly restartsMax: number;
      readonly withinMs: number;
      /** Delay before restart n is `backoffMs × 2^(n-1)`, at most `backoffMsMax`; messages wait in the mailbox. */
      readonly backoffMs: number;
      readonly backoffMsMax: number;
      readonly escalate: 'stop' | 'stop-process';
    }
  | { readonly type: 'stop' }
  /** Better no answer than a wrong one: raft, state and storage. */
  | { readonly type: 'stop-process' };

export interface ActorSpec<Message, Answer = never> {
  /** `[a-z0-9-]+`, unique in its system. */
  readonly name: string;
  readonly create: (context: ActorContext<Message, Answer>) => Actor<Message, Answer>;
  readonly supervision: Supervision;
  /** Default 10,000 messages, `refuse`. */
  readonly mailbox?: { readonly capacity: number; readonly whenFull: WhenFull };
}
