/**
 * Clients that read: whichever server they ask, what it says to apply before it answers must cover everything that was
 * committed and applied anywhere before they asked, so all that anybody was told is done (I13).
 */
import type { Random } from '../../src/base/random.ts';
import type { RaftAnswer, RaftRequest } from '../../src/raft/raft-protocol.ts';
import { chance, pick, SOURCES, sourceFor } from './draw.ts';
import { repeat } from './repeat.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import type { World } from './world.ts';

export interface ReadCounts {
  asked: number;
  answered: number;
}

/** Longer than a server tries. */
const ASK_MS = 15_000;

export class Reads {
  readonly counts: ReadCounts = { asked: 0, answered: 0 };
  isStopped = false;
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.reads);
  }

  start(): void {
    const { clock, plan } = this.#world;
    repeat({ clock, random: this.#random, everyMs: plan.readEveryMs, isOver: () => this.isStopped }, () => {
      const servers = this.#world.servers.filter((server) => server.running !== undefined);
      // One that was deposed and does not know it is who would be wrong.
      const leaders = servers.filter((server) => server.running?.progress()?.role === 'leader');
      const asked = leaders.length > 0 && chance(this.#random, 0.7) ? leaders : servers;
      if (asked.length > 0) this.ask(pick(this.#random, asked));
    });
  }

  /** `done` hears whether there was an answer, unless the server dies before. */
  ask(server: SimNode, done: (isAnswered: boolean) => void = () => {}): void {
    const { invariants, trace } = this.#world;
    const floor = invariants.lastIndex;
    this.counts.asked += 1;
    server.askRaft({ type: 'read' } satisfies RaftRequest, ASK_MS, (answer: RaftAnswer | null) => {
      const isAnswered = answer?.type === 'read';
      if (isAnswered) {
        this.counts.answered += 1;
        trace.add(server.name, `reads at ${answer.index}`);
        this.#world.guard(() =>
          check(
            answer.index >= floor,
            () => `${server.name} reads at ${answer.index}, and ${floor} was applied before it was asked`,
          ),
        );
      }
      done(isAnswered);
    });
  }
}
