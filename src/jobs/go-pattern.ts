/**
 * The expression of `expectBody`. Dkron's users wrote theirs for Go, ours are run by JavaScript: what both read alike
 * is taken, flags in front are carried over, and what JavaScript would take for something else is a fault.
 */

export interface Pattern {
  readonly source: string;
  /** Of `i`, `m`, `s`. */
  readonly flags: string;
}

export type PatternRead =
  | { readonly type: 'pattern'; readonly pattern: Pattern }
  | { readonly type: 'fault'; readonly message: string };

const CHARACTERS_MAX = 1_000;
/** As in Go, nested counts multiplied. What they unfold to is compiled before any time limit can end it. */
const REPEATS_MAX = 1_000;

export const PATTERN =
  `a regular expression of at most ${CHARACTERS_MAX} characters, with (?i), (?m), (?s) in front only, ` +
  `and repeats of at most ${REPEATS_MAX}`;

export function parsePattern(text: string): PatternRead {
  if (text.length > CHARACTERS_MAX) return fault('is too long');
  const [front = '', flags = ''] = /^\(\?([a-zA-Z]*)\)/.exec(text) ?? [];
  if (/[^ims]/.test(flags)) return fault(`JavaScript has no ${front}`);
  const source = text.slice(front.length);
  const foreign = findForeign(source);
  if (foreign !== undefined) return fault(`JavaScript has no ${foreign}`);
  if (repeatsOf(source) > REPEATS_MAX) return fault('repeats too often');
  const pattern = { source, flags: [...new Set(flags)].join('') };
  try {
    new RegExp(pattern.source, pattern.flags);
  } catch {
    return fault('is not a regular expression');
  }
  return { type: 'pattern', pattern };
}

/** A part that Go reads and JavaScript reads as something else, or that only some versions of JavaScript read. */
function findForeign(source: string): string | undefined {
  for (const { 0: token, index } of source.matchAll(TOKENS)) {
    const [group] = token === '(' ? (FOREIGN_GROUP.exec(source.slice(index)) ?? []) : [];
    if (group !== undefined) return group;
    if (token === '[]' || token === '[^]') return token;
    const [, namedClass] = NAMED_CLASS.exec(token) ?? [];
    if (namedClass !== undefined) return namedClass;
    for (const [escaped] of token.matchAll(/\\x\{|\\[\s\S]/g)) if (FOREIGN_ESCAPES.has(escaped)) return escaped;
  }
  return undefined;
}

/** How often the most repeated atom stands there once all counts are written out. */
function repeatsOf(source: string): number {
  /** Of the groups that are open: the most within them so far. */
  const open: number[] = [1];
  let last = 1;
  for (const { 0: token, 1: least, 2: comma, 3: most } of source.matchAll(TOKENS)) {
    if (token === '(') open.push(1);
    else if (token === ')') last = open.length > 1 ? (open.pop() as number) : 1;
    else if (least === undefined) last = 1;
    else last *= Math.max(1, Number(comma === undefined ? least : most || least));
    const top = open.length - 1;
    if (token !== '(') open[top] = Math.max(open[top] as number, last);
  }
  return Math.max(...open);
}

function fault(message: string): PatternRead {
  return { type: 'fault', message };
}

/** Begin and end of text, a literal stretch, a byte, a bell, classes of Unicode, a long code point. */
const FOREIGN_ESCAPES: ReadonlySet<string> = new Set(
  ['A', 'z', 'Q', 'E', 'C', 'a', 'p', 'P', 'x{'].map((rest) => `\\${rest}`),
);
const FOREIGN_GROUP = /^\(\?(P<|[a-zA-Z-]+[:)])/;
const NAMED_CLASS = /^\[.*(?<!\\)(\[:\^?[a-z]+:\])$/s;
/** An escape, a class as JavaScript ends it, a count, or one character. */
const TOKENS = /\\x\{|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\{([0-9]+)(,([0-9]*))?\}|[\s\S]/g;
