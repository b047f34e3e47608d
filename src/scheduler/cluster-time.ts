/**
 * What time it is for the cluster. Logged time never goes back, so a leader whose clock jumped ahead, even once, would
 * take the whole cluster with it: what was due meanwhile would be missed, and nothing would fall due until the real
 * time is as far. So a leader goes by its own clock only while that agrees with those of most servers; else by theirs;
 * and where it has not heard of enough of them, time stands still.
 *
 * Servers tell their wall clock with each heartbeat. It is kept as the distance from the leader's monotonic clock,
 * which no correction moves, so that a jump of any clock shows at once.
 */
import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';

export interface ClusterTimeOptions {
  /** This server. */
  readonly node: string;
  /** At the start. */
  readonly voters: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface Heard {
  /** Wall clock less this server's monotonic one; too low by as long as the message was under way. */
  readonly offsetMs: number;
  readonly atMs: number;
}

/** Clocks that are less far apart agree. Far more than a time service leaves, and than messages take. */
export const AGREE_MS = 10_000;
/** What was heard before, ten heartbeats ago, counts no more. */
export const HEARD_MS = 10_000;
/** Offsets are sorted anew when one was heard, and so often, since they grow old. */
const SORT_MS = 1_000;
/** A new leader hears the others within milliseconds. */
const SILENCE_TOLD_MS = 3_000;
const LINES_PER_MINUTE = 2;

export class ClusterTime {
  readonly #options: ClusterTimeOptions;
  #others: ReadonlySet<string>;
  readonly #log: Pick<Log, 'warn'>;
  readonly #heard = new Map<string, Heard>();
  /** Of those that count, ascending. */
  #offsetsMs: readonly number[] = [];
  #sortAtMs = 0;
  #unknownSinceMs: number | null = null;

  constructor(options: ClusterTimeOptions) {
    this.#options = options;
    this.#others = new Set(options.voters.filter((voter) => voter !== options.node));
    this.#log = rateLimited(options.log, options.clock, LINES_PER_MINUTE);
  }

  /** Others vote from now on. */
  follow(voters: readonly string[]): void {
    this.#others = new Set(voters.filter((voter) => voter !== this.#options.node));
    for (const node of this.#heard.keys()) if (!this.#others.has(node)) this.#heard.delete(node);
    this.#sortAtMs = 0;
  }

  /** This server leads from now on. */
  restart(): void {
    this.#unknownSinceMs = null;
  }

  heard(node: string, wallMs: number): void {
    if (!this.#others.has(node) || !Number.isFinite(wallMs)) return;
    const atMs = this.#options.clock.monotonic();
    this.#heard.set(node, { offsetMs: wallMs - atMs, atMs });
    this.#sortAtMs = 0;
  }

  /** Whether the clocks of a majority are known, the own one among them. */
  get isKnown(): boolean {
    return 2 * (this.#sorted().length + 1) > this.#others.size + 1;
  }

  /** Wall time in ms; minus infinity while it is not known, so that logged time is the latest there is. */
  now(): number {
    const { clock } = this.#options;
    if (this.#others.size === 0) return clock.now();
    if (!this.isKnown) return Number.NEGATIVE_INFINITY;
    const ownMs = clock.now();
    const agreedMs = this.#agreed(ownMs);
    return Math.abs(ownMs - agreedMs) <= AGREE_MS ? ownMs : agreedMs;
  }

  /** What a command carries: never before logged time, so a leader that is behind waits instead of turning time back. */
  stampMs(loggedMs: number): number {
    return Math.max(this.now(), loggedMs);
  }

  /** To be called from time to time by the leader: says what an operator must mend. */
  report(): void {
    const { clock, metrics } = this.#options;
    if (!this.isKnown) return this.#reportUnknown();
    this.#unknownSinceMs = null;
    const ownMs = clock.now();
    const aheadMs = ownMs - this.#agreed(ownMs);
    const isOff = Math.abs(aheadMs) > AGREE_MS;
    metrics.gauge('carillon_clock_ahead_seconds', isOff ? aheadMs / 1_000 : 0);
    if (!isOff) return;
    const side = aheadMs > 0 ? 'ahead of' : 'behind';
    const seconds = Math.round(Math.abs(aheadMs) / 1_000);
    const words = `the clock of this leader is ${side} those of most servers, so theirs count: check its time service`;
    this.#log.warn(words, { seconds });
  }

  #reportUnknown(): void {
    const nowMs = this.#options.clock.monotonic();
    this.#unknownSinceMs ??= nowMs;
    if (nowMs - this.#unknownSinceMs < SILENCE_TOLD_MS) return;
    this.#log.warn('time stands still: this leader has not heard the clocks of enough servers, so nothing falls due');
  }

  /** The lower middle: of two clocks that differ the one that is behind, since no time once logged can be taken back. */
  #agreed(ownMs: number): number {
    const monotonicMs = this.#options.clock.monotonic();
    const ownOffsetMs = ownMs - monotonicMs;
    const others = this.#sorted();
    const middle = Math.floor(others.length / 2);
    const below = others.filter((offsetMs) => offsetMs < ownOffsetMs).length;
    if (middle === below) return ownMs;
    const offsetMs = others[middle < below ? middle : middle - 1] as number;
    return Math.round(monotonicMs + offsetMs);
  }

  #sorted(): readonly number[] {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs < this.#sortAtMs) return this.#offsetsMs;
    this.#sortAtMs = nowMs + SORT_MS;
    for (const [node, { atMs }] of this.#heard) if (nowMs - atMs > HEARD_MS) this.#heard.delete(node);
    this.#offsetsMs = [...this.#heard.values()].map(({ offsetMs }) => offsetMs).sort((left, right) => left - right);
    return this.#offsetsMs;
  }
}
