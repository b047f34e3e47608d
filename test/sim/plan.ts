/** What goes wrong in one seed. Swarm testing: each seed turns on a random subset, each with a random strength. */
import type { Random } from '../../src/base/random.ts';
import { between, chance, SOURCES, sourceFor } from './draw.ts';

export interface Plan {
  /** Of frames between nodes. */
  readonly lossShare: number;
  readonly duplicateShare: number;
  /** Ordinary frames take up to this long; unequal delays reorder. */
  readonly delayMsMax: number;
  /** Some take up to seconds. */
  readonly slowShare: number;
  readonly slowMsMax: number;
  /** Mean time between two partitions; 0: none. */
  readonly partitionEveryMs: number;
  readonly partitionMsMax: number;
  /** Mean time between two crashes of any node; 0: none. */
  readonly crashEveryMs: number;
  readonly outageMsMax: number;
  /** Of events to the leader's actors. */
  readonly eventLossShare: number;
  /** Mean time between two changes of a wall clock; 0: none. */
  readonly skewEveryMs: number;
  readonly skewMsMax: number;
  /** The clock of one server goes wrong by minutes to days, forward or back, for a while. */
  readonly jumpEveryMs: number;
  /** Mean time between two stalls of a disk; 0: none. */
  readonly stallEveryMs: number;
  readonly stallMsMax: number;
  /** Mean time between two disks that fail, which ends their node; 0: none. */
  readonly diskFailEveryMs: number;
  readonly writeDelayMsMax: number;
  /** Raft's; few, so that followers that lag are given snapshots. */
  readonly keepEntries: number;
  readonly logBytesMax: number;
  /** Few make many candidates stand at the same time. */
  readonly electionTicks: number;
  readonly runMsMax: number;
  readonly failedShare: number;
  /** Of any node; few make work wait. */
  readonly slotsMax: number;
  /** Mean time between two calls of an operator. */
  readonly operateEveryMs: number;
  /** Of the transport's hints that nobody listens at a server. */
  readonly hintLossShare: number;
  readonly hintSlowShare: number;
  readonly hintSlowMsMax: number;
  /** Mean time between two hints about a server that is up; 0: none. */
  readonly wrongHintEveryMs: number;
  /** Mean time between two orders to hand leadership over; 0: none. */
  readonly transferEveryMs: number;
  /** Mean time between two stops in order of any node; 0: none. */
  readonly stopEveryMs: number;
  readonly drainMsMax: number;
}

/** A cluster that nothing happens to. */
export const QUIET: Plan = {
  lossShare: 0,
  duplicateShare: 0,
  delayMsMax: 1,
  slowShare: 0,
  slowMsMax: 0,
  partitionEveryMs: 0,
  partitionMsMax: 0,
  crashEveryMs: 0,
  outageMsMax: 0,
  eventLossShare: 0,
  skewEveryMs: 0,
  skewMsMax: 0,
  jumpEveryMs: 0,
  stallEveryMs: 0,
  stallMsMax: 0,
  diskFailEveryMs: 0,
  writeDelayMsMax: 2,
  keepEntries: 8_192,
  logBytesMax: 128 * 1024 * 1024,
  electionTicks: 6,
  runMsMax: 2_000,
  failedShare: 0.1,
  slotsMax: 100,
  operateEveryMs: 1_000,
  hintLossShare: 0,
  hintSlowShare: 0,
  hintSlowMsMax: 0,
  wrongHintEveryMs: 0,
  transferEveryMs: 0,
  stopEveryMs: 0,
  drainMsMax: 2_000,
};

export function drawPlan(seed: number): Plan {
  const random = sourceFor(seed, SOURCES.plan);
  const isOn = (): boolean => chance(random, 0.5);
  const some = (low: number, high: number): number => (isOn() ? between(random, low, high) : 0);
  return {
    lossShare: some(0.01, 0.3),
    duplicateShare: some(0.01, 0.3),
    delayMsMax: isOn() ? between(random, 1, 10) : between(random, 10, 150),
    slowShare: some(0.001, 0.05),
    slowMsMax: between(random, 200, 5_000),
    partitionEveryMs: some(3_000, 30_000),
    partitionMsMax: between(random, 500, 15_000),
    crashEveryMs: some(2_000, 20_000),
    outageMsMax: isOn() ? between(random, 100, 2_000) : between(random, 2_000, 30_000),
    eventLossShare: some(0.01, 0.5),
    skewEveryMs: some(1_000, 10_000),
    skewMsMax: between(random, 10, 500),
    stallEveryMs: some(2_000, 20_000),
    stallMsMax: between(random, 100, 3_000),
    diskFailEveryMs: some(5_000, 60_000),
    writeDelayMsMax: isOn() ? between(random, 0, 5) : between(random, 5, 60),
    ...drawCompaction(random),
    electionTicks: isOn() ? 6 : Math.floor(between(random, 2, 5)),
    runMsMax: isOn() ? between(random, 0, 1_000) : between(random, 1_000, 12_000),
    failedShare: some(0.05, 0.4),
    slotsMax: isOn() ? 100 : Math.floor(between(random, 1, 4)),
    operateEveryMs: between(random, 150, 1_500),
    hintLossShare: some(0.05, 1),
    hintSlowShare: some(0.05, 0.5),
    hintSlowMsMax: between(random, 50, 3_000),
    wrongHintEveryMs: some(100, 5_000),
    transferEveryMs: some(300, 10_000),
    stopEveryMs: some(3_000, 30_000),
    drainMsMax: isOn() ? between(random, 0, 500) : between(random, 500, 5_000),
    jumpEveryMs: some(2_000, 20_000),
  };
}

function drawCompaction(random: Random): Pick<Plan, 'keepEntries' | 'logBytesMax'> {
  if (chance(random, 0.3)) return { keepEntries: 8_192, logBytesMax: 128 * 1024 * 1024 };
  return { keepEntries: Math.floor(between(random, 1, 40)), logBytesMax: Math.floor(between(random, 0, 30_000)) };
}
