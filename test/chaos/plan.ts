/** Which faults happen when: drawn from the seed alone, so that a run can be asked for again. */
import type { Random } from '../../src/base/random.ts';
import { between, chance, sourceFor } from '../sim/draw.ts';

export type FaultKind =
  | 'kill-leader'
  | 'kill-follower'
  | 'kill-agent'
  | 'pause-leader'
  | 'pause-follower'
  | 'pause-agent'
  | 'nats-kill'
  | 'nats-kill-one'
  | 'disk-full'
  | 'fsync-error'
  | 'fsync-slow'
  | 'cut-outward'
  | 'cut-inward'
  | 'clock-ahead'
  | 'clock-behind';

export const FAULT_KINDS: readonly FaultKind[] = [
  'kill-leader',
  'kill-follower',
  'kill-agent',
  'pause-leader',
  'pause-follower',
  'pause-agent',
  'nats-kill',
  'nats-kill-one',
  'disk-full',
  'fsync-error',
  'fsync-slow',
  'cut-outward',
  'cut-inward',
  'clock-ahead',
  'clock-behind',
];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** Since the load began. */
  readonly atMs: number;
  readonly durationMs: number;
  /** In [0, 1): who of those that it may hit. */
  readonly draw: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly loadMs: number;
  readonly kinds: readonly FaultKind[];
}

/** The last fault has ended when the load does. */
export function planFaults({ seed, loadMs, kinds }: PlanOptions): readonly PlannedFault[] {
  const random = sourceFor(seed, PURPOSE);
  const faults: PlannedFault[] = [];
  let bag: FaultKind[] = [];
  let atMs = between(random, 1_000, 3_000);
  while (kinds.length > 0) {
    // Dealt like cards, so that a short run too has one of each before it has two.
    if (bag.length === 0) bag = shuffle(random, kinds);
    const kind = bag.pop() ?? 'kill-leader';
    const durationMs = Math.round(drawDuration(random, kind, loadMs));
    const draw = random();
    if (atMs + durationMs > loadMs) break;
    faults.push({ kind, atMs: Math.round(atMs), durationMs, draw });
    // Half of them overlap the next one.
    atMs += between(random, 2_000, 6_000) + (chance(random, 0.5) ? durationMs : 0);
  }
  return faults;
}

/** Draws for faults must not change with those of the load. */
const PURPOSE = 101;
/** From this length of a run on durations are as long as they get. */
const FULL_LOAD_MS = 5 * 60_000;

function drawDuration(random: Random, kind: FaultKind, loadMs: number): number {
  const scale = Math.min(1, loadMs / FULL_LOAD_MS);
  const [low, high] = DURATIONS_MS[kind];
  return between(random, low, Math.max(low + 1_000, high * scale));
}

const DURATIONS_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  'kill-leader': [200, 10_000],
  'kill-follower': [200, 10_000],
  'kill-agent': [200, 10_000],
  'pause-leader': [500, 8_000],
  'pause-follower': [500, 8_000],
  'pause-agent': [500, 8_000],
  'nats-kill': [2_000, 60_000],
  'nats-kill-one': [2_000, 60_000],
  'disk-full': [4_000, 15_000],
  'fsync-error': [4_000, 8_000],
  'fsync-slow': [3_000, 8_000],
  'cut-outward': [2_000, 15_000],
  'cut-inward': [2_000, 15_000],
  'clock-ahead': [3_000, 20_000],
  'clock-behind': [3_000, 20_000],
};

function shuffle<Item>(random: Random, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((left, right) => left.order - right.order)
    .map(({ item }) => item);
}
