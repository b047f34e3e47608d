/**
 * What becomes of the transport's hints that nobody listens any more where a frame was sent: as the plan says some are
 * lost, some come late, when the node is long up again, and some are simply wrong. Raft may believe none of them.
 */
import type { Random } from '../../src/base/random.ts';
import { between, chance, pick, SOURCES, sourceFor } from './draw.ts';
import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

export interface HintCounts {
  /** Taken to raft, late ones too; without the wrong ones. */
  heard: number;
  lost: number;
  /** About a server that was up, taken to raft. */
  wrong: number;
}

export class Hints {
  readonly counts: HintCounts = { heard: 0, lost: 0, wrong: 0 };
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.hints);
  }

  /** One of the transport. `hear` says whether the node was still there for it. */
  arrive(node: SimNode, about: SimNode, hear: () => boolean): void {
    const { clock, plan, trace } = this.#world;
    if (chance(this.#random, plan.hintLossShare)) {
      this.counts.lost += 1;
      return;
    }
    const take = (): void => {
      if (!hear()) return;
      this.counts.heard += 1;
      trace.add(node.name, `hears that nobody listens at ${about.name}`);
    };
    if (chance(this.#random, plan.hintSlowShare)) clock.after(between(this.#random, 0, plan.hintSlowMsMax), take);
    else take();
  }

  /** About the leader more often than not, and to several at once: that is what could depose one that is well. */
  tellWrong(): void {
    const { leader, servers, trace } = this.#world;
    const up = servers.filter((node) => node.running !== undefined);
    if (up.length === 0) return;
    const about = leader !== undefined && chance(this.#random, 0.7) ? leader : pick(this.#random, up);
    for (const node of up) {
      if (node === about || chance(this.#random, 0.3) || !node.hint(about.id)) continue;
      this.counts.wrong += 1;
      trace.add(node.name, `hears wrongly that nobody listens at ${about.name}`);
    }
  }
}
