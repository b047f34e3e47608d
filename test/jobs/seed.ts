import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';

/** A source whose seed stands in the output; `TEST_SEED=n` replays it. */
export function printedRandom(name: string): { readonly random: Random; readonly seed: number } {
  const given = process.env['TEST_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  console.log(`${name}: TEST_SEED=${seed}`);
  return { random: seededRandom(seed), seed };
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[randomInteger(random, 0, items.length - 1)] as Item;
}
