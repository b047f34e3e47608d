import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { REPLAY_WINDOW, ReplayWindow } from '../../src/cluster/replay-window.ts';

const HIGHEST = 2 ** 48 - 1;

const RULES: readonly { readonly title: string; readonly counts: readonly number[]; readonly taken: string }[] = [
  { title: 'the next, and the next', counts: [1, 2, 3], taken: 'yyy' },
  { title: 'the same again', counts: [1, 1, 2, 1, 2], taken: 'ynynn' },
  { title: 'overtaken', counts: [3, 1, 2], taken: 'yyy' },
  { title: 'overtaken, and again', counts: [3, 1, 1, 3, 2], taken: 'yynny' },
  { title: 'over the edges of blocks', counts: [31, 32, 33, 63, 64, 31, 32, 64], taken: 'yyyyynnn' },
  { title: 'the first is far on', counts: [1_000_000, 1_000_000, 999_999], taken: 'yny' },
  { title: 'the oldest that must be taken', counts: [REPLAY_WINDOW + 7, 7, 7], taken: 'yyn' },
  { title: 'too old, though it never came', counts: [REPLAY_WINDOW + 100, 67], taken: 'yn' },
  { title: 'a leap does not make seen ones new', counts: [5, 6, 5 + REPLAY_WINDOW, 6, 5], taken: 'yyynn' },
  { title: 'a leap over the whole ring', counts: [5, 10 * REPLAY_WINDOW, 5, 10 * REPLAY_WINDOW - 1], taken: 'yyny' },
  { title: 'a leap by exactly the ring, onto the same bit', counts: [5, 5 + 4096, 5 + 4096, 5], taken: 'yynn' },
  { title: 'the last counts of all', counts: [HIGHEST - 1, HIGHEST, HIGHEST, HIGHEST - 2, 1], taken: 'yynyn' },
];

for (const { title, counts, taken } of RULES) {
  test(`a window takes ${taken} of ${counts.join(' ')}: ${title}`, () => {
    const window = new ReplayWindow();

    assert.equal(counts.map((count) => (window.take(count) ? 'y' : 'n')).join(''), taken);
  });
}

test('counts that come again and again in any order within the window are each taken once', () => {
  const arrivals = fc.array(fc.tuple(fc.integer({ min: 1, max: 3_000 }), fc.nat(REPLAY_WINDOW)), { maxLength: 2_000 });
  fc.assert(
    fc.property(arrivals, fc.nat(HIGHEST - 10_000_000), (steps, start) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = start;
      for (const [step, behind] of steps) {
        // Half of them move on, the others lie somewhere behind.
        const count = behind % 2 === 0 ? highest + step : Math.max(1, highest - behind);
        highest = Math.max(highest, count);

        assert.equal(window.take(count), !seen.has(count), `${count}, highest ${highest}`);
        seen.add(count);
      }
    }),
  );
});

test('no count is ever taken twice, however they leap', () => {
  const counts = fc.oneof(fc.nat(200), fc.nat(20_000), fc.nat(HIGHEST));
  fc.assert(
    fc.property(fc.array(counts, { maxLength: 500 }), (arrivals) => {
      const window = new ReplayWindow();

      const taken = arrivals.filter((count) => window.take(count));

      assert.equal(new Set(taken).size, taken.length);
    }),
    { numRuns: 500 },
  );
});
