import type { Storage } from './storage.ts';

/**
 * A storage that answers for every byte: what was acknowledged and cannot be read any more is told, never passed over
 * in silence. For the log of raft, which must not vote on less than it has promised.
 *
 * Twins: `system-journal.ts` (segment files) and, as every `MemoryStorage`, the one of the simulator.
 */
export interface Journal extends Storage {
  /**
   * What was found broken or missing at opening, oldest first. All that could be read is there nevertheless. The first
   * batch that is written says that the caller has seen it and written down what follows from it: the next opening
   * does not report it again.
   */
  readonly damage: readonly JournalDamage[];
}

/** Batches are numbered in the order in which they became durable. */
export interface JournalDamage {
  /** The number that the first lost batch has, or had. */
  readonly from: number;
  /** The number of the last lost batch; null if nothing readable follows, so that nobody knows how many there were. */
  readonly to: number | null;
  /** File, place and what is wrong there, for people. */
  readonly where: string;
}
