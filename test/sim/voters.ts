/**
 * Who votes, by the committed log, and whether it may be so (I12): a change goes through a configuration in which both
 * majorities count, and a leader appends the next only when the last is committed.
 */
import { decodeConfiguration } from '../../src/raft/configuration.ts';
import type { Configuration, Entry } from '../../src/raft/raft-protocol.ts';
import { nameOf } from './members.ts';
import { check } from './violation.ts';

interface Placed {
  readonly index: number;
  readonly configuration: Configuration;
}

export class Voters {
  /** Committed, oldest first. */
  readonly #committed: Placed[] = [];
  /** Appended by some leader and seen on its way: their indexes, by term of the leader. */
  readonly #appended = new Map<number, Set<number>>();
  /** All that ever stood in a log. */
  readonly #inForce: {
    readonly index: number;
    readonly voters: readonly string[];
    readonly outgoing: readonly string[];
  }[] = [];

  /** Committed last, as far as anybody has applied. */
  get now(): Configuration {
    return this.#committed[this.#committed.length - 1]?.configuration ?? NOBODY;
  }

  get changes(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  /** The first server to apply an entry. */
  applied({ kind, index, data }: Entry): void {
    if (kind !== 'configuration') return;
    const configuration = read(index, data);
    if (this.#committed.length > 0) checkStep(index, this.now, configuration);
    this.#committed.push({ index, configuration });
  }

  /** A leader sends its followers an entry, and tells them what is committed. */
  sent(leaderTerm: number, { kind, index }: Entry, commitIndex: number): void {
    if (kind !== 'configuration') return;
    let ofTerm = this.#appended.get(leaderTerm);
    if (ofTerm === undefined) {
      ofTerm = new Set();
      this.#appended.set(leaderTerm, ofTerm);
    }
    ofTerm.add(index);
    const open = [...ofTerm].filter((at) => at > commitIndex);
    check(
      open.length <= 1,
      () => `the leader of term ${leaderTerm} has configurations ${open.join()} beyond ${commitIndex}`,
    );
  }

  /** One stands in the log of a server, committed or not. */
  inForce(index: number, voters: readonly string[], outgoing: readonly string[]): void {
    const known = this.#inForce.some(
      (placed) => placed.index === index && sameNodes(placed.voters, voters) && sameNodes(placed.outgoing, outgoing),
    );
    if (!known) this.#inForce.push({ index, voters, outgoing });
  }

  /** Whether these make up all the majorities that an entry may have been committed by. */
  isQuorum(index: number, holders: readonly string[]): boolean {
    const inForce = this.#committed.findLast((placed) => placed.index <= index);
    if (inForce !== undefined && hasMajorities(inForce.configuration, holders)) return true;
    // A leader goes by the newest in its log, committed or not.
    return this.#inForce.some((placed) => placed.index > index && hasMajorities(placed, holders));
  }
}

function hasMajorities(
  { voters, outgoing }: Pick<Configuration, 'voters' | 'outgoing'>,
  holders: readonly string[],
): boolean {
  const isMajority = (side: readonly string[]): boolean =>
    2 * side.filter((node) => holders.includes(node)).length > side.length;
  return isMajority(voters) && (outgoing.length === 0 || isMajority(outgoing));
}

function checkStep(index: number, before: Configuration, now: Configuration): void {
  const isSame = sameNodes(before.voters, now.voters);
  const isEntering = before.outgoing.length === 0 && sameNodes(now.outgoing, before.voters);
  const isLeaving = before.outgoing.length > 0 && isSame && now.outgoing.length === 0;
  const isPlain = before.outgoing.length === 0 && isSame && now.outgoing.length === 0;
  check(
    isEntering || isLeaving || isPlain,
    () => `entry ${index} changes who votes from ${textOf(before)} to ${textOf(now)}`,
  );
  check(
    now.learners.every(({ node }) => !now.voters.includes(node)),
    () => `by entry ${index} somebody is voter and learner at once: ${textOf(now)}`,
  );
}

export function textOf({ voters, outgoing, learners }: Configuration): string {
  const list = (nodes: readonly string[]): string => nodes.map(nameOf).join() || 'nobody';
  const leaving = outgoing.length === 0 ? '' : ` after ${list(outgoing)}`;
  return `${list(voters)}${leaving}, learning ${list(learners.map(({ node }) => node))}`;
}

export function sameNodes(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((node) => right.includes(node));
}

function read(index: number, data: Uint8Array): Configuration {
  const configuration = decodeConfiguration(data);
  check(configuration !== undefined, () => `entry ${index} is no configuration that can be read`);
  return configuration;
}

const NOBODY: Configuration = { voters: [], outgoing: [], learners: [] };
