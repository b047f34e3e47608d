/** Lets things go wrong as the plan says, at times drawn from the seed. */
import type { Random } from '../../src/base/random.ts';
import { HEARD_MS } from '../../src/scheduler/cluster-time.ts';
import { between, chance, pick, SOURCES, sourceFor } from './draw.ts';
import { repeat } from './repeat.ts';
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
    const {
      partitionEveryMs,
      crashEveryMs,
      skewEveryMs,
      jumpEveryMs,
      stallEveryMs,
      diskFailEveryMs,
      wrongHintEveryMs,
    } = this.#world.plan;
    this.#repeat(partitionEveryMs, () => this.#partition());
    this.#repeat(crashEveryMs, () => this.#crash());
    this.#repeat(skewEveryMs, () => this.#skew());
    this.#repeat(jumpEveryMs, () => this.#jump());
    this.#repeat(stallEveryMs, () => this.#stall());
    this.#repeat(diskFailEveryMs, () => this.#failDisk());
    this.#repeat(wrongHintEveryMs, () => this.#world.hints.tellWrong());
  }

  #repeat(everyMs: number, run: () => void): void {
    repeat({ clock: this.#world.clock, random: this.#random, everyMs, isOver: () => this.isStopped }, run);
  }

  #later(delayMsMax: number, run: () => void): void {
    this.#world.clock.after(this.#random() * delayMsMax, () => {
      if (!this.isStopped) run();
    });
  }

  /** Halves, one node alone, or single directions that are cut. */
  #partition(): void {
    const { network, nodes, plan, trace } = this.#world;
    const ids = nodes.map((node) => node.id);
    const random = this.#random;
    if (chance(random, 0.4)) {
      network.heal();
      const from = pick(random, ids);
      const others = ids.filter((id) => id !== from && chance(random, 0.6));
      const isOutward = chance(random, 0.5);
      for (const other of others) network.cut(isOutward ? from : other, isOutward ? other : from);
      trace.add('world', `cuts ${others.length} ways ${isOutward ? 'from' : 'to'} node ${ids.indexOf(from) + 1}`);
    } else {
      const left = ids.filter(() => chance(random, 0.5));
      network.partition([left, ids.filter((id) => !left.includes(id))]);
      trace.add('world', `parts nodes ${left.map((id) => ids.indexOf(id) + 1).join()} from the others`);
    }
    this.#later(plan.partitionMsMax, () => {
      trace.add('world', 'heals the network');
      network.heal();
    });
  }

  #crash(): void {
    const { nodes, plan, trace } = this.#world;
    const random = this.#random;
    const node = pick(random, nodes);
    if (!node.isUp) return;
    const mode = chance(random, 0.5) ? 'prefix' : 'any-subset';
    trace.add(node.name, `crashes, ${mode}`);
    node.crash(random, mode);
    this.#later(plan.outageMsMax, () => {
      trace.add(node.name, 'starts again');
      node.start();
    });
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
    const { clock, servers, trace } = this.#world;
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
