import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shareOutput } from '../../src/api/share-output.ts';

test('what fits is shown whole, what does not shows its tail, and later items keep theirs', () => {
  const sizes = [
    { tailBytes: 4, wantedBytes: 50 },
    { tailBytes: 4, wantedBytes: 60 },
    { tailBytes: 4, wantedBytes: 20 },
    { tailBytes: 2, wantedBytes: 2 },
  ];

  assert.deepEqual(shareOutput(sizes, 100), [50, 4, 20, 2]);
});

test('all together stay within the bound, and each has its tail where there is room for all tails', () => {
  const size = fc.record({ tailBytes: fc.nat(4_096), wantedBytes: fc.nat(1_000_000) });
  fc.assert(
    fc.property(fc.array(size, { maxLength: 200 }), fc.nat(2_000_000), (sizes, totalMax) => {
      const shares = shareOutput(sizes, totalMax);

      assert.ok(shares.reduce((sum, bytes) => sum + bytes, 0) <= totalMax);
      const part = Math.floor(totalMax / Math.max(1, sizes.length));
      for (const [index, { tailBytes, wantedBytes }] of sizes.entries()) {
        const bytes = shares[index] ?? -1;
        assert.ok(bytes === wantedBytes || bytes === Math.min(tailBytes, wantedBytes, part), `${bytes}`);
      }
    }),
  );
});
