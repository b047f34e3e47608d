export interface LeasedCacheOptions<Value> {
  readonly countMax: number;
  /** Lets go of what a value holds. */
  readonly drop: (value: Value) => void;
}

export interface Lease<Value> {
  readonly value: Value;
  /** Once. */
  readonly release: () => void;
}

interface Item<Value> {
  readonly value: Value;
  uses: number;
}

/**
 * Things that are dear to make, kept for whoever needs the same again. Above `countMax` the one that was not used for
 * longest is dropped, and never one in use: while more than `countMax` are in use, so many are kept.
 */
export class LeasedCache<Value> {
  readonly #options: LeasedCacheOptions<Value>;
  /** Least recently used first. */
  readonly #items = new Map<string, Item<Value>>();

  constructor(options: LeasedCacheOptions<Value>) {
    this.#options = options;
  }

  get size(): number {
    return this.#items.size;
  }

  lease(key: string, make: () => Value): Lease<Value> {
    const item = this.#items.get(key) ?? { value: make(), uses: 0 };
    item.uses += 1;
    this.#items.delete(key);
    this.#items.set(key, item);
    this.#trim();
    const release = (): void => {
      item.uses -= 1;
      this.#trim();
    };
    return { value: item.value, release };
  }

  /** Drops all, in use or not. */
  clear(): void {
    for (const { value } of this.#items.values()) this.#options.drop(value);
    this.#items.clear();
  }

  #trim(): void {
    for (const [key, { value, uses }] of this.#items) {
      if (this.#items.size <= this.#options.countMax) return;
      if (uses > 0) continue;
      this.#items.delete(key);
      this.#options.drop(value);
    }
  }
}
