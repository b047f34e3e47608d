import type { Actor, ActorRef, AskOutcome, Reply } from '../../src/actors/actor.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { seededRandom } from '../../src/base/random.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { createDispatcherActor, type DispatcherMessage } from '../../src/dispatcher/dispatcher-actor.ts';
import type { FromNode, ToNode } from '../../src/executors/protocol.ts';
import type { Entry, ProposeAnswer, RaftAnswer, RaftEvent, RaftRequest } from '../../src/raft/raft-protocol.ts';
import { ClusterTime } from '../../src/scheduler/cluster-time.ts';
import { type Command, decodeCommand } from '../../src/scheduler/command.ts';
import type { StateEvent } from '../../src/scheduler/event.ts';
import type { Intent, Submission } from '../../src/scheduler/intent.ts';
import { keys, type NodeRow } from '../../src/scheduler/rows.ts';
import {
  type CompleteAnswer,
  createSchedulerActor,
  type SchedulerMessage,
} from '../../src/scheduler/scheduler-actor.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../src/scheduler/settings.ts';
import {
  createStateActor,
  type EventsMessage,
  type Progress,
  type StateMessage,
  type StoredAnswer,
} from '../../src/scheduler/state-actor.ts';
import {
  createSubmissionActor,
  type ForwardMessage,
  type SubmissionMessage,
  type SubmitAnswer,
} from '../../src/scheduler/submission-actor.ts';
import { Machine, makeSubmission, schedules } from './machine.ts';

/** A raft of one: what is proposed is committed at once, unless a test says otherwise. */
class StubRaft implements Actor<RaftRequest, RaftAnswer> {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  receive(message: RaftRequest, reply: Reply<RaftAnswer>): void {
    const server = this.#server;
    if (message.type === 'stored') server.storedIndex = message.index;
    if (message.type === 'applied') server.appliedIndexes.push(message.index);
    if (message.type === 'read') {
      if (server.holdsReads) server.readReplies.push(reply);
      else reply({ type: 'read', index: server.machine.state.meta.appliedIndex });
    }
    if (message.type !== 'propose') return;
    const command = decodeCommand(message.data);
    server.proposed.push(command);
    server.proposedAt.push(server.machine.state.meta.appliedIndex);
    server.proposedBytes.push(message.data.length);
    const code = server.refuse(command, message.data.length);
    if (code !== null) return reply({ type: 'refused', code, leader: null });
    const index = server.nextIndex();
    if (server.isMute) server.replies.push(reply);
    else reply({ type: 'accepted', index, term: server.term });
    const entry: Entry = { index, term: server.term, kind: 'command', data: message.data };
    if (server.isHolding) server.held.push(entry);
    else server.state.send({ type: 'committed', entries: [entry], commitIndex: entry.index });
  }
}

/** The consensus side of one server, but for raft: state, scheduler, dispatcher and submission on virtual time. */
export class Server {
  readonly machine = new Machine();
  readonly turns = new VirtualTurns();
  readonly system: ActorSystem;
  readonly state: ActorRef<StateMessage, StoredAnswer>;
  readonly scheduler: ActorRef<SchedulerMessage, CompleteAnswer>;
  readonly dispatcher: ActorRef<DispatcherMessage>;
  readonly submission: ActorRef<SubmissionMessage, SubmitAnswer>;
  /** What the backend heard. */
  readonly progress: Progress[] = [];
  /** What the actors said, in order. */
  readonly proposed: Command[] = [];
  readonly proposedBytes: number[] = [];
  /** What was applied when each was proposed. */
  readonly proposedAt: number[] = [];
  holdsReads = false;
  /** Of read indexes that were asked for meanwhile: the test answers them. */
  readonly readReplies: Reply<RaftAnswer>[] = [];
  /** How far each slice of applying came. */
  readonly appliedIndexes: number[] = [];
  readonly toNodes: { readonly node: string; readonly message: ToNode }[] = [];
  readonly toServers: { readonly server: string; readonly message: ForwardMessage }[] = [];
  readonly events: StateEvent[] = [];
  readonly failures: unknown[] = [];
  /** Entries that are appended and not committed. */
  readonly held: Entry[] = [];
  readonly replies: Reply<ProposeAnswer>[] = [];
  /** Appended, and not committed until `release`. */
  isHolding = false;
  /** Appended, and the proposer is not told. */
  isMute = false;
  refuse: (command: Command, bytes: number) => Extract<ProposeAnswer, { type: 'refused' }>['code'] | null = () => null;
  keepEvent: (event: StateEvent) => boolean = () => true;
  onApplied: () => void = () => {};
  storedIndex = 0;
  storageName = 'state';
  term = 1;
  #lastIndex = 0;

