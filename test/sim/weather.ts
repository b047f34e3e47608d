/** The network of a world and what is wrong with it: lost, doubled and slow frames, ways that are clogged. */
import type { Random } from '../../src/base/random.ts';
import type { Passage } from '../../src/cluster/memory-transport.ts';
import { between, chance, SOURCES, sourceFor } from './draw.ts';
import type { World } from './world.ts';

/** What was held back comes out within so long, in any order. */
const BURST_MS = 5;

export class Weather {
  readonly #world: World;
  readonly #random: Random;
  /** Until when nothing gets from one node to another, by `from/to`. */
  readonly #clogs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.network);
  }

  clog(from: string, to: string, untilMs: number): void {
    this.#clogs.set(`${from}/${to}`, untilMs);
  }

  clear(): void {
    this.#clogs.clear();
  }

  /** One delay per copy that arrives. */
  judge({ from, to }: Passage): readonly number[] {
    const { lossShare, duplicateShare } = this.#world.plan;
    const random = this.#random;
    if (chance(random, lossShare)) return NONE;
    const heldMs = this.#heldMs(from, to);
    if (!chance(random, duplicateShare)) return [this.#delayMs(heldMs)];
    return [this.#delayMs(heldMs), this.#delayMs(heldMs)];
  }

  #delayMs(heldMs: number): number {
    const { delayMsMax, slowShare, slowMsMax } = this.#world.plan;
    const random = this.#random;
    if (heldMs > 0) return heldMs + between(random, 0, BURST_MS);
    return chance(random, slowShare) ? between(random, 0, slowMsMax) : between(random, 0.1, delayMsMax);
  }

  #heldMs(from: string, to: string): number {
    if (this.#clogs.size === 0) return 0;
    const way = `${from}/${to}`;
    const leftMs = (this.#clogs.get(way) ?? 0) - this.#world.clock.monotonic();
    if (leftMs <= 0) this.#clogs.delete(way);
    return leftMs;
  }
}

const NONE: readonly number[] = [];
