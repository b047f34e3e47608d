/**
 * What is on its way through the log: slots taken by proposals that are not applied yet, by what they are about (a
 * job's uid, a wait's key, a request's scope). While something is held it is not proposed again.
 */
import type { Target } from './command.ts';
import type { Roster } from './roster.ts';

export class Reservations {
  readonly #roster: Roster;
  readonly #held = new Map<string, { readonly targets: readonly Target[]; readonly sinceMs: number }>();
  /** By proposal: what it holds, so that a refusal gives it back. */
  readonly #bound = new Map<string, readonly string[]>();

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  has(about: string): boolean {
    return this.#held.has(about);
  }

  /** When it was held, monotonic; -Infinity if it is not. */
  sinceMs(about: string): number {
    return this.#held.get(about)?.sinceMs ?? Number.NEGATIVE_INFINITY;
  }

  hold(about: string, targets: readonly Target[], nowMs: number): void {
    this.release(about);
    this.#roster.reserve(targets);
    this.#held.set(about, { targets, sinceMs: nowMs });
  }

  release(about: string): void {
    const held = this.#held.get(about);
    if (held === undefined) return;
    this.#held.delete(about);
    this.#roster.release(held.targets);
  }

  bind(proposal: string, held: readonly string[]): void {
    this.#bound.set(proposal, held);
  }

  bound(proposal: string): readonly string[] {
    return this.#bound.get(proposal) ?? [];
  }

  forget(proposal: string): void {
    this.#bound.delete(proposal);
  }

  /** An event that would have released it was lost: the rows have been read anew since. */
  releaseOlderThan(sinceMs: number): void {
    for (const [about, held] of this.#held) if (held.sinceMs < sinceMs) this.release(about);
  }

  clear(): void {
    this.#held.clear();
    this.#bound.clear();
  }
}
