/** What goes wrong in one seed. Swarm testing: each seed turns on a random subset, each with a random strength. */
import type { Random } from '../../src/base/random.ts';
import { between, chance, pick, SOURCES, sourceFor } from './draw.ts';
import { VOTERS_MAX } from './members.ts';

/** Of what happens again and again `…EveryMs` is the mean time between two; 0: never. */
export interface Plan {
  /** Servers that vote, one to seven. */
  readonly voters: number;
  readonly agents: number;
  /** Servers more, which may be made voters. */
  readonly spares: number;

  // The network.

  /** Of frames between nodes. */
  readonly lossShare: number;
  readonly duplicateShare: number;
  /** Ordinary frames take up to this long; unequal delays reorder. */
  readonly delayMsMax: number;
  /** Some take up to seconds, so that they meet the next life of a node, or the next session. */
  readonly slowShare: number;
  readonly slowMsMax: number;
  readonly partitionEveryMs: number;
  readonly partitionMsMax: number;
  /** A way from one node to another lets nothing through, then all at once. */
  readonly clogEveryMs: number;
  readonly clogMsMax: number;
  /** The whole network is gone, with all that is under way and all that is sent meanwhile. */
  readonly downEveryMs: number;
  readonly downMsMax: number;
  /** Of the transport's hints that nobody listens at a server. */
  readonly hintLossShare: number;
  readonly hintSlowShare: number;
  readonly hintSlowMsMax: number;
  /** Hints about a server that is up. */
  readonly wrongHintEveryMs: number;

  // Disks.

  readonly writeDelayMsMax: number;
  readonly stallEveryMs: number;
  readonly stallMsMax: number;
  /** A disk takes nothing more (it is full, say), which ends its node. */
  readonly diskFailEveryMs: number;
  /** One write is said to have failed, and may be there; all later ones would succeed. Ends its node as well. */
  readonly diskFlakeEveryMs: number;
  /** Bits that turn; for the day when servers heal from them. */
  readonly flipEveryMs: number;

  // Processes, threads and clocks.

  readonly crashEveryMs: number;
  readonly outageMsMax: number;
  /** Of starts after an outage that meet a crash within milliseconds, wherever they are by then. */
  readonly crashAtStartShare: number;
  /** A thread does nothing for a while: its event loop is held up. */
  readonly loopStallEveryMs: number;
  readonly loopStallMsMax: number;
  /** A process is stopped and goes on, as by signals. */
  readonly pauseEveryMs: number;
  readonly pauseMsMax: number;
  /** Consensus and work live on two threads. */
  readonly isThreaded: boolean;
  /** Of a batch of messages from one thread to the other. */
  readonly hopMsMax: number;
  readonly threadDeathEveryMs: number;
  /** Somebody starts a second process on the directory of one that runs. */
  readonly intruderEveryMs: number;
  /** Wall clocks that are set by a little. */
  readonly skewEveryMs: number;
  readonly skewMsMax: number;
  /** The clock of one server goes wrong by minutes to days, forward or back, for a while. */
  readonly jumpEveryMs: number;
  /** By how much of their speed monotonic clocks are too fast or too slow at most. */
  readonly driftMax: number;

  // Limits of raft.

  /** Few, so that followers that lag are given snapshots. */
  readonly keepEntries: number;
  readonly logBytesMax: number;
  /** Few make many candidates stand at the same time. */
  readonly electionTicks: number;
  readonly appendBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;

  // Work and operators.

  /** Of events to the leader's actors. */
  readonly eventLossShare: number;
  readonly runMsMax: number;
  readonly failedShare: number;
  /** Of any node; few make work wait. */
  readonly slotsMax: number;
  /** Calls that put, change, pause, delete and run jobs. */
  readonly operateEveryMs: number;
  /** Orders to hand leadership over. */
  readonly transferEveryMs: number;
  /** Stops in order of any node. */
  readonly stopEveryMs: number;
  readonly drainMsMax: number;
  /** Changes of who votes. */
  readonly membershipEveryMs: number;
  /** Reads that must see what was acknowledged before. */
  readonly readEveryMs: number;

  /** When the faults are over a majority must do alone first: all others are dead. */
  readonly isCoreFirst: boolean;
}

