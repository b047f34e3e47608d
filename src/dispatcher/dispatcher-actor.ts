/** See `dispatcher.ts` for what this is about. */

import type { Actor, ActorContext, ActorRef, AskOutcome } from '../actors/actor.ts';
import { CodedError } from '../base/errors.ts';
import type { ExecuteItem, FromNode, ToNode } from '../executors/protocol.ts';
import type { Finish } from '../jobs/finish.ts';
import type { RaftAnswer, RaftRequest } from '../raft/raft-protocol.ts';
import { type Command, encodeCommand } from '../scheduler/command.ts';
import type { StateEvent } from '../scheduler/event.ts';
import { keys, type NodeRow, type OpenRow } from '../scheduler/rows.ts';
import type { SchedulerMessage } from '../scheduler/scheduler-actor.ts';
import type { State } from '../scheduler/state.ts';
import { scanAll } from '../scheduler/state-scan.ts';
import { executeItem } from './dispatcher.ts';
import { Pulse } from './pulse.ts';

export type DispatcherMessage =
  | { readonly type: 'leading'; readonly isLeading: boolean; readonly term: number }
  | { readonly type: 'events'; readonly events: readonly StateEvent[] }
  | { readonly type: 'from-node'; readonly message: FromNode }
  | { readonly type: 'flush' }
  | { readonly type: 'beat'; readonly epoch: number }
  | { readonly type: 'sweep'; readonly epoch: number }
  | { readonly type: 'swept'; readonly epoch: number; readonly found: Found; readonly error: string | null }
  | {
      readonly type: 'proposed';
      readonly finishes: readonly string[];
      readonly outcome: AskOutcome<RaftAnswer>;
    };

export interface DispatcherOptions {
  readonly node: string;
  readonly state: State;
  readonly raft: ActorRef<RaftRequest, RaftAnswer>;
  readonly scheduler: ActorRef<Extract<SchedulerMessage, { readonly type: 'liveness' | 'freed' }>, unknown>;
  /** May get lost. */
  readonly toNode: (node: string, message: ToNode) => void;
  readonly toAllNodes: (message: ToNode) => void;
  readonly leaseMs: number;
  readonly marginMs: number;
}

interface Opening {
  readonly boot: number;
  /** When the node sent the newest word that was heard meanwhile, by its own clock. */
  readonly sentAtMs: number;
  /** Then it is proposed again. */
  readonly untilMs: number;
}

interface Found {
  readonly nodes: readonly NodeRow[];
  readonly open: readonly { readonly execution: string; readonly row: OpenRow }[];
}

const BEACON_MS = 500;
const SWEEP_MS = 5_000;
/** A node that was silent for so long gets nothing new: two and a half heartbeats. */
const LIVE_MS = 2_500;
const EXECUTES_PER_MESSAGE = 200;
/** Well below the 1 MiB that NATS carries; a single item never comes near it. */
const EXECUTE_BYTES_PER_MESSAGE = 256 * 1024;
const ACKNOWLEDGES_PER_MESSAGE = 2_000;
const FINISHES_PER_COMMAND = 500;
const FINISH_BYTES_PER_COMMAND = 256 * 1024;
/** Finishes taken in and not proposed yet; beyond, nodes are left to repeat theirs. */
const FINISHES_WAITING_MAX = 20_000;
const PROPOSE_MS = 5_000;
const OPENING_MS = 1_000;

export function createDispatcherActor(
  options: DispatcherOptions,
): (context: ActorContext<DispatcherMessage>) => Actor<DispatcherMessage> {
  return (context) => new DispatcherActor(options, context);
}

class DispatcherActor implements Actor<DispatcherMessage> {
  readonly #options: DispatcherOptions;
  readonly #context: ActorContext<DispatcherMessage>;
  readonly #pulse: Pulse;
  #isLeading = false;
  #epoch = 0;
  #term = 0;
  /** What goes out with the next flush. */
  readonly #executes = new Map<string, string[]>();
  readonly #acknowledges = new Map<string, string[]>();
  readonly #finishes = new Map<string, Finish>();
  #isFlushing = false;
  /** Executions whose finish is on its way through the log, with the node to be told, if a node sent it. */
  readonly #proposed = new Map<string, { readonly node: string | null; readonly sinceMs: number }>();
  /** Nodes whose session is being opened. */
  readonly #opening = new Map<string, Opening>();
  /** Nodes whose session is given up, with it. Its entry may be on its way, so nothing they say keeps it open. */
  readonly #closing = new Map<string, number>();
  #live = '';
  #isSweeping = false;
  /** Something happened while a sweep was reading. */
  #isSweepWanted = false;
  /** The last leader may not have come to what it assigned last. */
  #isFirstSweep = false;
  /** The registry as of the last sweep or session. */
  #nodes: readonly NodeRow[] = [];

