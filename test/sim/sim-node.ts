import type { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import type { Random } from '../../src/base/random.ts';
import { type Log, type LogFields, noMetrics } from '../../src/base/telemetry.ts';
import type { Clock, Timer } from '../../src/base/time.ts';
import type { VirtualClock, VirtualClockView } from '../../src/base/virtual-clock.ts';
import type { MemoryNetwork } from '../../src/cluster/memory-transport.ts';
import type { Channel, Transport } from '../../src/cluster/transport.ts';
import type { Executor } from '../../src/executors/executor.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import { type NodeConfig, type Platform, type RunningNode, startNode } from '../../src/node.ts';
import type { Disk } from '../../src/store/disk.ts';
import { MemoryDrive } from '../../src/store/memory-disk.ts';
import type { CrashMode } from '../../src/store/memory-storage.ts';
import type { Storage } from '../../src/store/storage.ts';

/** What a node needs of its world. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly turns: VirtualTurns;
  readonly network: MemoryNetwork;
  readonly zones: Zones;
  readonly writeDelayMs: () => number;
  readonly executor: (node: SimNode, clock: Clock) => Executor;
  readonly probes: (node: SimNode) => NonNullable<Platform['probes']>;
  readonly onLine: (node: SimNode, level: string, message: string, fields: LogFields) => void;
  /** Something of the node threw, so its process ends. */
  readonly onFailed: (node: SimNode, error: unknown, actor: string) => void;
  /** A frame leaves the node; what it throws is kept by the world. */
  readonly onSend: (node: SimNode, to: string, channel: Channel, body: Uint8Array) => void;
  /** A promise was asked for: what waits for it runs in microtasks. */
  readonly onPromise: () => void;
}

/** A node over all its lives: the drive stays, everything else dies in a crash and is made anew by `src/node.ts`. */
export class SimNode {
  readonly id: string;
  readonly config: NodeConfig;
  readonly drive: MemoryDrive;
  /** Set on the wall clock; stays over crashes. */
  skewMs = 0;
  lives = 0;
  crashes = 0;
  /** It has an identity, and a server's log its first entry. */
  isFormed = false;
  /** Its disk fails, so it has to stop by itself. */
  isDoomed = false;
  readonly #world: Surroundings;
  readonly #random: Random;
  #life: Life | undefined;

  constructor(options: {
    readonly id: string;
    readonly config: NodeConfig;
    readonly random: Random;
    readonly world: Surroundings;
  }) {
    this.id = options.id;
    this.config = options.config;
    this.#world = options.world;
    this.#random = options.random;
    const { clock, writeDelayMs } = options.world;
    this.drive = new MemoryDrive({ label: options.config.nodeName, clock, writeDelayMs });
  }

  get name(): string {
    return this.config.nodeName;
  }

  /** Started or starting. */
  get isUp(): boolean {
    return this.#life !== undefined;
  }

  get isStarting(): boolean {
    return this.#life !== undefined && this.#life.node === undefined;
  }

  /** Undefined while it is down or starting. */
  get running(): RunningNode | undefined {
    return this.#life?.node;
  }

