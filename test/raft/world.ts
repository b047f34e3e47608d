import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import type { ActorRef } from '../../src/actors/actor.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock, type VirtualClockView } from '../../src/base/virtual-clock.ts';
import type { BallotFile } from '../../src/raft/ballot.ts';
import { decodeHead, type LogHead } from '../../src/raft/log-head.ts';
import { bootstrapLog, openLogStore } from '../../src/raft/log-open.ts';
import { HEAD_KEY } from '../../src/raft/log-opening.ts';
import { clusterHash } from '../../src/raft/log-record.ts';
import type { LogStore } from '../../src/raft/log-store.ts';
import { jointVoteResult } from '../../src/raft/quorum.ts';
import { createRaftActor, type RaftActorOptions, type RaftMessage } from '../../src/raft/raft-actor.ts';
import type {
  ConfigurationChange,
  Entry,
  RaftAnswer,
  RaftEvent,
  RaftStatus,
  SnapshotMeta,
  SnapshotPort,
} from '../../src/raft/raft-protocol.ts';
import { decodeMessage } from '../../src/raft/wire.ts';
import { MemoryDatabase, type MemoryStorage } from '../../src/store/memory-storage.ts';

export const CLUSTER = '7d0f7a52-6d3c-4f0e-9d57-1f6a4e1c2b3d';
const CHUNK_BYTES = 64;

export interface WorldOptions {
  readonly voters: number;
  /** Servers with an empty log, which nobody knows yet. Default 0. */
  readonly joiners?: number;
  readonly seed?: number;
  readonly network?: { readonly loss: number; readonly duplicate: number; readonly delayMsMax: number };
  readonly writeDelayMsMax?: number;
  /** The transport notices that nobody listens where a frame was sent, 4 ms to this later. Without: never. */
  readonly hintDelayMsMax?: number;
  readonly actor?: Partial<RaftActorOptions>;
  /** How far the durable state lags behind what is applied, in entries. */
  readonly stateLag?: number;
}