  constructor(options: { readonly settings?: Partial<Settings>; readonly voters?: readonly string[] } = {}) {
    const { machine } = this;
    this.system = new ActorSystem({
      thread: 'main',
      clock: machine.clock,
      random: seededRandom(1),
      log: silentLog,
      metrics: noMetrics,
      turns: this.turns,
      onStopProcess: (error) => this.failures.push(error),
    });
    const supervision = { type: 'stop-process' } as const;
    const raft = this.system.spawn<RaftRequest, RaftAnswer>({
      name: 'raft',
      supervision,
      create: () => new StubRaft(this),
    });
    const backend = this.system.spawn<EventsMessage | Progress>({
      name: 'backend',
      supervision,
      create: () => ({ receive: (message) => message.type === 'progress' && this.progress.push(message) }),
    });
    this.state = this.system.spawn<StateMessage, StoredAnswer>({
      name: 'state',
      supervision,
      create: createStateActor({
        state: machine.state,
        storageName: () => this.storageName,
        raft: () => raft,
        leaders: () => [this.scheduler, this.dispatcher],
        backend: () => backend,
        answering: () => [this.submission],
        following: () => [],
        onConfiguration: () => {},
        keepEvent: (event) => this.keepEvent(event),
        onApplied: (_, events) => {
          this.events.push(...events);
          this.onApplied();
        },
      }),
    });
    const { clock } = machine;
    const { voters = ['s1'] } = options;
    const time = new ClusterTime({ node: 's1', voters, clock, log: silentLog, metrics: noMetrics });
    this.scheduler = this.system.spawn<SchedulerMessage, CompleteAnswer>({
      name: 'scheduler',
      supervision,
      create: createSchedulerActor({
        state: machine.state,
        schedules,
        raft,
        time,
        genesis: { cluster: 'test', settings: { ...DEFAULT_SETTINGS, ...options.settings } },
      }),
    });
    this.dispatcher = this.system.spawn<DispatcherMessage>({
      name: 'dispatcher',
      supervision,
      create: createDispatcherActor({
        node: 's1',
        state: machine.state,
        raft,
        time,
        scheduler: this.scheduler,
        toNode: (node, message) => this.toNodes.push({ node, message }),
        toAllNodes: () => {},
        leaseMs: 5_000,
        marginMs: 2_000,
      }),
    });
    this.submission = this.system.spawn<SubmissionMessage, SubmitAnswer>({
      name: 'submission',
      supervision,
      create: createSubmissionActor({
        raft,
        node: 's1',
        state: machine.state,
        scheduler: this.scheduler,
        toServer: (server, message) => this.toServers.push({ server, message }),
      }),
    });
  }

  nextIndex(): number {
    this.#lastIndex = Math.max(this.#lastIndex, this.machine.state.meta.appliedIndex) + 1;
    return this.#lastIndex;
  }

  role(role: Partial<Extract<RaftEvent, { type: 'role' }>>): void {
    this.state.send({ type: 'role', role: 'follower', leader: null, isReady: false, term: this.term, ...role });
    this.settle();
  }

  lead(): void {
    this.term += 1;
    this.role({ role: 'leader', leader: 's1', isReady: true });
    this.advance(0);
  }

  /** What was held back is committed. */
  release(): void {
    this.isHolding = false;
    const entries = this.held.splice(0);
    const commitIndex = entries.at(-1)?.index;
    if (commitIndex !== undefined) this.state.send({ type: 'committed', entries, commitIndex });
    this.settle();
  }

