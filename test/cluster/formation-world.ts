/**
 * Nodes that look for their cluster, in one thread: a hall that loses, doubles, delays and reorders, directories whose
 * writes take time, lives that crash at any moment, all on one line of virtual time and from one source of randomness.
 */
import assert from 'node:assert/strict';
import { type Random, randomInteger } from '../../src/base/random.ts';
import type { Log } from '../../src/base/telemetry.ts';
import { VirtualClock, type VirtualClockView } from '../../src/base/virtual-clock.ts';
import { type Formed, formOrJoin } from '../../src/cluster/formation.ts';
import type { Hall, Word } from '../../src/cluster/hall.ts';
import { type Identity, type IdentityFiles, openIdentity } from '../../src/cluster/identity.ts';

export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  /** Shares of the words. */
  loss = 0;
  duplicates = 0;
  delayMsMax = 1;
  writeDelayMsMax = 2;
  isHallOpen = true;
  /** Pairs of nodes, as `from to` of their names, of which the second does not hear the first. */
  readonly cuts = new Set<string>();
  /** Called with each word that is said. */
  onSaid: (word: Word) => void = () => {};
  readonly #visitors = new Set<Visitor>();

  constructor(random: Random) {
    this.random = random;
  }

  mint(): string {
    return Array.from({ length: 32 }, () => randomInteger(this.random, 0, 15).toString(16)).join('');
  }

  enter(name: string, nodeId: string, boot: number): Visitor {
    const visitor = new Visitor(name, { from: nodeId, fromBoot: boot }, this, (word) => this.#carry(visitor, word));
    this.#visitors.add(visitor);
    return visitor;
  }

  /** Moves time on, and lets everything that follows from a timer happen before the next one. */
  async advance(delayMs: number): Promise<void> {
    const untilMs = this.clock.monotonic() + delayMs;
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const dueMs = this.clock.nextDueMs;
      if (dueMs === undefined || dueMs > untilMs) break;
      this.clock.runNext();
    }
    this.clock.advance(untilMs - this.clock.monotonic());
  }

  async until(isReached: () => boolean, timeoutMs = 60_000): Promise<void> {
    const untilMs = this.clock.monotonic() + timeoutMs;
    while (!isReached()) {
      assert(this.clock.monotonic() < untilMs, `not reached within ${timeoutMs} ms`);
      await this.advance(10);
    }
  }

  #carry(speaker: Visitor, word: Word): void {
    if (!this.isHallOpen) return;
    this.onSaid(word);
    for (const visitor of this.#visitors) {
      if (this.cuts.has(`${speaker.name} ${visitor.name}`)) continue;
      const copies = this.random() < this.loss ? 0 : this.random() < this.duplicates ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        const delayMs = visitor === speaker ? 0 : this.random() * this.delayMsMax;
        this.clock.after(delayMs, () => visitor.hear(word));
      }
    }
  }
}

class Visitor implements Hall {
  readonly name: string;
  readonly #who: Omit<Word, 'body'>;
  readonly #world: World;
  readonly #carry: (word: Word) => void;
  #listener: ((word: Word) => void) | undefined;
  /** Its process stands still: it neither speaks nor hears. */
  isPaused = false;
  #isInside = true;

  constructor(name: string, who: Omit<Word, 'body'>, world: World, carry: (word: Word) => void) {
    this.name = name;
    this.#who = who;
    this.#world = world;
    this.#carry = carry;
  }

  get isOpen(): boolean {
    return this.#world.isHallOpen;
  }

