/** When the log is compacted, and how far. */
import type { LogStore } from './log-store.ts';
import type { RaftState } from './state.ts';

export interface CompactionOptions {
  readonly state: RaftState;
  readonly store: LogStore;
  /** Runs a port's callback as part of a message to the actor. */
  readonly later: (run: () => void) => void;
  /** Entries that stay below what the state has stored, for followers that lag. Default 8,192. */
  readonly keepEntries: number | undefined;
  /** For an active follower the log may grow to this before it is given a snapshot. Default 128 MiB. */
  readonly logBytesMax: number | undefined;
}

export class Compaction {
  readonly #options: CompactionOptions;
  readonly #keepEntries: number;
  readonly #logBytesMax: number;
  #isRunning = false;

  constructor(options: CompactionOptions) {
    this.#options = options;
    this.#keepEntries = options.keepEntries ?? KEEP_ENTRIES;
    this.#logBytesMax = options.logBytesMax ?? LOG_BYTES_MAX;
  }

  /** The state machine has stored everything up to `index`. One compaction at a time, and only if it is worth one. */
  consider(index: number): void {
    if (this.#isRunning) return;
    const { store, later } = this.#options;
    const target = this.#targetFor(index);
    if (target - store.base.index < Math.max(1, this.#keepEntries / 8)) return;
    this.#isRunning = true;
    store.compact(target, (error) =>
      later(() => {
        if (error !== null) throw error;
        this.#isRunning = false;
      }),
    );
  }

  #targetFor(storedIndex: number): number {
    const { state, store } = this.#options;
    const { log, progress } = state;
    let target = Math.min(storedIndex, log.applied) - this.#keepEntries;
    if (store.bytes > this.#logBytesMax) return target;
    for (const follower of progress.values()) {
      const isWithinReach = follower.isRecentlyActive || follower.state === 'replicate';
      if (isWithinReach && follower.state !== 'snapshot') target = Math.min(target, follower.match);
    }
    return target;
  }
}

const KEEP_ENTRIES = 8_192;
const LOG_BYTES_MAX = 128 * 1024 * 1024;