  /** What was held back never gets committed: another leader wrote over it. */
  lose(): void {
    this.isHolding = false;
    this.#lastIndex -= this.held.splice(0).length;
  }

  settle(): void {
    this.turns.runAll();
    const [failure] = this.failures;
    if (failure !== undefined) throw failure;
  }

  /** Time passes; `beating` nodes say that they live every half second. */
  advance(delayMs: number, beating: readonly string[] = []): void {
    const { clock } = this.machine;
    const untilMs = clock.monotonic() + delayMs;
    let beatMs = clock.monotonic();
    this.settle();
    for (;;) {
      const nextMs = Math.min(
        clock.nextDueMs ?? Number.POSITIVE_INFINITY,
        beating.length > 0 ? beatMs : Number.POSITIVE_INFINITY,
      );
      if (nextMs > untilMs) break;
      if (beating.length > 0 && nextMs === beatMs) {
        clock.advance(Math.max(0, beatMs - clock.monotonic()));
        for (const node of beating) this.beat(node);
        beatMs += 500;
      } else clock.runNext();
      this.settle();
    }
    clock.advance(untilMs - clock.monotonic());
    this.settle();
  }

  hello(
    node: string,
    changes: {
      readonly boot?: number;
      readonly slots?: number;
      readonly tags?: Record<string, string>;
      readonly isServer?: boolean;
      readonly isDraining?: boolean;
    } = {},
  ): void {
    const { boot = 1, slots = 8, tags = {}, isServer = false, isDraining = false } = changes;
    const self = { node, boot, name: node, isServer, tags, slots, version: '', address: '', isDraining };
    this.from({ type: 'hello', ...self, ...this.times() });
    this.advance(0);
  }

  times(): { readonly sentAtMs: number; readonly wallMs: number } {
    const { clock } = this.machine;
    return { sentAtMs: clock.monotonic(), wallMs: clock.now() };
  }

  /** What is not given is as the registry has it. */
  beat(node: string, changes: Partial<Extract<FromNode, { readonly type: 'heartbeat' }>> = {}): void {
    const row = this.node(node);
    if (row === undefined) return;
    const { boot, session } = row;
    const load = { running: 0, outbox: 0, isDraining: false };
    this.from({ type: 'heartbeat', node, boot, session, ...load, ...this.times(), ...changes });
  }

  /** In its present session. */
  leave(node: string): void {
    const row = this.node(node);
    if (row !== undefined) this.from({ type: 'leave', node, boot: row.boot, session: row.session });
  }

  from(message: FromNode): void {
    this.dispatcher.send({ type: 'from-node', message });
    this.settle();
  }

  node(node: string): NodeRow | undefined {
    return this.machine.state.get<NodeRow>(keys.node(node));
  }

  /** What came of it so far; one array per call. */
  submit(
    intent: Intent,
    requestId = this.machine.nextRequest(),
    changes: Partial<Submission> = {},
    waitMs?: number,
  ): SubmitAnswer[] {
    const answers: SubmitAnswer[] = [];
    const submission = makeSubmission(intent, requestId, changes);
    const waiting = waitMs === undefined ? {} : { waitMs };
    this.submission.ask({ type: 'submit', submission, ...waiting }, 60_000, taking(answers));
    this.settle();
    return answers;
  }

  commands<Type extends Command['type']>(type: Type): Extract<Command, { type: Type }>[] {
    return this.proposed.filter((command): command is Extract<Command, { type: Type }> => command.type === type);
  }

  /** What one node was told, of one kind. */
  told<Type extends ToNode['type']>(node: string, type: Type): Extract<ToNode, { type: Type }>[] {
    return this.toNodes.flatMap((sent) =>
      sent.node === node && sent.message.type === type ? [sent.message as Extract<ToNode, { type: Type }>] : [],
    );
  }
}

function taking<Answer>(answers: Answer[]): (outcome: AskOutcome<Answer>) => void {
  return (outcome) => {
    if (outcome.type === 'answer') answers.push(outcome.answer);
  };
}