/** Raft servers with real actors, stores and shells over virtual clock, disks and network. */
export class World {
  readonly clock = new VirtualClock();
  readonly turns = new VirtualTurns();
  readonly random: Random;
  readonly nodes: Node[] = [];
  readonly options: WorldOptions;
  /** What each index was when somebody first applied it: the one history (I4, I7). */
  readonly history = new Map<number, { readonly term: number; readonly text: string }>();
  readonly leaders = new Map<number, string>();
  /** Index of the newest configuration that was applied. */
  configuredAt = 0;
  readonly cut = new Set<string>();
  frames = 0;
  /** A hash of all that was ever sent: equal for equal seeds. */
  digest = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = seededRandom(options.seed ?? 1);
    const names = Array.from({ length: options.voters + (options.joiners ?? 0) }, (_, position) => `n${position + 1}`);
    const founders = names.slice(0, options.voters);
    for (const name of names) this.nodes.push(new Node(this, name, founders.includes(name) ? founders : []));
  }

  async start(): Promise<this> {
    for (const node of this.nodes) await node.start();
    return this;
  }

  node(position: number): Node {
    return this.nodes[position - 1] as Node;
  }

  get leader(): Node | undefined {
    return this.nodes.find((node) => node.isUp && node.role?.isReady === true && node.role.role === 'leader');
  }

  settle(): void {
    this.turns.runAll();
  }

  advance(delayMs: number): void {
    const untilMs = this.clock.monotonic() + delayMs;
    this.settle();
    while ((this.clock.nextDueMs ?? Number.POSITIVE_INFINITY) <= untilMs) {
      this.clock.runNext();
      this.settle();
    }
    this.clock.advance(untilMs - this.clock.monotonic());
  }

  /** Until `isTrue`, or fails after a virtual minute. */
  advanceUntil(isTrue: () => boolean, what: string): void {
    for (let step = 0; step < 6_000 && !isTrue(); step += 1) this.advance(10);
    assert(isTrue(), `never happened: ${what}`);
  }

  electLeader(): Node {
    this.advanceUntil(() => this.leader !== undefined, 'a ready leader');
    return this.leader as Node;
  }

  transmit(from: string, to: string, channel: 'raft' | 'bulk', body: Uint8Array): void {
    this.frames += 1;
    this.digest = crc32(body, crc32(from + to, this.digest));
    if (channel === 'raft') this.checkPromise(from, to, body);
    const { loss, duplicate, delayMsMax } = this.options.network ?? { loss: 0, duplicate: 0, delayMsMax: 0 };
    const copies = this.random() < duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.random() < loss) continue;
      // A copy, as on a wire: nobody may change a frame that is on its way.
      const bytes = Uint8Array.from(body);
      this.clock.after(this.random() * delayMsMax, () => {
        const target = this.nodes.find((node) => node.name === to);
        if (this.cut.has(from) || this.cut.has(to)) return;
        target?.ref?.send({ type: 'frame', from, channel, body: bytes });
        if (channel === 'raft' && target?.isUp === false) this.#hint(from, to);
      });
    }
  }

  #hint(node: string, gone: string): void {
    const { hintDelayMsMax } = this.options;
    if (hintDelayMsMax === undefined) return;
    const source = this.nodes.find(({ name }) => name === node);
    this.clock.after(4 + this.random() * (hintDelayMsMax - 4), () =>
      source?.ref?.send({ type: 'unreachable', node: gone }),
    );
  }

  /** An answer that counts as a vote is on the wire only if its state is durable (I10). */
  checkPromise(from: string, to: string, body: Uint8Array): void {
    const message = decodeMessage(body, from, to, clusterHash(CLUSTER));
    assert(message !== undefined);
    if (message.type !== 'vote-answer' && message.type !== 'append-answer') return;
    const head = this.nodes.find((node) => node.name === from)?.durableHead;
    assert(head !== undefined);
    if (message.type === 'append-answer' && !message.isRejected) {
      assert(head.durable.index >= message.index, `${from} acknowledged ${message.index} before it was durable`);
    } else if (message.type === 'vote-answer' && message.isGranted && !message.isPreVote) {
      assert(
        head.term > message.term || (head.term === message.term && head.vote === to),
        `${from} voted, not durably`,
      );
    }
  }

  /**
   * What was ever applied is durable on a quorum, crashed servers included (I5): of the newest configuration that was
   * applied, or of a later one, which may already be in force. And the logs match (I3).
   */
  checkLogs(): void {
    const newest = this.history.size;
    const term = this.history.get(newest)?.term;
    const stores = this.nodes.flatMap((node) => (node.store === undefined ? [] : [node.store]));
    const isHolder = (name: string): true | undefined => {
      const store = this.nodes.find((node) => node.name === name)?.store;
      if (store === undefined) return undefined;
      return newest < store.base.index || (newest <= store.lastIndex && store.term(newest) === term) || undefined;
    };
    const later = stores.flatMap((store) => store.configurations.filter(({ index }) => index >= this.configuredAt));
    const isHeld = later.some(({ configuration }) => jointVoteResult(configuration, isHolder) === 'won');
    assert(newest === 0 || isHeld, `entry ${newest} is not durable on a majority`);
    for (const left of stores) {
      for (const right of stores) {
        const index = Math.min(left.lastIndex, right.lastIndex);
        if (left === right || index < left.base.index || index < right.base.index) continue;
        if (left.term(index) === right.term(index)) assert.equal(left.chain(index), right.chain(index));
      }
    }
  }

  /** Everybody that applied an index applied the same (I4, I7). */
  recordApplied(entry: Entry): void {
    const text = `${entry.kind}:${Buffer.from(entry.data).toString('base64')}`;
    const known = this.history.get(entry.index);
    if (known === undefined) assert(entry.index === this.history.size + 1);
    if (known === undefined && entry.kind === 'configuration') this.configuredAt = entry.index;
    if (known === undefined) this.history.set(entry.index, { term: entry.term, text });
    else assert.deepEqual({ term: entry.term, text }, known, `index ${entry.index} was applied with two contents`);
  }

  recordLeader(term: number, name: string): void {
    const known = this.leaders.get(term);
    assert(known === undefined || known === name, `term ${term} has two leaders: ${known} and ${name}`);
    this.leaders.set(term, name);
  }
}

/** A replicated state: the applied commands, and what of it would survive a crash. */
interface State {
  readonly meta: SnapshotMeta;
  readonly commands: readonly string[];
}

