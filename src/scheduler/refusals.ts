import type { CompleteAnswer } from './scheduler-actor.ts';

/** Longer than a call is handed on again and may be under way. */
const KEPT_MS = 30_000;
const KEPT_MAX = 10_000;

/** What a leader has refused lately, by call: a copy of the call that comes later gets the same answer. */
export class Refusals {
  /** Oldest first. */
  readonly #kept = new Map<string, { readonly answer: CompleteAnswer; readonly untilMs: number }>();

  /** At the bound the oldest is forgotten. */
  keep(key: string, answer: CompleteAnswer, nowMs: number): void {
    this.#kept.delete(key);
    this.#kept.set(key, { answer, untilMs: nowMs + KEPT_MS });
    for (const [oldest, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size <= KEPT_MAX) return;
      this.#kept.delete(oldest);
    }
  }

  find(key: string, nowMs: number): CompleteAnswer | undefined {
    const found = this.#kept.get(key);
    return found !== undefined && found.untilMs > nowMs ? found.answer : undefined;
  }
}
