import { createHash, type Hash } from 'node:crypto';

/** Lines kept for the report of a failure. */
const KEPT_LINES = 40;
const HASH_LENGTH = 16 * 1024;

/**
 * What happened, as text, one line an event: the last lines for people, a hash over all of them to prove that the same
 * seed tells the same story, and everything to `sink` where somebody wants to read it.
 */
export class Trace {
  readonly #nowMs: () => number;
  readonly #sink: ((line: string) => void) | undefined;
  readonly #hash: Hash = createHash('sha256');
  readonly #kept: string[] = [];
  #next = 0;
  /** Hashing many lines at once costs a fraction. */
  #unhashed = '';

  constructor(nowMs: () => number, sink?: (line: string) => void) {
    this.#nowMs = nowMs;
    this.#sink = sink;
  }

  add(node: string, what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${node} ${what}\n`;
    this.#unhashed += line;
    if (this.#unhashed.length >= HASH_LENGTH) this.#hashRest();
    this.#kept[this.#next % KEPT_LINES] = line;
    this.#next += 1;
    this.#sink?.(line);
  }

  /** Of everything so far; may be asked for again. */
  digest(): string {
    this.#hashRest();
    return this.#hash.copy().digest('hex').slice(0, 16);
  }

  #hashRest(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = '';
  }

  /** Oldest first. */
  lastLines(): string {
    const at = this.#next % KEPT_LINES;
    return [...this.#kept.slice(at), ...this.#kept.slice(0, at)].join('');
  }
}
