import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SortedRows } from '../../src/store/sorted-rows.ts';

type Step =
  | { readonly type: 'put' | 'delete'; readonly key: string }
  | { readonly type: 'copy' }
  | { readonly type: 'swap' };

const keys = fc.integer({ min: 0, max: 999 }).map((number) => String(number).padStart(4, '0'));
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), key: keys }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), key: keys }) },
    { weight: 1, arbitrary: fc.constant({ type: 'copy' as const }) },
    { weight: 1, arbitrary: fc.constant({ type: 'swap' as const }) },
  ),
  { maxLength: 600, size: 'max' },
);

test('map and copy are each what a plain map would be, however writes to them alternate', () => {
  fc.assert(
    fc.property(steps, (story) => {
      let [left, right] = [new SortedRows(), new SortedRows()];
      let [leftModel, rightModel] = [new Map<string, number>(), new Map<string, number>()];
      for (const [index, step] of story.entries()) {
        if (step.type === 'copy') {
          right = left.copy();
          rightModel = new Map(leftModel);
        } else if (step.type === 'swap') {
          [left, right] = [right, left];
          [leftModel, rightModel] = [rightModel, leftModel];
        } else if (step.type === 'put') {
          left.put(step.key, Uint8Array.of(index % 256));
          leftModel.set(step.key, index % 256);
        } else {
          left.delete(step.key);
          leftModel.delete(step.key);
        }
      }

      for (const [rows, model] of [
        [left, leftModel],
        [right, rightModel],
      ] as const) {
        const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
        const all = { from: '', to: '~', limit: Number.POSITIVE_INFINITY };
        assert.equal(rows.size, model.size);
        assert.deepEqual(
          rows.scan(all).map(({ key, value }) => [key, value[0]]),
          expected,
        );
        assert.deepEqual(
          rows.scan({ from: '0300', to: '0700', limit: 40, reverse: true }).map(({ key }) => key),
          expected
            .map(([key]) => key)
            .filter((key) => key >= '0300' && key < '0700')
            .reverse()
            .slice(0, 40),
        );
        for (const [key, value] of model) assert.equal(rows.get(key)?.[0], value);
      }
    }),
    { numRuns: 60 },
  );
});

test('ten thousand growing keys, a copy, and as many deletes leave the copy whole', () => {
  const rows = new SortedRows();
  for (let index = 0; index < 10_000; index += 1) rows.put(String(index).padStart(6, '0'), Uint8Array.of(1));
  const copy = rows.copy();

  for (let index = 0; index < 10_000; index += 1) rows.delete(String(index).padStart(6, '0'));

  assert.equal(rows.size, 0);
  assert.deepEqual(rows.scan({ from: '', to: '~', limit: 10 }), []);
  assert.equal(copy.size, 10_000);
  assert.equal(copy.scan({ from: '', to: '~', limit: 20_000 }).length, 10_000);
});
