import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readInstant } from '../../src/api/instant-text.ts';
import { type JsonOut, parseJson, writeJson, writePrettyJson } from '../../src/api/json-text.ts';
import { writeInstant } from '../../src/jobs/instant.ts';

test('what is written reads back as it was, compact and pretty', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const expected = JSON.stringify(value);
      assert.equal(writeJson(value as JsonOut), expected);
      assert.equal(JSON.stringify(JSON.parse(writePrettyJson(value as JsonOut))), expected);
    }),
  );
});

test('integers of any size are written to the last digit', () => {
  fc.assert(
    fc.property(fc.bigInt(), (value) => {
      assert.equal(writeJson({ group: [value] }), `{"group":[${value}]}`);
    }),
  );
});

test('any text and any number is written as JSON.stringify writes it', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 300 }));
  const value = fc.oneof(text, fc.double(), fc.constant(-0), fc.dictionary(text, fc.oneof(text, fc.double())));
  fc.assert(
    fc.property(value, (any) => {
      assert.equal(writeJson(any), JSON.stringify(any));
    }),
  );
});

test('absent fields are left out', () => {
  assert.equal(writeJson({ a: undefined, b: null }), '{"b":null}');
  assert.equal(writePrettyJson({ a: undefined, b: [1n, {}] }), '{\n    "b": [\n        1,\n        {}\n    ]\n}');
});

test('bytes are read as JSON, with a byte order mark or without', () => {
  assert.deepEqual(parseJson(Buffer.from('\ufeff{"a":1}')), { a: 1 });
});

for (const [text, expected] of [
  ['2026-12-24T18:00:00Z', '2026-12-24T18:00:00Z'],
  ['2026-12-24T18:00:00.120000000Z', '2026-12-24T18:00:00.12Z'],
  ['2026-12-24T18:00:00.123456789+01:00', '2026-12-24T17:00:00.123Z'],
  ['2026-12-24T18:00', '2026-12-24T18:00:00Z'],
] as const) {
  test(`the time ${text} is ${expected}`, () => {
    assert.equal(writeInstant(Number(readInstant(text))), expected);
  });
}

test('the zero time is none, and what is no time is refused', () => {
  assert.equal(readInstant('0001-01-01T00:00:00Z'), null);
  for (const text of ['', 'now', '2026-02-30T00:00:00Z', '2026-12-24', '2026-12-24T18:00:00', '2026-12-24T25:00']) {
    assert.equal(readInstant(text), undefined, text);
  }
});
