/**
 * Who is a member, who lives, and who has gone. A node's session is opened by its hello and closed when it leaves or
 * was silent for too long; one that drains stays a member and gets nothing new; an agent that has been gone for long
 * is forgotten. All of it is proposed: the registry changes when the entry is applied.
 *
 *   hello ──► open-session ──► welcome     leave ──► close-session ──► left     gone for long ──► forget-nodes
 *   heartbeat ──► welcome (the lease)      silent ──► close-session
 */
import type { Log } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import type { FromNode, ToNode } from '../executors/protocol.ts';
import type { ClusterTime } from '../scheduler/cluster-time.ts';
import type { Command, Target } from '../scheduler/command.ts';
import type { StateEvent } from '../scheduler/event.ts';
import { keys, type NodeRow } from '../scheduler/rows.ts';
import type { State } from '../scheduler/state.ts';
import { Pulse } from './pulse.ts';

export interface SessionsOptions {
  /** The leader. */
  readonly node: string;
  readonly state: State;
  readonly clock: Clock;
  readonly time: ClusterTime;
  readonly log: Log;
  /** Silent for longer, a node is given up. */
  readonly downMs: number;
  /** May get lost. */
  readonly toNode: (node: string, message: ToNode) => void;
  /** May come to nothing. */
  readonly propose: (command: Command) => void;
}

type Said<Type extends FromNode['type']> = Extract<FromNode, { readonly type: Type }>;
type Happened<Type extends StateEvent['type']> = Extract<StateEvent, { readonly type: Type }>;

interface Opening {
  readonly boot: number;
  /** When the node sent the newest word that was heard meanwhile, by its own clock. */
  readonly sentAtMs: number;
  /** Then it is proposed again. */
  readonly untilMs: number;
}

interface Closing {
  readonly session: number;
  readonly hasLeft: boolean;
  readonly proposedMs: number;
}