export class Node {
  readonly name: string;
  readonly database: MemoryDatabase;
  ref: ActorRef<RaftMessage, RaftAnswer> | undefined;
  store: LogStore | undefined;
  role: Extract<RaftEvent, { type: 'role' }> | undefined;
  configuration: Extract<RaftEvent, { type: 'configuration' }> | undefined;
  /** Changes what the log store says of itself, before it is used. */
  onOpen: (store: LogStore) => void = () => {};
  readonly roles: string[] = [];
  state: State = { meta: { index: 0, term: 0 }, commands: [] };
  durable: State = this.state;
  holdsApplied = false;
  installs = 0;
  readonly stops: unknown[] = [];
  readonly #world: World;
  readonly #voters: readonly string[];
  readonly #clock: VirtualClockView;
  #system: ActorSystem | undefined;
  #maxTerm = 0;
  #storage: MemoryStorage | undefined;

  constructor(world: World, name: string, voters: readonly string[]) {
    this.#world = world;
    this.name = name;
    this.#voters = voters;
    this.#clock = world.clock.view();
    this.database = new MemoryDatabase({
      label: name,
      clock: world.clock,
      writeDelayMs: () => world.random() * (world.options.writeDelayMsMax ?? 0),
    });
  }

  /** Replaced a moment later, if the node lives until then. */
  readonly ballot: BallotFile = {
    read: () => Promise.resolve(this.#ballotBytes),
    replace: (content, done) => {
      this.#clock.after(0, () => {
        this.#ballotBytes = content;
        done(null);
      });
    },
  };
  #ballotBytes: Uint8Array | undefined;

  get isUp(): boolean {
    return this.ref !== undefined;
  }

  /** As it would be found after a crash now. */
  get durableHead(): LogHead | undefined {
    const bytes = this.#storage?.get(HEAD_KEY);
    const head = bytes === undefined ? undefined : decodeHead(clusterHash(CLUSTER), bytes);
    return head === 'foreign' ? undefined : head;
  }

  async start(): Promise<void> {
    const storage = this.database.open();
    this.#storage = storage;
    if (this.#voters.length > 0) await this.#drive(bootstrapLog(storage, this.ballot, CLUSTER, this.#voters));
    this.state = this.durable;
    const opening = openLogStore({
      journal: storage,
      ballot: this.ballot,
      clusterUuid: CLUSTER,
      state: this.durable.meta,
    });
    const store = await this.#drive(opening);
    this.store = store;
    this.onOpen(store);
    assert(store.hardState.term >= this.#maxTerm, 'the durable term went back');
    this.#maxTerm = store.hardState.term;
    this.#spawn(store);
  }

  crash(mode: 'prefix' | 'any-subset' = 'any-subset'): void {
    this.#clock.dropTimers();
    this.#system?.stopAll();
    this.ref = undefined;
    this.#system = undefined;
    this.database.crash(this.#world.random, mode);
  }

  ask(message: RaftMessage): { answer?: RaftAnswer } {
    const box: { answer?: RaftAnswer } = {};
    this.ref?.ask(message, 60_000, (outcome) => {
      if (outcome.type === 'answer') box.answer = outcome.answer;
    });
    return box;
  }

  propose(text: string): { answer?: RaftAnswer } {
    return this.ask({ type: 'propose', data: Buffer.from(text), class: 'client' });
  }

  configure(change: ConfigurationChange): { answer?: RaftAnswer } {
    return this.ask({ type: 'configure', change });
  }

  /** Its index is checked when it comes: not below what anybody had applied when it was asked (I13). */
  read(): { answer?: RaftAnswer } {
    const box: { answer?: RaftAnswer } = {};
    const floor = this.#world.history.size;
    this.ref?.ask({ type: 'read' }, 60_000, (outcome) => {
      if (outcome.type !== 'answer') return;
      box.answer = outcome.answer;
      const index = outcome.answer.type === 'read' ? outcome.answer.index : floor;
      assert(index >= floor, `${this.name} may read at ${index}, but ${floor} was applied before`);
    });
    return box;
  }

  status(): RaftStatus {
    const box = this.ask({ type: 'status' });
    this.#world.settle();
    assert(box.answer?.type === 'status');
    return box.answer;
  }

  applied(index: number): void {
    this.ref?.send({ type: 'applied', index });
    const lag = this.#world.options.stateLag ?? 0;
    if (this.state.meta.index >= this.durable.meta.index + lag) {
      this.durable = this.state;
      this.ref?.send({ type: 'stored', index: this.durable.meta.index });
    }
  }

  #spawn(store: LogStore): void {
    const world = this.#world;
    const system = new ActorSystem({
      thread: this.name,
      clock: this.#clock,
      random: world.random,
      log: silentLog,
      metrics: noMetrics,
      turns: world.turns,
      onStopProcess: (error) => {
        this.stops.push(error);
        this.ref = undefined;
      },
    });
    this.#system = system;
    const listener = system.spawn<RaftEvent>({
      name: 'state',
      supervision: { type: 'stop-process' },
      create: () => ({ receive: (event) => this.#listen(event) }),
    });
    this.ref = system.spawn<RaftMessage, RaftAnswer>({
      name: 'raft',
      supervision: { type: 'stop-process' },
      create: createRaftActor({
        nodeId: this.name,
        logStore: store,
        appliedIndex: this.durable.meta.index,
        send: (to, channel, body) => world.transmit(this.name, to, channel, body),
        listener,
        snapshotPort: this.#snapshotPort(),
        metrics: noMetrics,
        log: silentLog,
        ...world.options.actor,
      }),
    });
  }

  #listen(event: RaftEvent): void {
    switch (event.type) {
      case 'committed':
        for (const entry of event.entries) this.#apply(entry);
        if (!this.holdsApplied) this.applied(this.state.meta.index);
        return;
      case 'role':
        this.role = event;
        this.roles.push(`${event.role}@${event.term}${event.isReady ? ' ready' : ''}`);
        if (event.role === 'leader') this.#lead(event.term);
        return;
      case 'installed':
        this.installs += 1;
        assert.deepEqual({ index: event.index, term: event.term }, this.state.meta);
        return;
      case 'configuration':
        this.configuration = event;
    }
  }

  #lead(term: number): void {
    this.#world.recordLeader(term, this.name);
    const newest = Math.max(0, ...this.#world.history.keys());
    if (this.role?.isReady === true || newest === 0) return;
    const isThere = newest < (this.store?.base.index ?? 0) || newest <= (this.store?.lastIndex ?? 0);
    assert(isThere, `${this.name} leads term ${term} without committed entry ${newest} (I6)`);
  }

  #apply(entry: Entry): void {
    assert.equal(entry.index, this.state.meta.index + 1, `${this.name} was handed a wrong entry`);
    const isDurable = (this.durableHead?.durable.index ?? 0) >= entry.index;
    assert(isDurable, `${this.name} was handed entry ${entry.index} before it was durable there`);
    this.#world.recordApplied(entry);
    const commands =
      entry.kind === 'command' ? [...this.state.commands, Buffer.from(entry.data).toString()] : this.state.commands;
    this.state = { meta: { index: entry.index, term: entry.term }, commands };
  }

  #snapshotPort(): SnapshotPort {
    return {
      open: (done) => {
        const { meta, commands } = this.durable;
        const bytes = Buffer.from(JSON.stringify(commands));
        let offset = 0;
        const next = (give: (error: Error | null, chunk: Uint8Array | null) => void): void => {
          const chunk = offset >= bytes.length ? null : bytes.subarray(offset, offset + CHUNK_BYTES);
          offset += CHUNK_BYTES;
          give(null, chunk);
        };
        done(null, { meta, next, close: () => {} });
      },
      receive: (meta, done) => {
        const chunks: Uint8Array[] = [];
        done(null, {
          write: (chunk, written) => {
            chunks.push(Uint8Array.from(chunk));
            written(null);
          },
          finish: (finished) => {
            this.#clock.after(1, () => {
              this.state = { meta, commands: JSON.parse(Buffer.concat(chunks).toString()) as string[] };
              this.durable = this.state;
              finished(null);
            });
          },
          abort: () => {},
        });
      },
    };
  }

  /** Awaits while virtual time runs, as the start of a node does. */
  async #drive<Result>(promise: Promise<Result>): Promise<Result> {
    let isDone = false;
    const watched = promise.finally(() => {
      isDone = true;
    });
    watched.catch(() => {});
    for (let step = 0; step < 100_000 && !isDone; step += 1) {
      this.#world.advance(1);
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    }
    return watched;
  }
}
