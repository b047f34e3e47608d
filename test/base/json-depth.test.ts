import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { depthOfJson } from '../../src/base/json-depth.ts';

test('the depth of a text is that of its value, whatever its strings hold', () => {
  const deepest = (value: unknown): number =>
    value === null || typeof value !== 'object' ? 0 : 1 + Math.max(0, ...Object.values(value).map(deepest));
  const strings = fc.constantFrom('[', '{"', '\\"[[', '\\', ']]', '"');
  const values = fc.jsonValue({ maxDepth: 6 });
  fc.assert(
    fc.property(fc.record({ values, strings: fc.dictionary(strings, strings) }), (value) => {
      assert.equal(depthOfJson(JSON.stringify(value, null, 1)), deepest(value));
    }),
  );
  assert.equal(depthOfJson('['.repeat(1_000_000)), 1_000_000);
});
