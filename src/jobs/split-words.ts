/**
 * Splits a command line into words as a shell would, without running one: blanks separate, `'…'` keeps all, `"…"` keeps
 * all but `\"`, `\\`, `\$` and `` \` ``, a backslash keeps the next character. Nothing is expanded. Undefined where a
 * quote is not closed or a backslash ends the line.
 */
export function splitWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word = '';
  let isInWord = false;
  let quote = '';
  for (let index = 0; index < line.length; index += 1) {
    const character = line[index] as string;
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
    } else if (character === '\\') {
      const next = line[index + 1];
      if (next === undefined) return undefined;
      word += quote === '"' && !ESCAPED_IN_QUOTES.has(next) ? `\\${next}` : next;
      isInWord = true;
      index += 1;
    } else if (quote === '"') {
      if (character === '"') quote = '';
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      isInWord = true;
    } else if (BLANKS.has(character)) {
      if (isInWord) words.push(word);
      word = '';
      isInWord = false;
    } else {
      word += character;
      isInWord = true;
    }
  }
  if (quote !== '') return undefined;
  if (isInWord) words.push(word);
  return words;
}

const BLANKS: ReadonlySet<string> = new Set([' ', '\t', '\n', '\r']);
const ESCAPED_IN_QUOTES: ReadonlySet<string> = new Set(['"', '\\', '$', '`']);