  constructor(options: DispatcherOptions, context: ActorContext<DispatcherMessage>) {
    this.#options = options;
    this.#context = context;
    this.#pulse = new Pulse({ liveMs: LIVE_MS, downMs: options.leaseMs + options.marginMs });
  }

  receive(message: DispatcherMessage): void {
    switch (message.type) {
      case 'leading':
        return this.#lead(message.isLeading, message.term);
      case 'events':
        if (this.#isLeading) for (const event of message.events) this.#hear(event);
        return;
      case 'from-node':
        if (this.#isLeading) this.#fromNode(message.message);
        return;
      case 'flush':
        return this.#flush();
      case 'beat':
        return this.#beat(message.epoch);
      case 'sweep':
        return this.#sweep(message.epoch);
      case 'swept':
        return this.#swept(message);
      case 'proposed':
        return this.#settleProposal(message);
    }
  }

  #lead(isLeading: boolean, term: number): void {
    this.#isLeading = isLeading;
    this.#term = term;
    this.#epoch += 1;
    this.#executes.clear();
    this.#acknowledges.clear();
    this.#finishes.clear();
    this.#proposed.clear();
    this.#opening.clear();
    this.#closing.clear();
    this.#live = '';
    this.#isSweeping = false;
    this.#isSweepWanted = false;
    this.#isFirstSweep = true;
    if (!isLeading) return;
    this.#pulse.restart(this.#context.clock.monotonic());
    this.#beat(this.#epoch);
    this.#sweep(this.#epoch);
  }

  #hear(event: StateEvent): void {
    switch (event.type) {
      case 'assigned':
        add(this.#executes, event.node, event.execution);
        return this.#flushSoon();
      case 'finished':
      case 'late-finish': {
        const node = this.#proposed.get(event.execution)?.node ?? null;
        this.#proposed.delete(event.execution);
        if (node === null) return;
        add(this.#acknowledges, node, event.execution);
        return this.#flushSoon();
      }
      case 'session-opened': {
        const { node, boot, session } = event;
        this.#context.log.info('session opened', { peer: this.#nameOf(node), session });
        this.#closing.delete(node);
        const opening = this.#opening.get(node);
        if (opening !== undefined && opening.boot <= boot) this.#opening.delete(node);
        // Opened for an earlier leader: the node's next hello is answered.
        if (opening?.boot === boot) this.#welcome({ node, boot, session }, opening.sentAtMs);
        return this.#sweepNow();
      }
      case 'session-closed':
        this.#closing.delete(event.node);
        this.#context.log.info('session closed: the node was silent for too long', { peer: this.#nameOf(event.node) });
        return this.#sweepNow();
      default:
        return;
    }
  }

  #fromNode(message: FromNode): void {
    const nowMs = this.#context.clock.monotonic();
    switch (message.type) {
      case 'hello': {
        const row = this.#nodeRow(message.node);
        // A late hello, or a copied directory: no proof that the newer boot lives, and not worth an entry.
        if (row !== undefined && row.boot > message.boot) return;
        const isOpen = row?.isOpen === true && row.boot === message.boot;
        if (isOpen && this.#isClosing(row)) return;
        this.#pulse.heard(message.node, nowMs);
        if (isOpen) {
          this.#welcome(row, message.sentAtMs);
          return this.#tellLive();
        }
        return this.#openSession(message, message.sentAtMs);
      }
      case 'heartbeat': {
        const row = this.#nodeRow(message.node);
        if (row === undefined || row.boot !== message.boot || this.#isClosing(row)) return;
        this.#pulse.heard(message.node, nowMs);
        if (!row.isOpen) return this.#openSession(row, message.sentAtMs);
        this.#welcome(row, message.sentAtMs);
        return this.#tellLive();
      }
      case 'finish': {
        this.#pulse.heard(message.node, nowMs);
        for (const finish of message.finishes) this.#takeFinish(message.node, finish);
        this.#tellFreed(message.node, message.finishes);
        return this.#flushSoon();
      }
    }
  }

  #takeFinish(node: string | null, finish: Finish): void {
    if (this.#proposed.has(finish.execution)) return;
    if (this.#finishes.size >= FINISHES_WAITING_MAX) return;
    this.#proposed.set(finish.execution, { node, sinceMs: this.#context.clock.monotonic() });
    this.#finishes.set(finish.execution, finish);
  }

  /** Their slots are free on the node: what is assigned to them shares the batch of these finishes in the log. */
  #tellFreed(node: string, finishes: readonly Finish[]): void {
    const executions = finishes.map((finish) => finish.execution);
    this.#options.scheduler.send({ type: 'freed', node, executions });
  }

  #openSession(declared: Omit<Extract<Command, { type: 'open-session' }>, 'type' | 'nowMs'>, sentAtMs: number): void {
    const { node, boot, name, isServer, tags, slots, version, address } = declared;
    const nowMs = this.#context.clock.monotonic();
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
    this.#propose({ type: 'open-session', nowMs: this.#nowMs(), ...self });
  }

  /** Its close-session is on its way: to be answered now would let it start what is about to be declared lost. */
  #isClosing({ node, session }: NodeRow): boolean {
    return this.#closing.get(node) === session;
  }

  /** `sentAtMs` is when the node sent what this answers. */
  #welcome({ node, boot, session }: Pick<NodeRow, 'node' | 'boot' | 'session'>, sentAtMs: number): void {
    this.#options.toNode(node, { type: 'welcome', leader: this.#options.node, boot, session, echoMs: sentAtMs });
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#context.self.send({ type: 'flush' });
  }

