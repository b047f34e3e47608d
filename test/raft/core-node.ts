import assert from 'node:assert/strict';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { chainEntry } from '../../src/raft/chain.ts';
import { decodeConfiguration, NO_CONFIGURATION, type PlacedConfiguration } from '../../src/raft/configuration.ts';
import { limitBytes } from '../../src/raft/log.ts';
import { Raft } from '../../src/raft/raft.ts';
import type { RaftLimits } from '../../src/raft/state.ts';
import type { AppendWork, HardState, LogEntry, LogPoint, Message, Ready, StableLog } from '../../src/raft/types.ts';

/** Entries 1, 2, … with these terms; the data says index and term, so equal places hold equal entries. */
export function entriesOf(terms: readonly number[], firstIndex = 1, chainBefore = 0): LogEntry[] {
  let chain = chainBefore;
  return terms.map((term, position) => {
    const index = firstIndex + position;
    const entry = chainEntry(chain, index, term, 'command', Buffer.from(`${index}/${term}`));
    chain = entry.chain;
    return entry;
  });
}

export const ORIGIN: LogPoint = { index: 0, term: 0, chain: 0 };

/** A durable log that is an array: the twin of `LogStore` for tests of the core. */
export class MemoryLog implements StableLog {
  base: LogPoint = ORIGIN;
  entries: LogEntry[];
  /** Entries below are not in memory. */
  cachedFrom = 0;
  hardState: HardState = { term: 0, vote: null, commit: 0 };
  baseConfiguration: PlacedConfiguration;

  constructor(entries: readonly LogEntry[] = [], baseConfiguration = NO_CONFIGURATION) {
    this.entries = [...entries];
    this.baseConfiguration = baseConfiguration;
  }

  get configurations(): readonly PlacedConfiguration[] {
    const placed = [this.baseConfiguration];
    for (const { kind, data, index } of this.entries) {
      if (kind !== 'configuration') continue;
      const configuration = decodeConfiguration(data);
      assert(configuration !== undefined);
      placed.push({ configuration, index });
    }
    return placed;
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  term(index: number): number {
    return this.#point(index).term;
  }

  chain(index: number): number {
    return this.#point(index).chain;
  }

  slice(low: number, high: number, bytesMax: number): readonly LogEntry[] | undefined {
    return low < this.cachedFrom ? undefined : this.read(low, high, bytesMax);
  }

  read(low: number, high: number, bytesMax: number): readonly LogEntry[] {
    const start = this.base.index + 1;
    return limitBytes(this.entries, low - start, Math.min(high - start, this.entries.length), bytesMax);
  }

  append(work: AppendWork): void {
    if (work.reset !== null) {
      this.base = work.reset.point;
      this.baseConfiguration = work.reset.configuration;
      this.entries = [];
    }
    const first = work.entries[0];
    if (first !== undefined)
      this.entries = [...this.entries.slice(0, first.index - this.base.index - 1), ...work.entries];
    if (work.hardState !== null) this.hardState = work.hardState;
  }

  compact(index: number): void {
    const point = this.#point(index);
    this.baseConfiguration = this.configurations.findLast((placed) => placed.index <= index) ?? NO_CONFIGURATION;
    this.entries = this.entries.slice(index - this.base.index);
    this.base = { index, term: point.term, chain: point.chain };
  }

  #point(index: number): LogPoint {
    const point = index === this.base.index ? this.base : this.entries[index - this.base.index - 1];
    assert(point !== undefined, `no entry ${index}`);
    return point;
  }
}

export interface CoreOptions {
  /** Of the configuration before the first entry; none is a server that has just joined. */
  readonly voters?: readonly string[];
  readonly isWounded?: boolean;
  readonly entries?: readonly LogEntry[];
  readonly hardState?: Partial<HardState>;
  readonly limits?: Partial<RaftLimits>;
  readonly random?: Random;
}

/** A core with its durable log. `flush` does all its work at once, as an ideal shell would. */
export class CoreNode {
  readonly id: string;
  readonly log: MemoryLog;
  raft: Raft;
  readonly applied: LogEntry[] = [];
  readonly #options: CoreOptions;
  #lives = 0;

  constructor(id: string, options: CoreOptions = {}) {
    this.id = id;
    this.#options = options;
    const voters = [...(options.voters ?? ['1', '2', '3'])].sort();
    this.log = new MemoryLog(options.entries, { configuration: { voters, outgoing: [], learners: [] }, index: 0 });
    const term = this.log.lastIndex === 0 ? 0 : this.log.term(this.log.lastIndex);
    this.log.hardState = { term, vote: null, commit: 0, ...options.hardState };
    this.raft = this.#open(options.isWounded ?? false);
  }

