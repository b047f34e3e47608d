import assert from 'node:assert/strict';
import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';
import type { PlacedConfiguration } from '../../src/raft/configuration.ts';
import type { ConfigurationChange } from '../../src/raft/raft-protocol.ts';
import type { RaftLimits } from '../../src/raft/state.ts';
import type { AppendWork, LogPoint, Message, Ready } from '../../src/raft/types.ts';
import { CoreNode } from './core-node.ts';

interface Snapshot {
  readonly type: 'snapshot';
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly point: LogPoint;
  readonly configuration: PlacedConfiguration;
}

/** Frames carry who sent them in which life, and are dropped where that is over, as the envelope does. */
interface Frame {
  readonly content: Message | Snapshot;
  readonly fromLife: number;
  readonly toLife: number;
}

export interface CoreWorldOptions {
  readonly seed: number;
  readonly voters: number;
  readonly joiners: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly limits: Partial<RaftLimits>;
}

/**
 * Cores alone, without shells: each step of each is drawn from the seed, so a second runs thousands of them. Writes
 * become durable in order and any time later, messages come late, twice, in any order or not at all. What must always
 * hold is checked after each step: one leader a term, one history, a leader that has all of it, no stale read.
 */
export class CoreWorld {
  readonly nodes = new Map<string, CoreNode>();
  readonly random: Random;
  readonly ids: readonly string[];
  /** What was committed at each index, by whoever said so first. */
  readonly history: { readonly term: number; readonly chain: number }[] = [];
  counts = { reads: 0, changes: 0, wounds: 0, heals: 0, leaders: 0, snapshots: 0, joint: 0 };
  loss: number;
  duplicate: number;
  /** Their frames get nowhere; they go on by themselves. */
  readonly isolated = new Set<string>();
  #frames: Frame[] = [];
  readonly #writes = new Map<string, AppendWork[]>();
  readonly #lives = new Map<string, number>();
  readonly #checked = new Map<string, number>();
  readonly #leaders = new Map<number, string>();
  /** By node and read: what was committed anywhere when it began. */
  readonly #reads = new Map<string, number>();

  constructor(options: CoreWorldOptions) {
    const { seed, voters, joiners, loss, duplicate, limits } = options;
    this.random = seededRandom(seed);
    this.loss = loss;
    this.duplicate = duplicate;
    this.ids = Array.from({ length: voters + joiners }, (_, position) => `${position + 1}`);
    const founders = this.ids.slice(0, voters);
    for (const id of this.ids) {
      const own = founders.includes(id) ? founders : [];
      this.nodes.set(id, new CoreNode(id, { voters: own, limits, random: this.random }));
      this.#writes.set(id, []);
      this.#lives.set(id, 1);
    }
  }

  node(id: string): CoreNode {
    const node = this.nodes.get(id);
    assert(node !== undefined);
    return node;
  }

  pick(): CoreNode {
    return this.node(this.ids[randomInteger(this.random, 0, this.ids.length - 1)] as string);
  }

  /** All that believe to lead, the newest first. */
  get leaders(): readonly CoreNode[] {
    const leaders = [...this.nodes.values()].filter(({ state }) => state.role === 'leader');
    return leaders.sort((left, right) => right.state.term - left.state.term);
  }

  get leader(): CoreNode | undefined {
    return this.leaders[0];
  }

