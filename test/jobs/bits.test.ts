import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bitsBelow,
  countBits,
  countOfSixty,
  nextBit,
  nextOfSixty,
  previousBit,
  previousOfSixty,
} from '../../src/jobs/bits.ts';
import { printedRandom } from './seed.ts';

const { seed } = printedRandom('bits');
const members = (max: number) => fc.uniqueArray(fc.nat(max), { maxLength: max + 1 });
const bitsOf = (numbers: readonly number[]) => numbers.reduce((bits, number) => bits + 2 ** number, 0);

test('bits answer as a sorted list would', () => {
  fc.assert(
    fc.property(members(30), fc.integer({ min: -1, max: 32 }), (numbers, at) => {
      const bits = bitsOf(numbers);
      const below = numbers.filter((number) => number < at);

      assert.equal(nextBit(bits, Math.max(0, at)), nextOf(numbers, at));
      assert.equal(previousBit(bits, at), Math.max(-1, ...numbers.filter((number) => number <= at)));
      assert.equal(bitsBelow(bits, at), bitsOf(below));
      assert.equal(countBits(bits), numbers.length);
    }),
    { seed, numRuns: 1_000 },
  );
});

test('sets of sixty answer as a sorted list would', () => {
  fc.assert(
    fc.property(members(59), fc.integer({ min: 0, max: 60 }), (numbers, at) => {
      const low = bitsOf(numbers.filter((number) => number < 30));
      const high = bitsOf(numbers.filter((number) => number >= 30).map((number) => number - 30));

      assert.equal(nextOfSixty({ low, high }, at), nextOf(numbers, at));
      assert.equal(previousOfSixty({ low, high }, at), Math.max(-1, ...numbers.filter((number) => number <= at)));
      assert.equal(countOfSixty({ low, high }, at), numbers.filter((number) => number < at).length);
    }),
    { seed, numRuns: 1_000 },
  );
});

function nextOf(numbers: readonly number[], at: number): number {
  const above = numbers.filter((number) => number >= at);
  return above.length === 0 ? -1 : Math.min(...above);
}
