/**
 * What this node says of itself to the leader, and what it may do by the answers: hello and heartbeat, which keep the
 * session and its lease; that it drains; that it leaves.
 *
 *   hello ──► welcome ──► heartbeat ──► welcome …          drain: heartbeats say so, and nothing starts any more
 *                                                          leave ──► left: the session is over before the process is
 */
import type { ActorContext, Reply } from '../actors/actor.ts';
import type { ExecutorAnswer, ExecutorMessage } from './executor-message.ts';
import type { ExecutorActorOptions } from './executor-options.ts';
import type { ToNode } from './protocol.ts';
import { SessionLease } from './session-lease.ts';

const LEAVE_AGAIN_MS = 200;
/** Then the process stops all the same, and the leader gives the session up once it was silent for too long. */
const LEAVING_MS_MAX = 1_500;

/** What a heartbeat tells for people and metrics. */
export interface Load {
  readonly running: number;
  readonly outbox: number;
}

export class Membership {
  readonly #options: ExecutorActorOptions;
  readonly #context: ActorContext<ExecutorMessage, ExecutorAnswer>;
  /** Nothing is held, and nothing is owed. */
  readonly #isQuiet: () => boolean;
  readonly #lease: SessionLease;
  #isDraining = false;
  #hasLeft = false;
  #hasAskedForSession = false;
  /** Until when it is tried, monotonic; null: not leaving, or no longer. */
  #leavingUntilMs: number | null = null;
  #leaveReplies: Reply<ExecutorAnswer>[] = [];

  constructor(
    options: ExecutorActorOptions,
    context: ActorContext<ExecutorMessage, ExecutorAnswer>,
    isQuiet: () => boolean,
  ) {
    this.#options = options;
    this.#context = context;
    this.#isQuiet = isQuiet;
    this.#lease = new SessionLease({ boot: options.boot, leaseMs: options.leaseMs ?? 5_000 });
  }

  get leader(): string | null {
    return this.#lease.leader;
  }

  get session(): number | null {
    return this.#lease.session;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get mayStart(): boolean {
    return !this.#isDraining && this.#lease.mayStart(this.#context.clock.monotonic());
  }

  hear(leader: string, term: number): 'old' | 'same-leader' | 'new-leader' {
    const news = this.#lease.hear(leader, term);
    if (news === 'old') return news;
    if (this.#lease.isHelloDue(this.#context.clock.monotonic())) this.#sayHello(leader);
    if (news === 'new-leader') this.#sayLeave();
    return news;
  }

  welcome({
    leader,
    boot,
    session,
    echoMs,
  }: Extract<ToNode, { type: 'welcome' }>): ReturnType<SessionLease['welcome']> {
    const news = this.#lease.welcome(leader, boot, session, echoMs);
    if (news === 'new-session') this.#sayLeave();
    return news;
  }

  beat({ running, outbox }: Load): void {
    const { leader, session } = this.#lease;
    if (this.#hasLeft || leader === null || session === null) return;
    const { node, boot } = this.#options;
    const state = { session, running, outbox, isDraining: this.#isDraining };
    this.#options.toLeader(leader, { type: 'heartbeat', node, boot, ...state, ...this.#times() });
  }

  /** For good; the leader hears it at once, so that nothing is assigned here only to be refused. */
  drain(load: Load): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.beat(load);
  }

  leave(reply: Reply<ExecutorAnswer>): void {
    this.#leaveReplies.push(reply);
    // Nobody opens a session that was not asked for, or for a node that drains.
    if (this.#hasLeft || !this.#hasAskedForSession) return this.#endLeaving(this.#hasLeft);
    this.#leavingUntilMs ??= this.#context.clock.monotonic() + LEAVING_MS_MAX;
    this.leaveAgain();
  }

  leaveAgain(): void {
    if (this.#leavingUntilMs === null) return;
    if (this.#context.clock.monotonic() >= this.#leavingUntilMs) {
      this.#context.log.warn('no leader has confirmed that this node leaves: it will count as failed');
      return this.#endLeaving(false);
    }
    this.#sayLeave();
    this.#context.after(LEAVE_AGAIN_MS, { type: 'leave-again' });
  }

  left({ boot, session }: Extract<ToNode, { type: 'left' }>): void {
    if (this.#leavingUntilMs === null || boot !== this.#options.boot || session !== this.#lease.session) return;
    this.#hasLeft = true;
    this.#endLeaving(true);
  }

  #sayHello(leader: string): void {
    if (this.#hasLeft) return;
    const { node, boot, name, isServer, tags, slots, version, address } = this.#options;
    if (!this.#isDraining) this.#hasAskedForSession = true;
    const self = { node, boot, name, isServer, tags, slots, version, address };
    this.#options.toLeader(leader, { type: 'hello', ...self, isDraining: this.#isDraining, ...this.#times() });
  }

  #times(): { readonly sentAtMs: number; readonly wallMs: number } {
    const { clock } = this.#context;
    return { sentAtMs: clock.monotonic(), wallMs: clock.now() };
  }

  /** Only while it is true: what may have come since the drain was over is refused, and owed, first. */
  #sayLeave(): void {
    const { leader, session } = this.#lease;
    if (this.#leavingUntilMs === null || leader === null || session === null) return;
    if (!this.#isDraining || !this.#isQuiet()) return;
    const { node, boot } = this.#options;
    this.#options.toLeader(leader, { type: 'leave', node, boot, session });
  }

  #endLeaving(isConfirmed: boolean): void {
    this.#leavingUntilMs = null;
    for (const reply of this.#leaveReplies) reply({ type: 'left', isConfirmed });
    this.#leaveReplies = [];
  }
}