  /** One message, if there is one: any of them, or the oldest. */
  deliver(isInOrder = false): boolean {
    const position = isInOrder ? 0 : randomInteger(this.random, 0, this.#frames.length - 1);
    const frame = this.#frames[position];
    if (frame === undefined) return false;
    if (this.random() >= this.duplicate) this.#frames.splice(position, 1);
    const { from, to } = frame.content;
    const isOfThisLife = frame.fromLife === this.#lives.get(from) && frame.toLife === this.#lives.get(to);
    const isCut = this.isolated.has(from) || this.isolated.has(to);
    if (isOfThisLife && !isCut && this.random() >= this.loss) {
      if (frame.content.type === 'snapshot') this.#install(frame.content);
      else this.node(to).raft.step(frame.content);
    } else this.#lose(frame);
    this.check(this.node(to));
    return true;
  }

  ready(node: CoreNode): boolean {
    const ready = node.ready(this.random() < 0.8);
    for (const message of ready.messages) this.#send(message);
    if (ready.append !== null) this.#writes.get(node.id)?.push(ready.append);
    node.apply(ready.committed);
    for (const work of ready.reads) node.raft.entriesRead(work, node.log.read(work.low, work.high, work.bytesMax));
    for (const peer of ready.snapshots) this.#sendSnapshot(node, peer);
    for (const { id, index } of ready.readResults) if (index !== null) this.#answered(node, id, index);
    if (ready.hasHealed) {
      node.raft.healed();
      this.counts.heals += 1;
    }
    this.check(node);
    return isSomething(ready);
  }

  persist(node: CoreNode): boolean {
    const work = this.#writes.get(node.id)?.shift();
    if (work === undefined) return false;
    for (const message of node.persist(work)) this.#send(message);
    this.check(node);
    return true;
  }

  tick(node: CoreNode): void {
    node.raft.tick();
    this.check(node);
  }

  read(node: CoreNode): void {
    const result = node.raft.read();
    if (result.type === 'asked') this.#reads.set(this.#readKey(node, result.id), this.history.length);
  }

  configure(node: CoreNode, change: ConfigurationChange): void {
    if (node.raft.configure(change).type === 'configured') this.counts.changes += 1;
    this.check(node);
  }

  /** Writes that are not durable are lost. With `cut` the log has lost what lies above as well, and says so. */
  restart(node: CoreNode, cut?: number): void {
    this.#writes.set(node.id, []);
    this.#lives.set(node.id, (this.#lives.get(node.id) ?? 0) + 1);
    this.#checked.set(node.id, 0);
    const isWounded = node.state.isWounded || cut !== undefined;
    node.restart(isWounded ? (cut ?? node.log.lastIndex) : undefined);
    if (cut !== undefined) this.counts.wounds += 1;
  }

  check(node: CoreNode): void {
    const { role, term, log } = node.state;
    if (role === 'leader' && this.#leaders.get(term) !== node.id) {
      assert(!this.#leaders.has(term), `two leaders in term ${term}`);
      this.#leaders.set(term, node.id);
      this.counts.leaders += 1;
      const newest = this.history.length;
      const isThere = newest <= log.base.index || log.term(newest) === this.history[newest - 1]?.term;
      assert(isThere, `${node.id} leads term ${term} without committed entry ${newest}`);
    }
    if (role === 'leader' && log.configurations.latest.configuration.outgoing.length > 0) this.counts.joint += 1;
    const from = Math.max(this.#checked.get(node.id) ?? 0, log.base.index);
    for (let index = from + 1; index <= log.committed; index += 1) {
      const { term: entryTerm, chain } = log.point(index);
      const known = this.history[index - 1];
      if (known === undefined && role === 'leader') this.#checkQuorum(node, index, entryTerm);
      if (known === undefined) this.history.push({ term: entryTerm, chain });
      else assert.deepEqual({ term: entryTerm, chain }, known, `${node.id} commits another entry ${index}`);
    }
    this.#checked.set(node.id, log.committed);
  }

  /** A leader commits what is durable on a majority of each side (I5), or was, where it cannot know of a wound yet. */
  #checkQuorum(leader: CoreNode, index: number, term: number): void {
    const { voters, outgoing } = leader.state.electorate;
    const isHolder = (id: string): boolean => {
      const { log, state } = this.node(id);
      if (state.isWounded) return leader.state.progress.get(id)?.isWounded === false;
      return index < log.base.index || (index <= log.lastIndex && log.term(index) === term);
    };
    for (const side of [voters, outgoing]) {
      const isQuorum = side.length === 0 || side.filter(isHolder).length * 2 > side.length;
      assert(isQuorum, `${leader.id} commits ${index} without a majority of ${side}`);
    }
  }

  #send(message: Message): void {
    this.#push(message);
  }

  #push(content: Message | Snapshot): void {
    const toLife = this.#lives.get(content.to);
    const fromLife = this.#lives.get(content.from);
    assert(toLife !== undefined && fromLife !== undefined);
    this.#frames.push({ content, fromLife, toLife });
    // Those that wait longest are lost.
    const excess = Math.max(0, this.#frames.length - FRAMES_MAX);
    for (const frame of this.#frames.splice(0, excess)) this.#lose(frame);
  }

  /** A shell notices when a snapshot of its own does not arrive. */
  #lose({ content, fromLife }: Frame): void {
    const { type, from, to } = content;
    if (type === 'snapshot' && fromLife === this.#lives.get(from)) this.node(from).raft.snapshotSent(to, 0, false);
  }

  #sendSnapshot(node: CoreNode, peer: string): void {
    const { log, term } = node.state;
    const index = Math.max(log.base.index, Math.min(log.applied, log.stableIndex));
    const configuration = log.configurations.at(index);
    this.#push({ type: 'snapshot', from: node.id, to: peer, term, point: log.point(index), configuration });
  }

  #install({ from, to, term, point, configuration }: Snapshot): void {
    const { raft, state } = this.node(to);
    if (state.term === term && state.leader === from) {
      if (raft.beginInstall(point)) {
        this.counts.snapshots += 1;
        raft.restored(point, configuration);
      } else raft.answerUselessSnapshot();
    }
    this.node(from).raft.snapshotSent(to, point.index, true);
  }

  #answered(node: CoreNode, id: number, index: number): void {
    const floor = this.#reads.get(this.#readKey(node, id));
    assert(floor === undefined || index >= floor, `${node.id} reads at ${index}, but ${floor} was committed before`);
    this.counts.reads += 1;
  }

  #readKey(node: CoreNode, id: number): string {
    return `${node.id}/${this.#lives.get(node.id)}/${id}`;
  }
}

function isSomething({ messages, append, committed, readResults, snapshots, hasHealed }: Ready): boolean {
  return append !== null || hasHealed || [messages, committed, readResults, snapshots].some((list) => list.length > 0);
}

const FRAMES_MAX = 100;
