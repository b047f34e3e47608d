/** Why an execution that this node does not hold must not start: it was cancelled or disowned before, or it is over. */
export type Tombstone = 'cancelled' | 'over';

export const TOMBSTONE_LIMITS = { keepMs: 600_000, countMax: 200_000 } as const;

/**
 * Remembers executions for a while, so that a late or doubled `execute` starts nothing. Two generations, so that
 * forgetting costs nothing: each is kept for at least `keepMs`, unless `countMax` is reached sooner. At that bound the
 * older half goes, whose messages would have to be later than all those that were remembered since.
 */
export class Tombstones {
  readonly #keepMs: number;
  readonly #countMax: number;
  #young = new Map<string, Tombstone>();
  #old: ReadonlyMap<string, Tombstone> = new Map();
  #turnedAtMs: number;

  constructor(options: { readonly keepMs: number; readonly countMax: number; readonly nowMs: number }) {
    this.#keepMs = options.keepMs;
    this.#countMax = options.countMax;
    this.#turnedAtMs = options.nowMs;
  }

  get(execution: string): Tombstone | undefined {
    return this.#young.get(execution) ?? this.#old.get(execution);
  }

  add(execution: string, why: Tombstone, nowMs: number): void {
    if (this.#young.size >= this.#countMax / 2) this.#turn(nowMs);
    this.#young.set(execution, why);
  }

  /** To be called now and then. */
  expire(nowMs: number): void {
    if (nowMs - this.#turnedAtMs >= this.#keepMs) this.#turn(nowMs);
  }

  #turn(nowMs: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnedAtMs = nowMs;
  }
}
