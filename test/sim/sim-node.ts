import type { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import type { Random } from '../../src/base/random.ts';
import { type LogFields, noMetrics } from '../../src/base/telemetry.ts';
import type { Clock, Timer } from '../../src/base/time.ts';
import type { VirtualClock, VirtualClockView } from '../../src/base/virtual-clock.ts';
import type { MemoryNetwork } from '../../src/cluster/memory-transport.ts';
import type { Channel, Transport } from '../../src/cluster/transport.ts';
import type { Executor } from '../../src/executors/executor.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import { type NodeConfig, type Platform, type RunningNode, startNode } from '../../src/node.ts';
import { MemoryDrive } from '../../src/store/memory-disk.ts';
import type { CrashMode } from '../../src/store/memory-storage.ts';
import { PromiseNotingDisk, SimLog } from './sim-platform.ts';

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
  /** It has stopped in order, and is down. */
  readonly onStopped: (node: SimNode) => void;
  /** A frame leaves the node; what it throws is kept by the world. */
  readonly onSend: (node: SimNode, to: string, channel: Channel, body: Uint8Array) => void;
  /** The transport tells a server that nobody listens at `about`; `hear` takes it to raft, at once or never or later. */
  readonly onHint: (node: SimNode, about: string, hear: () => boolean) => void;
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

  /** A start, a stop or a transfer is under way: something that lives in promises. */
  get isInPromises(): boolean {
    return this.#life !== undefined && (this.#life.node === undefined || this.#life.promises > 0);
  }

  get isStopping(): boolean {
    return this.#life?.isStopping === true;
  }

  /** It has said that nothing runs here any more and every result is taken. */
  get isDrained(): boolean {
    return this.#life?.isDrained === true;
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
        return this.#watch(life, transport);
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

  /** As if the transport had said that nobody listens at `about`. False: there is no raft here that could hear it. */
  hint(about: string): boolean {
    return this.#life?.hearHint?.(about) === true;
  }

  /** Asks it to hand its leadership over, as an operator does. `done` hears who leads then; not if the node dies. */
  transfer(timeoutMs: number, done: (leader: string | null) => void): void {
    const life = this.#life;
    if (life?.node === undefined || life.isStopping) return;
    this.#follow(life, life.node.transfer(timeoutMs), done);
  }

  /** Stops it as a signal does: leadership handed over, work drained within a deadline, everything closed. */
  stop(times: { readonly transferMs: number; readonly drainMs: number }, onDrained: () => void): void {
    const life = this.#life;
    const node = life?.node;
    if (life === undefined || node === undefined || life.isStopping) return;
    life.isStopping = true;
    const stopped = (async () => {
      await node.transfer(times.transferMs);
      const isDrained = await node.drain(times.drainMs);
      if (isDrained && !life.isOver) {
        life.isDrained = true;
        onDrained();
      }
      await node.stop();
    })();
    this.#follow(life, stopped, () => this.#stopped(life));
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

  /** What comes of a promise, unless the life that made it is over. */
  #follow<Value>(life: Life, promise: Promise<Value>, done: (value: Value) => void): void {
    life.promises += 1;
    promise.then(
      (value) => {
        life.promises -= 1;
        if (!life.isOver) done(value);
      },
      (error: unknown) => {
        if (!life.isOver) this.#world.onFailed(this, error, 'promise');
      },
    );
  }

  #stopped(life: Life): void {
    // No write has met the failure, and the next start would.
    if (this.isDoomed) return this.#world.onFailed(this, new Error('its disk has failed'), 'stop');
    life.end();
    this.#life = undefined;
    this.#world.network.detach(this.id);
    this.#world.onStopped(this);
  }

  #watch(life: Life, transport: Transport): Transport {
    const { onSend, onHint } = this.#world;
    return {
      send: (to, channel, body) => {
        onSend(this, to, channel, body);
        transport.send(to, channel, body);
      },
      broadcast: (channel, body) => transport.broadcast(channel, body),
      onArrival: (listener) => transport.onArrival(listener),
      onUnreachable: (listener) => {
        const hear = (about: string): boolean => {
          if (!life.isOver) listener(about);
          return !life.isOver;
        };
        if (this.config.isServer) life.hearHint = hear;
        transport.onUnreachable((about) => onHint(this, about, () => hear(about)));
      },
      close: () => transport.close(),
    };
  }
}

/** One life of a node: its clock and its turns end with it, even for code that is still on its way. */
class Life {
  isOver = false;
  isStopping = false;
  isDrained = false;
  /** Under way. */
  promises = 0;
  /** Takes hints to raft. */
  hearHint: ((about: string) => boolean) | undefined;
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

const NO_TIMER: Timer = { cancel() {} };