  /** A crash and a new start: what is durable is left, and of it the entries up to `lastIndex` if it is wounded. */
  restart(lastIndex?: number): void {
    const isWounded = lastIndex !== undefined;
    if (isWounded) {
      this.log.entries = this.log.entries.filter(({ index }) => index <= lastIndex);
      const commit = Math.min(this.log.hardState.commit, this.log.lastIndex);
      this.log.hardState = { ...this.log.hardState, commit };
    }
    this.applied.length = 0;
    this.raft = this.#open(isWounded);
  }

  #open(isWounded: boolean): Raft {
    const { random = seededRandom(Number(this.id) || 1), limits = {} } = this.#options;
    this.#lives += 1;
    return new Raft({
      id: this.id,
      log: this.log,
      hardState: this.log.hardState,
      appliedIndex: this.log.base.index,
      random,
      limits,
      isWounded,
      firstReadId: this.#lives * 100 - 99,
    });
  }

  get state(): Raft['state'] {
    return this.raft.state;
  }

  ready(append = true): Ready {
    return this.raft.ready({ append, committedBytes: 1e9, committedEntries: 1e9 });
  }

  /** Makes one write durable and gives the answers that waited for it, those to itself stepped already. */
  persist(work: AppendWork): Message[] {
    this.log.append(work);
    this.raft.persisted(work.receipt);
    const others: Message[] = [];
    for (const message of work.answers) {
      if (message.to === this.id) this.raft.step(message);
      else others.push(message);
    }
    return others;
  }

  apply(entries: readonly LogEntry[]): void {
    const last = entries[entries.length - 1];
    if (last === undefined) return;
    this.applied.push(...entries);
    this.raft.applied(last.index);
  }

  /** All messages that leave once everything is durable. */
  flush(): Message[] {
    const sent: Message[] = [];
    for (;;) {
      const ready = this.ready();
      sent.push(...ready.messages);
      this.apply(ready.committed);
      for (const work of ready.reads) this.raft.entriesRead(work, this.log.read(work.low, work.high, work.bytesMax));
      if (ready.append !== null) sent.push(...this.persist(ready.append));
      else if (ready.committed.length === 0 && ready.messages.length === 0 && ready.reads.length === 0) return sent;
    }
  }

  tick(count: number): void {
    for (let tick = 0; tick < count; tick += 1) this.raft.tick();
  }

  /** Ticks until it would start an election on its own. */
  tickElection(): void {
    const { state } = this;
    this.tick(Math.max(1, state.electionTimeout - state.electionElapsed));
  }
}

/** Delivers everything until nobody has anything to say. */
export class CoreNetwork {
  readonly nodes: ReadonlyMap<string, CoreNode>;
  isDropped: (message: Message) => boolean = () => false;

  constructor(nodes: readonly CoreNode[]) {
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
  }

  node(id: string): CoreNode {
    const node = this.nodes.get(id);
    assert(node !== undefined);
    return node;
  }

  settle(): void {
    for (let round = 0; round < 10_000; round += 1) {
      const messages = [...this.nodes.values()].flatMap((node) => node.flush());
      if (messages.length === 0) return;
      for (const message of messages) if (!this.isDropped(message)) this.nodes.get(message.to)?.raft.step(message);
    }
    assert.fail('the network never falls silent');
  }
}

export function network(count: number, options: CoreOptions | ((id: string) => CoreOptions) = {}): CoreNetwork {
  const voters = Array.from({ length: count }, (_, position) => `${position + 1}`);
  return new CoreNetwork(
    voters.map((id) => new CoreNode(id, { voters, ...(typeof options === 'function' ? options(id) : options) })),
  );
}

/** A core that has just won an election and whose no-op is durable on itself only. */
export function leaderOf(options: CoreOptions = {}): CoreNode {
  const node = new CoreNode('1', options);
  const voters = options.voters ?? ['1', '2', '3'];
  node.raft.campaign();
  for (const isPreVote of [true, false]) {
    node.flush();
    const term = isPreVote ? node.state.term + 1 : node.state.term;
    for (const from of voters) {
      if (from === '1' || node.state.role === 'leader') continue;
      if (isPreVote !== (node.state.role === 'pre-candidate')) continue;
      node.raft.step({ type: 'vote-answer', from, to: '1', term, isPreVote, isGranted: true });
    }
  }
  assert.equal(node.state.role, 'leader');
  return node;
}