  start(): void {
    if (this.#life !== undefined) return;
    this.lives += 1;
    const life = new Life(this.#world, () => this.skewMs);
    this.#life = life;
    const executor = this.#world.executor(this, life.clock);
    const platform: Platform = {
      clock: life.clock,
      random: this.#random,
      turns: life,
      log: new SimLog({}, (level, message, fields) => this.#world.onLine(this, level, message, fields)),
      metrics: noMetrics,
      disk: new PromiseNotingDisk(this.drive.open(), this.#world.onPromise),
      zones: this.#world.zones,
      executors: new Map([['sim', executor]]),
      mint: () => this.id,
      connect: (self) => {
        this.isFormed = true;
        const transport = this.#world.network.attach(self.node, self.boot, { isServer: this.config.isServer });
        return watched(transport, (to, channel, body) => this.#world.onSend(this, to, channel, body));
      },
      onStopProcess: (error, actor) => {
        if (!life.isOver) this.#world.onFailed(this, error, actor);
      },
      probes: this.#world.probes(this),
    };
    startNode(this.config, platform).then(
      (node) => {
        if (!life.isOver) life.node = node;
      },
      (error: unknown) => {
        if (!life.isOver) this.#world.onFailed(this, error, 'start');
      },
    );
  }

  /** Everything in memory is gone at once: timers, mailboxes, connections, runs. */
  crash(random: Random, mode: CrashMode): void {
    if (this.#life === undefined) return;
    this.crashes += 1;
    this.#life.end();
    this.#life = undefined;
    this.isDoomed = false;
    this.#world.network.detach(this.id);
    this.drive.crash(random, mode);
  }
}

/** One life of a node: its clock and its turns end with it, even for code that is still on its way. */
class Life {
  isOver = false;
  node: RunningNode | undefined;
  readonly clock: Clock;
  readonly #view: VirtualClockView;
  readonly #turns: VirtualTurns;

  constructor({ clock, turns }: Surroundings, skewMs: () => number) {
    const view = clock.view();
    this.#view = view;
    this.#turns = turns;
    this.clock = {
      now: () => view.now() + skewMs(),
      monotonic: () => view.monotonic(),
      after: (delayMs, run) => (this.isOver ? NO_TIMER : view.after(delayMs, run)),
    };
  }

  schedule(run: () => void): void {
    this.#turns.schedule(() => {
      if (!this.isOver) run();
    });
  }

  end(): void {
    this.isOver = true;
    this.#view.dropTimers();
  }
}

function watched(transport: Transport, onSend: (to: string, channel: Channel, body: Uint8Array) => void): Transport {
  return {
    send(to, channel, body) {
      onSend(to, channel, body);
      transport.send(to, channel, body);
    },
    broadcast: (channel, body) => transport.broadcast(channel, body),
    onArrival: (listener) => transport.onArrival(listener),
    onUnreachable: (listener) => transport.onUnreachable(listener),
    close: () => transport.close(),
  };
}

const NO_TIMER: Timer = { cancel() {} };

class SimLog implements Log {
  readonly #fields: LogFields;
  readonly #onLine: (level: string, message: string, fields: LogFields) => void;

  constructor(fields: LogFields, onLine: (level: string, message: string, fields: LogFields) => void) {
    this.#fields = fields;
    this.#onLine = onLine;
  }

  debug(): void {}

  info(message: string, fields: LogFields = {}): void {
    this.#onLine('info', message, { ...this.#fields, ...fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#onLine('warn', message, { ...this.#fields, ...fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.#onLine('error', message, { ...this.#fields, ...fields });
  }

  with(fields: LogFields): Log {
    return new SimLog({ ...this.#fields, ...fields }, this.#onLine);
  }
}

/** A disk that says when somebody begins to wait for one of its promises. */
class PromiseNotingDisk implements Disk {
  readonly label: string;
  readonly #disk: Disk;
  readonly #onPromise: () => void;

  constructor(disk: Disk, onPromise: () => void) {
    this.label = disk.label;
    this.#disk = disk;
    this.#onPromise = onPromise;
  }

  openStorage(name: string): Promise<Storage> {
    this.#onPromise();
    return this.#disk.openStorage(name);
  }

  storageNames(): Promise<readonly string[]> {
    this.#onPromise();
    return this.#disk.storageNames();
  }

  removeStorage(name: string): Promise<void> {
    this.#onPromise();
    return this.#disk.removeStorage(name);
  }

  readFile(name: string): Promise<Uint8Array | undefined> {
    this.#onPromise();
    return this.#disk.readFile(name);
  }

  replaceFile(name: string, content: Uint8Array): Promise<void> {
    this.#onPromise();
    return this.#disk.replaceFile(name, content);
  }

  freeBytes(): Promise<number> {
    this.#onPromise();
    return this.#disk.freeBytes();
  }

  close(): Promise<void> {
    this.#onPromise();
    return this.#disk.close();
  }
}
