import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePattern } from '../../src/jobs/go-pattern.ts';

const taken: readonly (readonly [text: string, source: string, flags: string])[] = [
  ['ok', 'ok', ''],
  ['(?i)ok', 'ok', 'i'],
  ['(?s)a.b', 'a.b', 's'],
  ['(?im)^ok$', '^ok$', 'im'],
  ['(?ii)ok', 'ok', 'i'],
  ['{"ok":true}', '{"ok":true}', ''],
  ['(?:a|b)+(?=c)', '(?:a|b)+(?=c)', ''],
  ['(?<year>[0-9]{4})', '(?<year>[0-9]{4})', ''],
  ['[(?i)]', '[(?i)]', ''],
  ['[\\]\\[:a:]', '[\\]\\[:a:]', ''],
  ['\\\\A', '\\\\A', ''],
  ['a{1000}b{1000}', 'a{1000}b{1000}', ''],
  ['(?:a{10}){100}', '(?:a{10}){100}', ''],
];
for (const [text, source, flags] of taken) {
  test(`${text} is ${source} with the flags '${flags}'`, () => {
    assert.deepEqual(parsePattern(text), { type: 'pattern', pattern: { source, flags } });
  });
}

const refused: readonly (readonly [text: string, message: string])[] = [
  ['(', 'is not a regular expression'],
  ['a)', 'is not a regular expression'],
  ['\\(?i)', 'is not a regular expression'],
  ['x'.repeat(1_001), 'is too long'],
  ['(?U)a+', 'JavaScript has no (?U)'],
  ['(?iU)a+', 'JavaScript has no (?iU)'],
  ['a(?i)b', 'JavaScript has no (?i)'],
  ['a(?i:b)', 'JavaScript has no (?i:'],
  ['a(?-s:b)', 'JavaScript has no (?-s:'],
  ['(?P<year>a)', 'JavaScript has no (?P<'],
  ['\\Aok', 'JavaScript has no \\A'],
  ['ok\\z', 'JavaScript has no \\z'],
  ['\\Q(a)\\E', 'JavaScript has no \\Q'],
  ['\\pL+', 'JavaScript has no \\p'],
  ['[\\p{Greek}]', 'JavaScript has no \\p'],
  ['\\x{10FFFF}', 'JavaScript has no \\x{'],
  ['[[:alpha:]]', 'JavaScript has no [:alpha:]'],
  ['[^_[:^digit:]x]', 'JavaScript has no [:^digit:]'],
  ['[]a]', 'JavaScript has no []'],
  ['[^]a]', 'JavaScript has no [^]'],
  ['a{1001}', 'repeats too often'],
  ['a{1,1001}', 'repeats too often'],
  ['a{1001,}', 'repeats too often'],
  ['((a?){1000}){1000}', 'repeats too often'],
  ['(?:x(?:ab{11}|c)d){100}', 'repeats too often'],
];
for (const [text, message] of refused) {
  test(`${text.slice(0, 40)} ${message}`, () => {
    assert.deepEqual(parsePattern(text), { type: 'fault', message });
  });
}
