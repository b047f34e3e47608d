/** Small sets of numbers as bits of an integer: bit n stands for n (0 to 30). */

/** The least member at or above `from`, or -1. */
export function nextBit(bits: number, from: number): number {
  if (from > 30) return -1;
  const above = (bits >>> from) << from;
  return above === 0 ? -1 : 31 - Math.clz32(above & -above);
}

/** The greatest member at or below `to`, or -1. */
export function previousBit(bits: number, to: number): number {
  return 31 - Math.clz32(bitsBelow(bits, to + 1));
}

/** The members below `limit`. */
export function bitsBelow(bits: number, limit: number): number {
  if (limit <= 0) return 0;
  return limit > 30 ? bits : bits & ((1 << limit) - 1);
}

export function countBits(bits: number): number {
  let pairs = bits - ((bits >>> 1) & 0x55555555);
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return (((pairs + (pairs >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** Numbers from 0 to 59. */
export interface Sixty {
  /** Bit n: n, 0 to 29. */
  readonly low: number;
  /** Bit n: 30 + n. */
  readonly high: number;
}

export function nextOfSixty(set: Sixty, from: number): number {
  const low = from < 30 ? nextBit(set.low, from) : -1;
  if (low >= 0) return low;
  const high = nextBit(set.high, Math.max(0, from - 30));
  return high < 0 ? -1 : high + 30;
}

export function previousOfSixty(set: Sixty, to: number): number {
  const high = to < 30 ? -1 : previousBit(set.high, to - 30);
  return high >= 0 ? high + 30 : previousBit(set.low, Math.min(to, 29));
}

/** How many members are below `limit`. */
export function countOfSixty(set: Sixty, limit: number): number {
  return countBits(bitsBelow(set.low, limit)) + countBits(bitsBelow(set.high, limit - 30));
}
