import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitWords } from '../../src/jobs/split-words.ts';

const lines: readonly (readonly [line: string, words: readonly string[] | undefined])[] = [
  ['', []],
  ['  ', []],
  ['echo hello', ['echo', 'hello']],
  [' echo\t hello\n', ['echo', 'hello']],
  [`echo 'a b' "c d"`, ['echo', 'a b', 'c d']],
  [`a'b'"c"d`, ['abcd']],
  [`''`, ['']],
  [`""`, ['']],
  ['a\\ b', ['a b']],
  [`"a\\"b"`, ['a"b']],
  [`"a\\nb"`, ['a\\nb']],
  [`'a\\'`, ['a\\']],
  [`"$HOME" $HOME *`, ['$HOME', '$HOME', '*']],
  [`"it's"`, [`it's`]],
  [`'say "hi"'`, ['say "hi"']],
  ['a | b && c', ['a', '|', 'b', '&&', 'c']],
  [`'open`, undefined],
  [`"open`, undefined],
  ['open\\', undefined],
];
for (const [line, words] of lines) {
  test(`the line ${JSON.stringify(line)} has the words ${JSON.stringify(words)}`, () => {
    assert.deepEqual(splitWords(line), words);
  });
}

test('any words, quoted, come back', () => {
  const property = fc.property(fc.array(fc.string()), (words) => {
    const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

    assert.deepEqual(splitWords(line), words);
  });

  fc.assert(property);
});
