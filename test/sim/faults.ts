/** Lets things go wrong as the plan says, at times drawn from the seed. */
import { CodedError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { HEARD_MS } from '../../src/scheduler/cluster-time.ts';
import { between, chance, pick, SOURCES, sourceFor } from './draw.ts';
import { clog, partition } from './network-faults.ts';
import { repeat } from './repeat.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import type { World } from './world.ts';

/** Such jumps must not move logged time: more than what clocks that agree may differ by. */
const JUMP_MS_MIN = 30_000;
const JUMP_MS_MAX = 3 * 86_400_000;
const JUMP_PAUSE_MS = HEARD_MS + 1_000;

export class Faults {
  isStopped = false;
  #jumpFromMs = 0;
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.faults);
  }

  start(): void {
    const { plan, hints } = this.#world;
    this.#repeat(plan.partitionEveryMs, () => this.#partition());
    this.#repeat(plan.clogEveryMs, () => clog(this.#world, this.#random));
    this.#repeat(plan.downEveryMs, () => this.#goDown());
    this.#repeat(plan.wrongHintEveryMs, () => hints.tellWrong());
    this.#repeat(plan.crashEveryMs, () => this.#crash());
    this.#repeat(plan.stallEveryMs, () => this.#stall());
    this.#repeat(plan.diskFailEveryMs, () => this.#failDisk());
    this.#repeat(plan.diskFlakeEveryMs, () => this.#flake());
    this.#repeat(plan.loopStallEveryMs, () => this.#stallLoop());
    this.#repeat(plan.pauseEveryMs, () => this.#pause());
    this.#repeat(plan.threadDeathEveryMs, () => this.#killThread());
    this.#repeat(plan.intruderEveryMs, () => this.#intrude());
    this.#repeat(plan.skewEveryMs, () => this.#skew());
    this.#repeat(plan.jumpEveryMs, () => this.#jump());
  }

  #repeat(everyMs: number, run: () => void): void {
    repeat({ clock: this.#world.clock, random: this.#random, everyMs, isOver: () => this.isStopped }, run);
  }

  #later(delayMsMax: number, run: () => void): void {
    this.#world.clock.after(this.#random() * delayMsMax, () => {
      if (!this.isStopped) run();
    });
  }

  #partition(): void {
    const { network, plan, trace } = this.#world;
    partition(this.#world, this.#random);
    this.#later(plan.partitionMsMax, () => {
      trace.add('world', 'heals the network');
      network.heal();
    });
  }

  #goDown(): void {
    const { network, plan, trace } = this.#world;
    trace.add('world', 'has no network');
    network.goDown();
    this.#later(plan.downMsMax, () => {
      trace.add('world', 'has its network again');
      network.comeUp();
    });
  }

  #crash(): void {
    const { nodes, trace } = this.#world;
    const random = this.#random;
    const node = pick(random, nodes);
    if (!node.isUp) return;
    const mode = chance(random, 0.5) ? 'prefix' : 'any-subset';
    trace.add(node.name, `crashes, ${mode}`);
    node.crash(random, mode);
    this.#world.startLater(node, random);
  }

  /** The event loop of one thread is held up. */
  #stallLoop(): void {
    const { nodes, plan } = this.#world;
    this.#holdUp(pick(this.#random, nodes), chance(this.#random, 0.5) ? 'main' : 'consensus', plan.loopStallMsMax);
  }

  /** Of the leader more often than not: it goes on and does not know that it was deposed. */
  #pause(): void {
    const { leader, nodes, plan } = this.#world;
    const node = leader !== undefined && chance(this.#random, 0.6) ? leader : pick(this.#random, nodes);
    this.#holdUp(node, 'process', plan.pauseMsMax);
  }

  #holdUp(node: SimNode, which: 'process' | 'main' | 'consensus', msMax: number): void {
    const { clock, trace } = this.#world;
    const goOn = node.holdUp(which);
    if (goOn === undefined) return;
    const forMs = between(this.#random, 0, msMax);
    trace.add(node.name, `does nothing for ${Math.round(forMs)} ms (${which})`);
    clock.after(forMs, goOn);
  }

  #killThread(): void {
    const { servers, trace } = this.#world;
    const node = pick(this.#random, servers);
    if (node.killThread()) trace.add(node.name, 'loses its thread of consensus');
  }

  /** Two processes with one identity would vote twice; the lock of the directory keeps the second one out. */
  #intrude(): void {
    const { nodes, trace } = this.#world;
    const node = pick(this.#random, nodes);
    if (node.running === undefined) return;
    let refusal = '';
    try {
      node.drive.open();
    } catch (error) {
      refusal = error instanceof CodedError ? error.code : String(error);
    }
    trace.add(node.name, 'has somebody else at its directory');
    this.#world.guard(() =>
      check(refusal === 'directory-unusable', () => `${node.name}: a second process gets its directory`),
    );
  }

  /** One write is said to have failed, and its node must not go on as if nothing had been. */
  #flake(): void {
    const { nodes } = this.#world;
    const node = pick(this.#random, nodes);
    if (node.running !== undefined) node.isDiskFlaky = true;
  }

  #skew(): void {
    const { nodes, plan, trace } = this.#world;
    const node = pick(this.#random, nodes);
    if (Math.abs(node.skewMs) >= JUMP_MS_MIN) return;
    node.skewMs = Math.round(between(this.#random, -plan.skewMsMax, plan.skewMsMax));
    trace.add(node.name, `has its clock set by ${node.skewMs} ms`);
  }

  /** One at a time: of three clocks two are right, and no leader remembers otherwise. */
  #jump(): void {
    const { clock, plan, servers, trace } = this.#world;
    // A lone server has nobody to ask what time it is.
    if (plan.voters === 1) return;
    const wrong = servers.find((server) => Math.abs(server.skewMs) >= JUMP_MS_MIN);
    if (wrong !== undefined) {
      wrong.skewMs = 0;
      this.#jumpFromMs = clock.monotonic() + JUMP_PAUSE_MS;
      trace.add(wrong.name, 'has its clock set right');
    }
    if (clock.monotonic() < this.#jumpFromMs) return;
    const server = pick(this.#random, servers);
    const size = between(this.#random, JUMP_MS_MIN, chance(this.#random, 0.5) ? JUMP_MS_MAX : 10 * JUMP_MS_MIN);
    server.skewMs = Math.round(chance(this.#random, 0.7) ? size : -size);
    trace.add(server.name, `has its clock jump by ${server.skewMs} ms`);
  }

  #failDisk(): void {
    const { nodes, trace } = this.#world;
    const node = pick(this.#random, nodes);
    if (!node.isUp) return;
    trace.add(node.name, 'has a disk that fails');
    if (node.config.isServer) this.#world.promises.durableHead(node);
    node.isDoomed = true;
    node.isDiskDead = true;
    node.drive.fail('no space left on device');
  }

  #stall(): void {
    const { nodes, plan, trace } = this.#world;
    const node = pick(this.#random, nodes);
    trace.add(node.name, 'has a disk that hangs');
    node.drive.freeze();
    this.#later(plan.stallMsMax, () => {
      trace.add(node.name, 'has a disk that goes on');
      node.drive.thaw();
    });
  }
}