/** A node that was silent for so long gets nothing new: two and a half heartbeats. */
const LIVE_MS = 2_500;
const OPENING_MS = 1_000;
/** A node that leaves says it every 200 ms, and waits for 1.5 s. */
const LEAVING_AGAIN_MS = 450;
/** How long an agent is shown that has left, and one that was given up (as Serf does). */
const LEFT_KEPT_MS = 10 * 60_000;
const FAILED_KEPT_MS = 24 * 3_600_000;
/** The rest follows with the next sweep. */
const FORGOTTEN_PER_COMMAND = 100;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #pulse: Pulse;
  /** Nodes whose session is being opened. */
  readonly #opening = new Map<string, Opening>();
  /** Nodes whose session is being closed. Its entry may be on its way, so nothing they say keeps it open. */
  readonly #closing = new Map<string, Closing>();
  /** Boots that start nothing any more, by node. */
  readonly #draining = new Map<string, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#pulse = new Pulse({ liveMs: LIVE_MS, downMs: options.downMs });
  }

  /** This server leads from now on, or no longer: what belongs to an older term is void. */
  restart(): void {
    this.#opening.clear();
    this.#closing.clear();
    this.#draining.clear();
    this.#pulse.restart(this.#monotonicMs);
  }

  hello(message: Said<'hello'>): void {
    const { node, boot, sentAtMs } = message;
    const row = this.row(node);
    // A late hello, or a copied directory: no proof that the newer boot lives, and not worth an entry.
    if (row !== undefined && (row.boot > boot || isOver(row, boot))) return;
    const isOpen = row?.isOpen === true && row.boot === boot;
    if (isOpen && this.#isClosing(row)) return;
    this.#hearLoad(message);
    if (isOpen) this.#welcome(row, sentAtMs);
    else this.#open(message, message);
  }

  heartbeat(message: Said<'heartbeat'>): void {
    const { node, boot, sentAtMs } = message;
    const row = this.row(node);
    if (row === undefined || row.boot !== boot || isOver(row, boot) || this.#isClosing(row)) return;
    this.#hearLoad(message);
    if (row.isOpen) this.#welcome(row, sentAtMs);
    else this.#open(row, message);
  }

  leave({ node, boot, session }: Said<'leave'>): void {
    const row = this.row(node);
    if (row === undefined || row.session > session || (row.session === session && !row.isOpen)) {
      return this.#sayLeft(node, boot, session);
    }
    // A session that is not known here: whoever opened it leads now.
    if (row.session !== session || row.boot !== boot) return;
    this.#draining.set(node, boot);
    const closing = this.#closing.get(node);
    const isSaidAgain = closing?.session === session && closing.hasLeft;
    if (isSaidAgain && this.#monotonicMs - closing.proposedMs < LEAVING_AGAIN_MS) return;
    this.#close(row, true);
  }

  /** Proof of life, whatever else it is. */
  heard(node: string): void {
    this.#pulse.heard(node, this.#monotonicMs);
  }

  opened({ node, boot, session }: Happened<'session-opened'>): void {
    this.#options.log.info('session opened', { peer: this.#nameOf(node), session });
    this.#closing.delete(node);
    const opening = this.#opening.get(node);
    if (opening === undefined || opening.boot > boot) return;
    this.#opening.delete(node);
    // Opened for an earlier leader: the node's next hello is answered.
    if (opening.boot === boot) this.#welcome({ node, boot, session }, opening.sentAtMs);
  }

  closed({ node, session, hasLeft }: Happened<'session-closed'>): void {
    this.#closing.delete(node);
    const why = hasLeft ? 'the node has left' : 'the node was silent for too long';
    this.#options.log.info(`session closed: ${why}`, { peer: this.#nameOf(node) });
    const row = this.row(node);
    // Where this event is lost, the node says `leave` again.
    if (hasLeft && row?.session === session) this.#sayLeft(node, row.boot, session);
  }

  forgotten({ node, name }: Happened<'node-forgotten'>): void {
    this.#options.log.info('node forgotten: it has been gone for long', { peer: name });
    this.#closing.delete(node);
    this.#draining.delete(node);
  }

  isLive(row: NodeRow): boolean {
    return (
      row.isOpen &&
      !this.#isClosing(row) &&
      this.#draining.get(row.node) !== row.boot &&
      this.#pulse.isLive(row.node, this.#monotonicMs)
    );
  }

  /** Looks at all who are registered: gives up those who are silent. */
  closeSilent(rows: readonly NodeRow[]): void {
    for (const row of rows) {
      const closing = this.#closing.get(row.node);
      const isClosing = closing?.session === row.session;
      // What is being closed and was not yet may have come to nothing: it is proposed again.
      if (!row.isOpen || !(isClosing || this.#pulse.isDown(row.node, this.#monotonicMs))) continue;
      this.#close(row, isClosing && closing.hasLeft);
    }
    this.#keep(new Set(rows.map((row) => row.node)));
  }

  /** `busy` are nodes on which executions are open, read after the rows. */
  forgetGone(rows: readonly NodeRow[], busy: ReadonlySet<string>): void {
    const nowMs = this.#nowMs;
    const gone: Target[] = [];
    for (const { node, session, isOpen, isServer, closedMs, hasLeft } of rows) {
      if (isOpen || isServer || busy.has(node)) continue;
      // Rows of earlier builds do not say since when: they have been gone for long enough.
      const goneMs = nowMs - (closedMs ?? 0);
      if (goneMs > (hasLeft ? LEFT_KEPT_MS : FAILED_KEPT_MS)) gone.push({ node, session });
      if (gone.length === FORGOTTEN_PER_COMMAND) break;
    }
    if (gone.length > 0) this.#options.propose({ type: 'forget-nodes', nowMs, nodes: gone });
  }

  row(node: string): NodeRow | undefined {
    return this.#options.state.get<NodeRow>(keys.node(node));
  }

  #hearLoad({ node, boot, isDraining }: Said<'hello'> | Said<'heartbeat'>): void {
    this.heard(node);
    if (isDraining) this.#draining.set(node, boot);
    else if (this.#draining.get(node) !== boot) this.#draining.delete(node);
  }

  #open(
    declared: Omit<Extract<Command, { type: 'open-session' }>, 'type' | 'nowMs'>,
    { sentAtMs, isDraining }: Said<'hello'> | Said<'heartbeat'>,
  ): void {
    // It starts nothing any more, so it needs no session; its results are taken without one.
    if (isDraining) return;
    const { node, boot, name, isServer, tags, slots, version, address } = declared;
    const nowMs = this.#monotonicMs;
    const opening = this.#opening.get(node);
    if (opening !== undefined && opening.untilMs > nowMs) {
      if (opening.boot > boot) return;
      if (opening.boot === boot) {
        this.#opening.set(node, { ...opening, sentAtMs: Math.max(opening.sentAtMs, sentAtMs) });
        return;
      }
    }
    this.#opening.set(node, { boot, sentAtMs, untilMs: nowMs + OPENING_MS });
    const self = { node, boot, name, isServer, tags, slots, version, address };
    this.#options.propose({ type: 'open-session', nowMs: this.#nowMs, ...self });
  }

  #close({ node, session }: NodeRow, hasLeft: boolean): void {
    this.#closing.set(node, { session, hasLeft, proposedMs: this.#monotonicMs });
    this.#options.propose({ type: 'close-session', nowMs: this.#nowMs, node, session, hasLeft });
  }

  /** Its close-session is on its way: to be answered now would let it start what is about to be given up. */
  #isClosing({ node, session }: NodeRow): boolean {
    return this.#closing.get(node)?.session === session;
  }

  /** `sentAtMs` is when the node sent what this answers. */
  #welcome({ node, boot, session }: Pick<NodeRow, 'node' | 'boot' | 'session'>, sentAtMs: number): void {
    this.#options.toNode(node, { type: 'welcome', leader: this.#options.node, boot, session, echoMs: sentAtMs });
  }

  #sayLeft(node: string, boot: number, session: number): void {
    this.#options.toNode(node, { type: 'left', boot, session });
  }

  /** Events may get lost: drops what is noted about nodes that are registered no longer. */
  #keep(registered: ReadonlySet<string>): void {
    this.#pulse.keep(registered, this.#monotonicMs);
    for (const node of this.#closing.keys()) if (!registered.has(node)) this.#closing.delete(node);
    for (const node of this.#draining.keys()) if (!registered.has(node)) this.#draining.delete(node);
  }

  #nameOf(node: string): string {
    return this.row(node)?.name ?? node;
  }

  get #monotonicMs(): number {
    return this.#options.clock.monotonic();
  }

  get #nowMs(): number {
    return this.#options.time.stampMs(this.#options.state.meta.loggedMs);
  }
}

/** This boot has left, for good: what it says now was sent before. */
function isOver(row: NodeRow, boot: number): boolean {
  return row.hasLeft && row.boot === boot;
}
