import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SOURCES = path.join(sourceRoot(), 'src');

/** From wherever the tests were built to. */
function sourceRoot(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    try {
      readFileSync(path.join(folder, 'tsconfig.json'));
      return folder;
    } catch (error) {
      if (folder === path.dirname(folder)) throw error;
    }
  }
}

/** All files that `apply` can run code of: imports of types do not count. */
function callTree(file: string, found = new Map<string, string>()): Map<string, string> {
  if (found.has(file)) return found;
  const text = readFileSync(file, 'utf8');
  found.set(file, text);
  for (const [, clause, target] of text.matchAll(/^import ([^;]*?) from '(\.[^']+)';/gms)) {
    if (clause?.startsWith('type ') !== true) callTree(path.resolve(path.dirname(file), target as string), found);
  }
  return found;
}

test('nothing that apply calls reads a clock, a random number, a locale or the world', () => {
  const files = callTree(path.join(SOURCES, 'scheduler/apply.ts'));
  const forbidden = [
    /\bDate\b/,
    /Math\.(random|sin|cos|tan|exp|log|pow|sqrt|cbrt|hypot)/,
    /\bIntl\b/,
    /toLocale|localeCompare/,
    /\bprocess\./,
    /performance\./,
    /setTimeout|setImmediate|queueMicrotask/,
    /\bawait\b|\basync\b/,
    /^import [^;]*from 'node:(?!assert|crypto|zlib)/m,
    /^import [^;]*from '[^.n]/m,
    /\bfor \(const \w+ in /,
    /toSorted|\.sort\(/,
  ];

  assert.ok(files.size > 15, [...files.keys()].join('\n'));
  for (const [file, text] of files) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    for (const pattern of forbidden) {
      const isScan = file.endsWith('scheduler/state.ts') && pattern.source.includes('sort');
      if (!isScan) assert.doesNotMatch(code, pattern, path.relative(SOURCES, file));
    }
  }
});
