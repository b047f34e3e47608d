import type { ActorSystem } from '../../src/actors/system.ts';
import type { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import type { Random } from '../../src/base/random.ts';
import { type LogFields, noMetrics } from '../../src/base/telemetry.ts';
import type { Clock } from '../../src/base/time.ts';
import type { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { MemoryNetwork } from '../../src/cluster/memory-transport.ts';
import type { Channel, Transport } from '../../src/cluster/transport.ts';
import type { Executor } from '../../src/executors/executor.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import { type NodeConfig, type Platform, type RunningNode, startNode } from '../../src/node.ts';
import type { RaftAnswer, RaftRequest } from '../../src/raft/raft-protocol.ts';
import { MemoryDrive } from '../../src/store/memory-disk.ts';
import type { CrashMode } from '../../src/store/memory-storage.ts';
import { Life, type Thread } from './life.ts';
import { type DiskWatch, SimDisk, SimLog } from './sim-platform.ts';
import { placeOnThread, SharedTransport } from './sim-thread.ts';

/** What a node needs of its world. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly turns: VirtualTurns;
  readonly network: MemoryNetwork;
  readonly zones: Zones;
  readonly writeDelayMs: () => number;
  /** From one thread of a node to the other. */
  readonly hopMs: () => number;
  readonly isThreaded: boolean;
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
  readonly diskWatch: (node: SimNode) => DiskWatch;
}

/** A node over all its lives: the drive stays, everything else dies in a crash and is made anew by `src/node.ts`. */
export class SimNode {
  readonly id: string;
  readonly config: NodeConfig;
  readonly drive: MemoryDrive;
  /** How fast its monotonic clock goes, 1 being right. */
  readonly rate: number;
  /** Set on the wall clock; stays over crashes. */
  skewMs = 0;
  lives = 0;
  crashes = 0;
  /** It has an identity, and a server's log its first entry. */
  isFormed = false;
  /** Something of it fails, so it has to stop by itself. */
  isDoomed = false;
  /** Its disk takes nothing more, and gives nothing after the first write that it refused. */
  isDiskDead = false;
  /** The next write is said to have failed; whether it is there is drawn. */
  isDiskFlaky = false;
  /** Nobody starts it again. */
  isDead = false;
  readonly #world: Surroundings;
  readonly #random: Random;
  #life: Life | undefined;
  #systems: ActorSystem[] = [];

  constructor(options: {
    readonly id: string;
    readonly config: NodeConfig;
    readonly random: Random;
    readonly rate: number;
    readonly world: Surroundings;
  }) {
    this.id = options.id;
    this.config = options.config;
    this.#world = options.world;
    this.#random = options.random;
    this.rate = options.rate;
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

  /** One of its threads does nothing right now. */
  get isHeldUp(): boolean {
    return this.#life?.isHeldUp === true;
  }

  /** Of one thread each; none while it is down. */
  get systems(): readonly ActorSystem[] {
    return this.#life?.node === undefined ? [] : this.#systems;
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
    if (this.#life !== undefined || this.isDead) return;
    this.lives += 1;
    const world = this.#world;
    const { clock, turns } = world;
    const isThreaded = world.isThreaded && this.config.isServer;
    const life = new Life({ clock, turns, isThreaded, skewMs: () => this.skewMs, rate: this.rate });
    this.#life = life;
    this.#systems = [];
    startNode(this.config, this.#platformOf(life, isThreaded)).then(
      (node) => {
        if (life.isOver) return;
        life.node = node;
        this.#systems.push(node.system);
      },
      (error: unknown) => {
        if (!life.isOver) world.onFailed(this, error, 'start');
      },
    );
  }

  #platformOf(life: Life, isThreaded: boolean): Platform {
    const world = this.#world;
    const { clock } = life.main;
    const log = new SimLog({}, (level, message, fields) => world.onLine(this, level, message, fields));
    const disk = new SimDisk(this.drive.open(), world.diskWatch(this));
    const onStopProcess = (error: unknown, actor: string): void => {
      if (!life.isOver) world.onFailed(this, error, actor);
    };
    const shared: { transport?: SharedTransport } = {};
    const platform: Platform = {
      clock,
      random: this.#random,
      turns: life.main,
      log,
      metrics: noMetrics,
      disk,
      zones: world.zones,
      executors: new Map([['sim', world.executor(this, clock)]]),
      mint: () => this.id,
      connect: (self) => {
        this.isFormed = true;
        const attached = world.network.attach(self.node, self.boot, { isServer: this.config.isServer });
        const transport = this.#watch(life, attached);
        if (!isThreaded) return transport;
        shared.transport = new SharedTransport(transport);
        return shared.transport.ofMain;
      },
      onStopProcess,
      probes: world.probes(this),
    };
    if (!isThreaded) return platform;
    const placeConsensus = placeOnThread({
      life,
      random: this.#random,
      log,
      disk,
      zones: world.zones,
      probes: world.probes(this),
      transport: () => shared.transport ?? refuse(),
      hopMs: world.hopMs,
      onSystem: (system) => this.#systems.push(system),
      onStopProcess,
    });
    return { ...platform, placeConsensus };
  }

  /** As if the transport had said that nobody listens at `about`. False: there is no raft here that could hear it. */
  hint(about: string): boolean {
    return this.#life?.hearHint?.(about) === true;
  }

  /** Holds up one thread, or the whole process; what it gives lets it go on. Undefined: it is down or starting. */
  holdUp(which: 'process' | 'main' | 'consensus'): (() => void) | undefined {
    const life = this.#life;
    if (life?.node === undefined) return undefined;
    const threads: readonly Thread[] = which === 'process' ? life.threads : [life[which]];
    for (const thread of threads) thread.holdUp();
    return () => {
      for (const thread of threads) thread.goOn();
    };
  }

  /** Nobody holds up any of its threads any more. */
  goOn(): void {
    for (const thread of this.#life?.threads ?? []) thread.goOn('all');
  }

  /** The thread of consensus ends, and nothing else. False: there is none. */
  killThread(): boolean {
    const kill = this.#life?.node === undefined ? undefined : this.#life.killThread;
    if (kill === undefined || this.isStopping) return false;
    this.isDoomed = true;
    kill();
    return true;
  }

  /** Null: it gave no answer. Not called where it dies before. */
  askRaft(request: RaftRequest, deadlineMs: number, done: (answer: RaftAnswer | null) => void): void {
    const life = this.#life;
    for (const system of this.systems) {
      const raft = system.find<RaftRequest, RaftAnswer>('raft');
      raft?.ask(request, deadlineMs, (outcome) => {
        if (life?.isOver === false) done(outcome.type === 'answer' ? outcome.answer : null);
      });
    }
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
    this.isDiskDead = false;
    this.isDiskFlaky = false;
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
        if (this.#life !== life) return;
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

function refuse(): never {
  throw new Error('consensus was placed before the node was connected');
}