  #flush(): void {
    this.#isFlushing = false;
    if (!this.#isLeading) return;
    const { state, toNode, node: leader } = this.#options;
    for (const [node, executions] of this.#executes) {
      const items = executions.flatMap((execution) => executeItem(state, execution) ?? []);
      for (const part of chunksOfBytes(items)) toNode(node, { type: 'execute', leader, items: part });
    }
    this.#executes.clear();
    for (const [node, executions] of this.#acknowledges) {
      for (const part of chunks(executions, ACKNOWLEDGES_PER_MESSAGE)) {
        toNode(node, { type: 'acknowledge', executions: part });
      }
    }
    this.#acknowledges.clear();
    this.#proposeFinishes();
  }

  #proposeFinishes(): void {
    let finishes: Finish[] = [];
    let bytes = 0;
    const propose = () => {
      if (finishes.length > 0) this.#propose({ type: 'finish', nowMs: this.#nowMs(), finishes });
      finishes = [];
      bytes = 0;
    };
    for (const finish of this.#finishes.values()) {
      const size = 400 + jsonBytes(finish.outputTail) + jsonBytes(finish.result ?? '') + jsonBytes(finish.reason);
      if (finishes.length >= FINISHES_PER_COMMAND || bytes + size > FINISH_BYTES_PER_COMMAND) propose();
      finishes.push(finish);
      bytes += size;
    }
    propose();
    this.#finishes.clear();
  }

  #propose(command: Command): void {
    const finishes = command.type === 'finish' ? command.finishes.map((finish) => finish.execution) : [];
    const request: RaftRequest = { type: 'propose', data: encodeCommand(command), class: 'internal' };
    this.#context.ask(this.#options.raft, request, PROPOSE_MS, (outcome) => ({ type: 'proposed', finishes, outcome }));
  }

  /** What was not appended is forgotten: the nodes say it again. */
  #settleProposal({ finishes, outcome }: Extract<DispatcherMessage, { type: 'proposed' }>): void {
    if (outcome.type === 'answer' && outcome.answer.type === 'accepted') return;
    for (const execution of finishes) this.#proposed.delete(execution);
  }

  #beat(epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#options.toAllNodes({ type: 'beacon', leader: this.#options.node, term: this.#term });
    this.#tellLive();
    this.#context.after(BEACON_MS, { type: 'beat', epoch });
  }

  /** Tells the scheduler who can take work, when that has changed. */
  #tellLive(): void {
    const nowMs = this.#context.clock.monotonic();
    const isLive = (row: NodeRow) => row.isOpen && !this.#isClosing(row) && this.#pulse.isLive(row.node, nowMs);
    const live = this.#nodes.filter(isLive).map((row) => row.node);
    const text = live.join();
    if (text !== this.#live) {
      this.#live = text;
      this.#options.scheduler.send({ type: 'liveness', live });
    }
  }

  #sweep(epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#sweepNow();
    this.#context.after(SWEEP_MS, { type: 'sweep', epoch });
  }

  /** One at a time, however many sessions come and go. */
  #sweepNow(): void {
    if (this.#isSweeping) {
      this.#isSweepWanted = true;
      return;
    }
    this.#isSweeping = true;
    const epoch = this.#epoch;
    const nodes: NodeRow[] = [];
    const open: { execution: string; row: OpenRow }[] = [];
    const ranges = [
      ['node/', 'node0'],
      ['open/', 'open0'],
    ] as const;
    scanAll(
      this.#options.state,
      ranges,
      ({ key, row }) => {
        if (row.type === 'node') nodes.push(row);
        else if (row.type === 'open') open.push({ execution: key.slice('open/'.length), row });
      },
      (error) => {
        this.#context.self.send({ type: 'swept', epoch, found: { nodes, open }, error: error?.message ?? null });
      },
    );
  }

  #swept({ epoch, found, error }: Extract<DispatcherMessage, { type: 'swept' }>): void {
    if (epoch !== this.#epoch || !this.#isLeading) return;
    if (error !== null) throw new CodedError('storage-failed', `the state could not be read: ${error}`);
    this.#isSweeping = false;
    this.#nodes = found.nodes;
    this.#closeSilent();
    this.#repeatOpen(found, this.#isFirstSweep);
    this.#isFirstSweep = false;
    // A finish whose event was lost: its node will say it again, and must be heard then.
    const oldMs = this.#context.clock.monotonic() - SWEEP_MS;
    for (const [execution, { sinceMs }] of this.#proposed) if (sinceMs < oldMs) this.#proposed.delete(execution);
    this.#live = '';
    this.#tellLive();
    this.#flushSoon();
    if (!this.#isSweepWanted) return;
    this.#isSweepWanted = false;
    this.#sweepNow();
  }

  #closeSilent(): void {
    const nowMs = this.#context.clock.monotonic();
    for (const { node, session, isOpen } of this.#nodes) {
      if (!isOpen || !(this.#closing.get(node) === session || this.#pulse.isDown(node, nowMs))) continue;
      this.#closing.set(node, session);
      this.#propose({ type: 'close-session', nowMs: this.#nowMs(), node, session });
    }
  }

  /** Says again what each node may not have heard, and gives up what died with a session. */
  #repeatOpen({ nodes, open }: Found, isFirst: boolean): void {
    const rows = new Map(nodes.map((row) => [row.node, row]));
    const nowMs = this.#nowMs();
    const reconcile = new Map<string, { execution: string; session: number }[]>();
    for (const { execution, row } of open) {
      const node = rows.get(row.node);
      if (node?.isOpen !== true) this.#takeFinish(null, lostFinish(execution, nowMs));
      else if (node.session !== row.session) add(reconcile, row.node, { execution, session: row.session });
      else if (isFirst || isTimeToRepeat(nowMs - row.assignedMs)) add(this.#executes, row.node, execution);
    }
    for (const [node, executions] of reconcile) {
      for (const part of chunks(executions, EXECUTES_PER_MESSAGE)) {
        this.#options.toNode(node, { type: 'reconcile', executions: part });
      }
    }
  }

  #nameOf(node: string): string {
    return this.#nodeRow(node)?.name ?? node;
  }

  #nodeRow(node: string): NodeRow | undefined {
    return this.#options.state.get<NodeRow>(keys.node(node));
  }

  #nowMs(): number {
    return Math.max(this.#context.clock.now(), this.#options.state.meta.loggedMs);
  }
}

/** At ages of one, two, four … sweeps: a long run is not spoken of every few seconds. */
function isTimeToRepeat(ageMs: number): boolean {
  const sweeps = Math.floor(ageMs / SWEEP_MS);
  return sweeps >= 1 && ((sweeps & (sweeps - 1)) === 0 || sweeps % 32 === 0);
}

function lostFinish(execution: string, nowMs: number): Finish {
  return {
    execution,
    outcome: 'lost',
    reason: 'the node was silent for too long',
    startedAtMs: null,
    finishedAtMs: nowMs,
    exitCode: null,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
  };
}

function add<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function chunks<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
  const parts: (readonly Item[])[] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}

function chunksOfBytes(items: readonly ExecuteItem[]): ExecuteItem[][] {
  const parts: ExecuteItem[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = 600 + Buffer.byteLength(JSON.stringify(item.config));
    const last = parts.at(-1);
    if (last === undefined || last.length >= EXECUTES_PER_MESSAGE || bytes + size > EXECUTE_BYTES_PER_MESSAGE) {
      parts.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return parts;
}

/** As it will stand in the log: one control character takes six bytes there. */
function jsonBytes(text: string): number {
  return text === '' ? 0 : Buffer.byteLength(JSON.stringify(text));
}
