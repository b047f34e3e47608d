/** An operator who changes who votes: adds, removes, replaces and promotes servers, and in the end lets all vote. */
import type { Random } from '../../src/base/random.ts';
import type { ConfigurationChange } from '../../src/raft/raft-protocol.ts';
import { chance, pick, SOURCES, sourceFor } from './draw.ts';
import { nameOf } from './members.ts';
import { repeat } from './repeat.ts';
import { sameNodes, textOf } from './voters.ts';
import type { World } from './world.ts';

export interface MembershipCounts {
  asked: number;
  configured: number;
}

const ASK_MS = 5_000;
/** Catching up, by a snapshot perhaps, and two configurations; for each server. */
const SETTLE_MS = 30_000;

export class Membership {
  readonly counts: MembershipCounts = { asked: 0, configured: 0 };
  isStopped = false;
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.membership);
  }

  start(): void {
    const { clock, plan } = this.#world;
    repeat({ clock, random: this.#random, everyMs: plan.membershipEveryMs, isOver: () => this.isStopped }, () =>
      this.#change(this.#draw()),
    );
  }

  /** Every server votes, and no change is under way. */
  async settle(): Promise<void> {
    const world = this.#world;
    const { servers } = world;
    const all = servers.map(({ id }) => id);
    let askAtMs = 0;
    const isSettled = (): boolean => {
      const { now } = world.invariants.voters;
      if (sameNodes(now.voters, all) && now.outgoing.length === 0 && now.learners.length === 0) return true;
      const nowMs = world.clock.monotonic();
      if (nowMs < askAtMs) return false;
      askAtMs = nowMs + 1_000;
      for (const node of all) {
        if (!now.voters.includes(node)) this.#change({ type: 'add', node, becomesVoter: true, replaces: null });
      }
      return false;
    };
    await world.runUntil(
      isSettled,
      SETTLE_MS * servers.length,
      () => `all servers vote: ${textOf(world.invariants.voters.now)}`,
    );
  }

  /** Most ask the leader; one who asks another server is refused. */
  #change(change: ConfigurationChange): void {
    const { leader, servers, trace } = this.#world;
    const server = leader !== undefined && chance(this.#random, 0.9) ? leader : pick(this.#random, servers);
    if (server.running === undefined) return;
    this.counts.asked += 1;
    trace.add(server.name, `is told to ${change.type} ${nameOf(change.node)}`);
    server.askRaft({ type: 'configure', change }, ASK_MS, (answer) => {
      if (answer?.type === 'configured') this.counts.configured += 1;
      const text =
        answer?.type === 'configure-refused' ? `${answer.code} ${answer.message}` : (answer?.type ?? 'nothing');
      trace.add(server.name, `answers to ${change.type} ${nameOf(change.node)}: ${text}`);
    });
  }

  #draw(): ConfigurationChange {
    const random = this.#random;
    const { voters, learners } = this.#world.invariants.voters.now;
    const node = pick(random, this.#world.servers).id;
    const isVoter = voters.includes(node);
    // A server that votes alone has nobody to ask what time it is.
    const needsOthers = this.#world.plan.jumpEveryMs > 0 && voters.length <= 2;
    if (isVoter && !needsOthers) return { type: 'remove', node };
    if (learners.length > 0 && chance(random, 0.3)) return { type: 'promote', node: pick(random, learners).node };
    if (learners.some((learner) => learner.node === node) && chance(random, 0.3)) return { type: 'remove', node };
    const replaces = chance(random, 0.4) && voters.length > 0 ? pick(random, voters) : null;
    return { type: 'add', node, becomesVoter: replaces !== null || chance(random, 0.7), replaces };
  }
}