/** A cluster that nothing happens to. */
export const QUIET: Plan = {
  voters: 3,
  agents: 2,
  spares: 0,
  lossShare: 0,
  duplicateShare: 0,
  delayMsMax: 1,
  slowShare: 0,
  slowMsMax: 0,
  partitionEveryMs: 0,
  partitionMsMax: 0,
  clogEveryMs: 0,
  clogMsMax: 0,
  downEveryMs: 0,
  downMsMax: 0,
  hintLossShare: 0,
  hintSlowShare: 0,
  hintSlowMsMax: 0,
  wrongHintEveryMs: 0,
  writeDelayMsMax: 2,
  stallEveryMs: 0,
  stallMsMax: 0,
  diskFailEveryMs: 0,
  diskFlakeEveryMs: 0,
  flipEveryMs: 0,
  crashEveryMs: 0,
  outageMsMax: 0,
  crashAtStartShare: 0,
  loopStallEveryMs: 0,
  loopStallMsMax: 0,
  pauseEveryMs: 0,
  pauseMsMax: 0,
  isThreaded: false,
  hopMsMax: 0.2,
  threadDeathEveryMs: 0,
  intruderEveryMs: 0,
  skewEveryMs: 0,
  skewMsMax: 0,
  jumpEveryMs: 0,
  driftMax: 0,
  keepEntries: 8_192,
  logBytesMax: 128 * 1024 * 1024,
  electionTicks: 6,
  appendBytesMax: 512 * 1024,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  eventLossShare: 0,
  runMsMax: 2_000,
  failedShare: 0.1,
  slotsMax: 100,
  operateEveryMs: 1_000,
  transferEveryMs: 0,
  stopEveryMs: 0,
  drainMsMax: 2_000,
  membershipEveryMs: 0,
  readEveryMs: 0,
  isCoreFirst: false,
};

export function drawPlan(seed: number): Plan {
  const random = sourceFor(seed, SOURCES.plan);
  const isChanging = chance(random, 0.4);
  return {
    ...drawMembers(random, isChanging),
    ...drawNetwork(random),
    ...drawDisks(random),
    ...drawProcesses(random),
    ...drawLimits(random),
    ...drawWork(random),
    membershipEveryMs: isChanging ? between(random, 300, 10_000) : 0,
    // Which servers are enough is hard to say while that changes.
    isCoreFirst: !isChanging && chance(random, 0.5),
  };
}

/** After the faults: what is left of a plan, since it says what the cluster is and does, not what goes wrong. */
export function calmed(plan: Plan): Plan {
  const { voters, agents, spares, isThreaded, driftMax, keepEntries, logBytesMax, appendBytesMax } = plan;
  const { inflightMessagesMax, inflightBytesMax, runMsMax, failedShare, slotsMax, outageMsMax, isCoreFirst } = plan;
  const members = { voters, agents, spares, isThreaded, driftMax, isCoreFirst };
  const limits = { keepEntries, logBytesMax, appendBytesMax, inflightMessagesMax, inflightBytesMax };
  return { ...QUIET, ...members, ...limits, runMsMax, failedShare, slotsMax, outageMsMax };
}

/** For the first line of a trace: what this plan has that a quiet one has not. */
export function planText(plan: Plan): string {
  return Object.entries(plan)
    .filter(([key, value]) => value !== QUIET[key as keyof Plan])
    .map(([key, value]) => `${key}=${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`)
    .join(' ');
}

type Part<Keys extends keyof Plan> = Pick<Plan, Keys>;

/** This, or in half of the seeds nothing of the kind. */
function some(random: Random, low: number, high: number): number {
  return chance(random, 0.5) ? between(random, low, high) : 0;
}

function either(random: Random, ...spans: readonly (readonly [low: number, high: number])[]): number {
  const [low, high] = pick(random, spans);
  return between(random, low, high);
}

function drawMembers(random: Random, isChanging: boolean): Part<'voters' | 'agents' | 'spares'> {
  const voters = chance(random, 0.5) ? 3 : pick(random, [1, 2, 4, 5, 5, 6, 7]);
  const spares = isChanging ? Math.min(VOTERS_MAX - voters, pick(random, [0, 1, 1, 2])) : 0;
  return { voters, spares, agents: pick(random, [0, 1, 2, 2, 3]) };
}

function drawNetwork(
  random: Random,
): Part<
  | 'lossShare'
  | 'duplicateShare'
  | 'delayMsMax'
  | 'slowShare'
  | 'slowMsMax'
  | 'partitionEveryMs'
  | 'partitionMsMax'
  | 'clogEveryMs'
  | 'clogMsMax'
  | 'downEveryMs'
  | 'downMsMax'
  | 'hintLossShare'
  | 'hintSlowShare'
  | 'hintSlowMsMax'
  | 'wrongHintEveryMs'
> {
  return {
    lossShare: some(random, 0.01, 0.3),
    duplicateShare: some(random, 0.01, 0.5),
    delayMsMax: either(random, [1, 10], [10, 150]),
    slowShare: some(random, 0.001, 0.05),
    slowMsMax: between(random, 200, 5_000),
    partitionEveryMs: some(random, 3_000, 30_000),
    partitionMsMax: between(random, 500, 15_000),
    clogEveryMs: some(random, 1_000, 15_000),
    clogMsMax: either(random, [100, 3_000], [3_000, 20_000]),
    downEveryMs: chance(random, 0.3) ? between(random, 10_000, 60_000) : 0,
    downMsMax: either(random, [100, 2_000], [2_000, 15_000]),
    hintLossShare: some(random, 0.05, 1),
    hintSlowShare: some(random, 0.05, 0.5),
    hintSlowMsMax: between(random, 50, 3_000),
    wrongHintEveryMs: some(random, 100, 5_000),
  };
}

