import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';

/** True in this share of the cases. */
export function chance(random: Random, share: number): boolean {
  return random() < share;
}

export function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low);
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[randomInteger(random, 0, items.length - 1)] as Item;
}

/** A source of its own for each purpose, so that a change to one leaves the others' draws as they were. */
export function sourceFor(seed: number, purpose: number): Random {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(purpose + 1, 0x85ebca6b));
  // Neighbouring seeds start alike; the first draws are thrown away.
  for (let thrown = 0; thrown < 4; thrown += 1) random();
  return random;
}

/** What random numbers are drawn for; each draws from its own source. */
export const SOURCES = {
  plan: 0,
  network: 1,
  faults: 2,
  workload: 3,
  disk: 4,
  executor: 5,
  events: 6,
  hints: 7,
  operator: 8,
  rates: 9,
  firstNode: 10,
  core: 20,
  reads: 21,
  membership: 22,
  registers: 23,
} as const;
