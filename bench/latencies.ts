/**
 * A histogram of durations with buckets that grow by about one percent, so it takes the same memory however many are
 * counted. What it tells is the upper edge of the bucket, never better than what was measured; the greatest is exact.
 */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  add(ms: number): void {
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** The duration that `share` (0 to 1) of them did not exceed; 0 when there are none. */
  percentileMs(share: number): number {
    const wanted = Math.ceil(share * this.#count);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return Math.min(upperEdgeMs(bucket), this.#maxMs);
    }
    return this.#maxMs;
  }

  measures(): Readonly<Record<'p50Ms' | 'p90Ms' | 'p99Ms' | 'p999Ms' | 'maxMs', number>> {
    return {
      p50Ms: this.percentileMs(0.5),
      p90Ms: this.percentileMs(0.9),
      p99Ms: this.percentileMs(0.99),
      p999Ms: this.percentileMs(0.999),
      maxMs: this.#maxMs,
    };
  }
}

const LEAST_MS = 0.001;
const PER_DOUBLING = 64;
/** Up to 2^33 µs, more than two hours. */
const BUCKETS = 33 * PER_DOUBLING;

function bucketOf(ms: number): number {
  if (ms <= LEAST_MS) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / LEAST_MS) * PER_DOUBLING));
}

function upperEdgeMs(bucket: number): number {
  return LEAST_MS * 2 ** ((bucket + 1) / PER_DOUBLING);
}