function drawDisks(
  random: Random,
): Part<'writeDelayMsMax' | 'stallEveryMs' | 'stallMsMax' | 'diskFailEveryMs' | 'diskFlakeEveryMs' | 'flipEveryMs'> {
  return {
    writeDelayMsMax: chance(random, 0.1) ? between(random, 60, 1_000) : either(random, [0, 5], [5, 60]),
    stallEveryMs: some(random, 2_000, 20_000),
    stallMsMax: either(random, [100, 3_000], [1_000, 10_000]),
    diskFailEveryMs: some(random, 5_000, 60_000),
    diskFlakeEveryMs: some(random, 5_000, 60_000),
    flipEveryMs: 0,
  };
}

function drawProcesses(
  random: Random,
): Part<
  | 'crashEveryMs'
  | 'outageMsMax'
  | 'crashAtStartShare'
  | 'loopStallEveryMs'
  | 'loopStallMsMax'
  | 'pauseEveryMs'
  | 'pauseMsMax'
  | 'isThreaded'
  | 'hopMsMax'
  | 'threadDeathEveryMs'
  | 'intruderEveryMs'
  | 'skewEveryMs'
  | 'skewMsMax'
  | 'jumpEveryMs'
  | 'driftMax'
> {
  const isThreaded = chance(random, 0.5);
  return {
    crashEveryMs: some(random, 2_000, 20_000),
    outageMsMax: either(random, [100, 2_000], [2_000, 30_000]),
    crashAtStartShare: some(random, 0.05, 0.5),
    loopStallEveryMs: some(random, 500, 10_000),
    loopStallMsMax: between(random, 50, 2_000),
    pauseEveryMs: some(random, 5_000, 40_000),
    pauseMsMax: either(random, [500, 5_000], [5_000, 40_000]),
    isThreaded,
    hopMsMax: either(random, [0, 0.5], [0.5, 20]),
    threadDeathEveryMs: isThreaded ? some(random, 5_000, 60_000) : 0,
    intruderEveryMs: some(random, 2_000, 20_000),
    skewEveryMs: some(random, 1_000, 10_000),
    skewMsMax: between(random, 10, 500),
    jumpEveryMs: some(random, 2_000, 20_000),
    driftMax: some(random, 0.001, 0.1),
  };
}

function drawLimits(
  random: Random,
): Part<
  'keepEntries' | 'logBytesMax' | 'electionTicks' | 'appendBytesMax' | 'inflightMessagesMax' | 'inflightBytesMax'
> {
  const isSmall = chance(random, 0.5);
  const electionTicks = chance(random, 0.5) ? 6 : Math.floor(between(random, 2, 5));
  return {
    ...drawCompaction(random),
    electionTicks,
    appendBytesMax: isSmall ? Math.floor(between(random, 16, 64)) * 1_024 : QUIET.appendBytesMax,
    inflightMessagesMax: isSmall ? Math.floor(between(random, 1, 8)) : QUIET.inflightMessagesMax,
    inflightBytesMax: isSmall ? Math.floor(between(random, 1, 64)) * 1_024 : QUIET.inflightBytesMax,
  };
}

function drawCompaction(random: Random): Part<'keepEntries' | 'logBytesMax'> {
  if (chance(random, 0.3)) return { keepEntries: 8_192, logBytesMax: 128 * 1024 * 1024 };
  return { keepEntries: Math.floor(between(random, 1, 40)), logBytesMax: Math.floor(between(random, 0, 30_000)) };
}

function drawWork(
  random: Random,
): Part<
  | 'eventLossShare'
  | 'runMsMax'
  | 'failedShare'
  | 'slotsMax'
  | 'operateEveryMs'
  | 'transferEveryMs'
  | 'stopEveryMs'
  | 'drainMsMax'
  | 'readEveryMs'
> {
  return {
    eventLossShare: some(random, 0.01, 0.5),
    runMsMax: either(random, [0, 1_000], [1_000, 12_000]),
    failedShare: some(random, 0.05, 0.4),
    slotsMax: chance(random, 0.5) ? 100 : Math.floor(between(random, 1, 4)),
    operateEveryMs: between(random, 150, 1_500),
    transferEveryMs: some(random, 300, 10_000),
    stopEveryMs: some(random, 3_000, 30_000),
    drainMsMax: either(random, [0, 500], [500, 5_000]),
    readEveryMs: either(random, [20, 100], [100, 2_000]),
  };
}