  say(body: Uint8Array): void {
    if (this.#isInside && !this.isPaused) this.#carry({ ...this.#who, body });
  }

  onWord(listener: (word: Word) => void): void {
    this.#listener = listener;
  }

  hear(word: Word): void {
    if (this.#isInside && !this.isPaused && this.#world.isHallOpen) this.#listener?.(word);
  }

  close(): Promise<void> {
    this.#isInside = false;
    return Promise.resolve();
  }
}

/** A data directory. What was not done when its node crashed is done or not, as the dice fall. */
export class Directory implements IdentityFiles {
  readonly label: string;
  content: Uint8Array | undefined;
  readonly #world: World;
  #writing: (() => void) | undefined;

  constructor(label: string, world: World, content?: Uint8Array) {
    this.label = label;
    this.#world = world;
    this.content = content;
  }

  /** What it holds now. */
  get identity(): Identity | undefined {
    return this.content === undefined ? undefined : JSON.parse(new TextDecoder().decode(this.content));
  }

  copy(label: string): Directory {
    return new Directory(label, this.#world, this.content);
  }

  storageNames(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  readFile(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.content);
  }

  replaceFile(_name: string, content: Uint8Array): Promise<void> {
    assert(this.#writing === undefined, 'two writes at once');
    return new Promise((resolve) => {
      const write = () => {
        this.content = content;
      };
      this.#writing = write;
      this.#world.clock.after(this.#world.random() * this.#world.writeDelayMsMax, () => {
        if (this.#writing !== write) return;
        this.#writing = undefined;
        write();
        resolve();
      });
    });
  }

  crash(): void {
    const writing = this.#writing;
    this.#writing = undefined;
    if (this.#world.random() < 0.5) writing?.();
  }
}

export interface NodeWanted {
  readonly name: string;
  readonly isServer?: boolean;
  readonly expect?: number | null;
  readonly clusterName?: string;
  readonly directory?: Directory;
}

/** A node through all its lives. */
export class TestNode {
  readonly name: string;
  directory: Directory;
  /** Of the present life. */
  formed: Formed | undefined;
  error: unknown;
  mustStop: unknown;
  isUp = false;
  readonly lines: string[] = [];
  readonly voters: (readonly string[])[] = [];
  readonly #world: World;
  readonly #wanted: NodeWanted;
  readonly #clock: VirtualClockView;
  #hall: Visitor | undefined;
  #life: Life = { isOver: false, abort: new AbortController() };

  constructor(world: World, wanted: NodeWanted) {
    this.name = wanted.name;
    this.directory = wanted.directory ?? new Directory(`the directory of ${wanted.name}`, world);
    this.#world = world;
    this.#wanted = wanted;
    this.#clock = world.clock.view();
  }

  /** What its directory holds. */
  get identity(): Identity | undefined {
    return this.directory.identity;
  }

  /** The text of why it does not run. */
  get refusal(): string {
    return this.error instanceof Error ? this.error.message : '';
  }

  start(): void {
    assert(!this.isUp, `${this.name} is up already`);
    this.isUp = true;
    this.formed = undefined;
    this.error = undefined;
    this.mustStop = undefined;
    const life: Life = { isOver: false, abort: new AbortController() };
    this.#life = life;
    this.#live(life).then(
      (formed) => {
        if (!life.isOver) this.formed = formed;
      },
      (error) => {
        if (life.isOver) return;
        this.error = error;
        this.crash();
      },
    );
  }

  /** Its process is gone, whatever it was doing. */
  crash(): void {
    this.isUp = false;
    this.formed = undefined;
    this.#life.isOver = true;
    this.#clock.dropTimers();
    this.directory.crash();
    this.#hall?.close().catch(() => {});
    this.#hall = undefined;
  }

  /** Asks it to break off its start. */
  abort(reason: unknown): void {
    this.#life.abort.abort(reason);
  }

  /** With a new directory. */
  wipe(): void {
    assert(!this.isUp, `${this.name} is up`);
    this.directory = new Directory(this.directory.label, this.#world);
  }

  /** SIGSTOP and SIGCONT, as far as others notice. */
  setPaused(isPaused: boolean): void {
    if (this.#hall !== undefined) this.#hall.isPaused = isPaused;
  }

  async #live(life: Life): Promise<Formed> {
    const { clusterName = 'demo', isServer = true, expect = isServer ? 3 : null } = this.#wanted;
    const world = this.#world;
    const mint = () => world.mint();
    const identity = await openIdentity(this.directory, { clusterName, nodeName: this.name, mint });
    assert(!life.isOver, 'a dead life goes on');
    const hall = world.enter(this.name, identity.nodeId, identity.boot);
    this.#hall = hall;
    return formOrJoin({
      hall,
      identity,
      files: this.directory,
      isServer,
      expect,
      clock: this.#clock,
      log: this.#log(),
      mint,
      signal: life.abort.signal,
      onMustStop: (error) => {
        this.mustStop = error;
      },
      onVoters: ({ voters }) => this.voters.push(voters),
    });
  }

  #log(): Log {
    const line = (message: string) => {
      this.lines.push(message);
    };
    const log: Log = { debug: line, info: line, warn: line, error: line, with: () => log };
    return log;
  }
}

interface Life {
  isOver: boolean;
  readonly abort: AbortController;
}
