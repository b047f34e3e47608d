/** See `dispatcher.ts` for what this is about. */

import type { Actor, ActorContext, ActorRef, AskOutcome } from '../actors/actor.ts';
import { CodedError } from '../base/errors.ts';
import type { FromNode, ToNode } from '../executors/protocol.ts';
import type { Finish } from '../jobs/finish.ts';
import type { RaftAnswer, RaftRequest } from '../raft/raft-protocol.ts';
import type { ClusterTime } from '../scheduler/cluster-time.ts';
import { type Command, encodeCommand } from '../scheduler/command.ts';
import type { StateEvent } from '../scheduler/event.ts';
import { keys, type NodeRow, type OpenRow } from '../scheduler/rows.ts';
import type { SchedulerMessage } from '../scheduler/scheduler-actor.ts';
import type { State } from '../scheduler/state.ts';
import { scanAll } from '../scheduler/state-scan.ts';
import { abandonedFinish } from './abandoned.ts';
import {
  ACKNOWLEDGES_PER_MESSAGE,
  add,
  chunks,
  EXECUTES_PER_MESSAGE,
  executeBatches,
  finishBatches,
} from './batches.ts';
import { executeItem } from './dispatcher.ts';
import { Sessions } from './sessions.ts';

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
  readonly time: ClusterTime;
  readonly scheduler: ActorRef<Extract<SchedulerMessage, { readonly type: 'liveness' | 'freed' }>, unknown>;
  /** May get lost. */
  readonly toNode: (node: string, message: ToNode) => void;
  readonly toAllNodes: (message: ToNode) => void;
  readonly leaseMs: number;
  readonly marginMs: number;
}

interface Found {
  readonly nodes: readonly NodeRow[];
  readonly open: readonly { readonly execution: string; readonly row: OpenRow }[];
}

const BEACON_MS = 500;
const SWEEP_MS = 5_000;
/** Finishes taken in and not proposed yet; beyond, nodes are left to repeat theirs. */
const FINISHES_WAITING_MAX = 20_000;
const PROPOSE_MS = 5_000;

export function createDispatcherActor(
  options: DispatcherOptions,
): (context: ActorContext<DispatcherMessage>) => Actor<DispatcherMessage> {
  return (context) => new DispatcherActor(options, context);
}

class DispatcherActor implements Actor<DispatcherMessage> {
  readonly #options: DispatcherOptions;
  readonly #context: ActorContext<DispatcherMessage>;
  readonly #sessions: Sessions;
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
    const { node, state, time, toNode, leaseMs, marginMs } = options;
    const { clock, log } = context;
    const propose = (command: Command) => this.#propose(command);
    this.#sessions = new Sessions({ node, state, clock, time, log, downMs: leaseMs + marginMs, toNode, propose });
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
    this.#sessions.restart();
    this.#options.time.restart();
    this.#live = '';
    this.#isSweeping = false;
    this.#isSweepWanted = false;
    this.#isFirstSweep = true;
    if (!isLeading) return;
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
      case 'session-opened':
        this.#sessions.opened(event);
        return this.#sweepNow();
      case 'session-closed':
        this.#sessions.closed(event);
        return this.#sweepNow();
      case 'node-forgotten':
        return this.#sessions.forgotten(event);
      default:
        return;
    }
  }

  #fromNode(message: FromNode): void {
    switch (message.type) {
      case 'hello':
        this.#options.time.heard(message.node, message.wallMs);
        this.#sessions.hello(message);
        return this.#tellLive();
      case 'heartbeat':
        this.#options.time.heard(message.node, message.wallMs);
        this.#sessions.heartbeat(message);
        return this.#tellLive();
      case 'leave':
        this.#sessions.leave(message);
        return this.#tellLive();
      case 'finish': {
        this.#sessions.heard(message.node);
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
      for (const part of executeBatches(items)) toNode(node, { type: 'execute', leader, items: part });
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
    for (const finishes of finishBatches(this.#finishes.values())) {
      this.#propose({ type: 'finish', nowMs: this.#nowMs(), finishes });
    }
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
    this.#options.time.report();
    this.#tellLive();
    this.#context.after(BEACON_MS, { type: 'beat', epoch });
  }

  /** Tells the scheduler who can take work, when that has changed. */
  #tellLive(): void {
    const live = this.#nodes.filter((row) => this.#sessions.isLive(row)).map((row) => row.node);
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
    this.#sessions.closeSilent(found.nodes);
    this.#sessions.forgetGone(found.nodes, new Set(found.open.map(({ row }) => row.node)));
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

  /** Says again what each node may not have heard, and gives up what died with a session. */
  #repeatOpen({ open }: Found, isFirst: boolean): void {
    const { state } = this.#options;
    const nowMs = this.#nowMs();
    const reconcile = new Map<string, { execution: string; session: number }[]>();
    for (const { execution, row } of open) {
      // As it is now: it may have opened a session since the sweep read it, and have got this execution in that.
      const node = this.#sessions.row(row.node);
      const abandoned = abandonedFinish({ execution, session: row.session, node }, nowMs);
      if (abandoned !== null) {
        if (state.get<OpenRow>(keys.open(execution)) !== undefined) this.#takeFinish(null, abandoned);
      } else if (node?.session !== row.session) add(reconcile, row.node, { execution, session: row.session });
      else if (isFirst || isTimeToRepeat(nowMs - row.assignedMs)) add(this.#executes, row.node, execution);
    }
    for (const [node, executions] of reconcile) {
      for (const part of chunks(executions, EXECUTES_PER_MESSAGE)) {
        this.#options.toNode(node, { type: 'reconcile', executions: part });
      }
    }
  }

  #nowMs(): number {
    return this.#options.time.stampMs(this.#options.state.meta.loggedMs);
  }
}

/** At ages of one, two, four … sweeps: a long run is not spoken of every few seconds. */
function isTimeToRepeat(ageMs: number): boolean {
  const sweeps = Math.floor(ageMs / SWEEP_MS);
  return sweeps >= 1 && ((sweeps & (sweeps - 1)) === 0 || sweeps % 32 === 0);
}
