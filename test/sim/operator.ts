/**
 * Whoever runs the cluster: orders a leader to hand over at a bad moment, and stops nodes as a signal does, with a
 * deadline that what runs may miss; they come up again. None of it may cost a promise.
 */

import type { Random } from '../../src/base/random.ts';
import { parseExecutionId, parseRunId } from '../../src/jobs/ids.ts';
import { between, pick, SOURCES, sourceFor } from './draw.ts';
import { repeat } from './repeat.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import type { World } from './world.ts';

export interface OperatorCounts {
  /** Orders to hand over. */
  transfers: number;
  /** Of those, another server was found to lead. */
  transferred: number;
  stops: number;
  /** Of those, nothing ran any more and every result was taken. */
  drained: number;
}

/** As long as `carillon server` waits for it. */
const TRANSFER_MS = 2_000;

export class Operator {
  readonly counts: OperatorCounts = { transfers: 0, transferred: 0, stops: 0, drained: 0 };
  isStopped = false;
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.operator);
  }

  start(): void {
    const { clock, plan } = this.#world;
    const isOver = (): boolean => this.isStopped;
    repeat({ clock, random: this.#random, everyMs: plan.transferEveryMs, isOver }, () => this.#orderTransfer());
    repeat({ clock, random: this.#random, everyMs: plan.stopEveryMs, isOver }, () => this.#stop());
  }

  /** Hands leadership of `node` over; `done` hears who leads then, null if nobody took over. */
  transfer(node: SimNode, done: (leader: string | null) => void = () => {}): void {
    this.counts.transfers += 1;
    this.#world.trace.add(node.name, 'is told to hand over');
    node.transfer(TRANSFER_MS, (leader) => {
      const isTaken = leader !== null && leader !== node.id;
      if (isTaken) this.counts.transferred += 1;
      this.#world.trace.add(node.name, `has ${isTaken ? '' : 'not '}handed over`);
      this.#world.guard(() => check(leader !== node.id, () => `${node.name} says that it has handed over, to itself`));
      done(leader);
    });
  }

  #orderTransfer(): void {
    const leaders = this.#world.servers.filter((node) => node.running?.progress()?.role === 'leader');
    if (leaders.length > 0) this.transfer(pick(this.#random, leaders));
  }

  #stop(): void {
    const { nodes, plan, trace } = this.#world;
    const node = pick(this.#random, nodes);
    if (node.running === undefined || node.isStopping) return;
    this.counts.stops += 1;
    const drainMs = between(this.#random, 0, plan.drainMsMax);
    trace.add(node.name, `is told to stop, drained within ${Math.round(drainMs)} ms`);
    node.stop({ transferMs: TRANSFER_MS, drainMs }, () => {
      this.counts.drained += 1;
      trace.add(node.name, 'is drained');
      this.#world.guard(() => this.#checkDrained(node));
    });
  }

  /** What a node says when it is drained must be so: each attempt of this life has its outcome in the log. */
  #checkDrained({ name, lives }: SimNode): void {
    const { starts, finished, lateFinishes, deletedJobs } = this.#world.invariants;
    for (const [execution, start] of starts) {
      if (start.node !== name || start.life !== lives) continue;
      const uid = parseRunId(parseExecutionId(execution)?.run ?? '')?.uid;
      const isKnown = finished.has(execution) || lateFinishes.has(execution);
      check(
        isKnown || (uid !== undefined && deletedJobs.has(uid)),
        () => `${name} says that it is drained, and nobody knows how ${execution} ended`,
      );
    }
  }
}
