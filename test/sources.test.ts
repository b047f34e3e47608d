import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** What a reader may rely on in every file. The linter checks some of it too; this is the second look. */
const LINES_MAX = 500;

/** Bottom to top; folders in one row are strangers. */
const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['jobs', 'actors'],
  ['store', 'cluster'],
  ['raft'],
  ['scheduler', 'executors'],
  ['dispatcher'],
  ['api'],
  ['cli'],
];

/** By the technology that they bind, or, of executors, by what they start. */
const ADAPTER = /^(level|nats|piscina|fastify|prom|pino|system|worker|intl|comlink)-|-executor\.ts$/;
const ENTRY = /^src\/((main|node|config)\.ts$|cli\/)|\.worker\.ts$|^src\/actors\/thread-entry\.ts$/;

test('no file has more than 500 lines', () => {
  assert.ok(SOURCES.length > 0, `no sources below ${ROOT}`);
  const long = FILES.filter(({ text }) => text.split('\n').length > LINES_MAX + 1).map(({ path }) => path);

  assert.deepEqual(long, []);
});

test('a file imports only from its own folder and from the floors below', () => {
  const wrong: string[] = [];
  for (const { path, text } of SOURCES) {
    for (const target of importsOf(text)) {
      if (!target.startsWith('.')) continue;
      const imported = posix.normalize(posix.join(posix.dirname(path), target));
      if (!isBelow(path, imported)) wrong.push(`${path} imports ${imported}`);
    }
  }

  assert.deepEqual(wrong, []);
});

test('only adapters and entry points import what reaches the world', () => {
  const world = /^(node:(fs|net|http|https|dgram|child_process|worker_threads|os|dns|tls|readline|timers)(\/|$)|nats$)/;
  const wrong: string[] = [];
  for (const { path, text } of RULES_AND_ACTORS) {
    for (const target of importsOf(text)) if (world.test(target)) wrong.push(`${path} imports ${target}`);
  }

  assert.deepEqual(wrong, []);
});

test('only entry points draw from Math.random; all others are handed a source of randomness', () => {
  const wrong = SOURCES.filter(({ path, text }) => !ENTRY.test(path) && /\bMath\.random\b/.test(code(text)));

  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('actors never await', () => {
  const wrong = SOURCES.filter(({ path, text }) => path.endsWith('-actor.ts') && /\bawait\s/.test(code(text)));

  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('no test is left out or singled out', () => {
  const wrong = FILES.filter(
    ({ path, text }) =>
      path.startsWith('test/') && /\b(test|it|describe|suite)\.(only|skip|todo)\b|\b(only|skip|todo): true/.test(text),
  );

  assert.deepEqual(
    wrong.map(({ path }) => path).filter((path) => path !== OWN_PATH),
    [],
  );
});

test('no two tests of one file have the same name', () => {
  const wrong: string[] = [];
  for (const { path, text } of FILES) {
    if (!path.endsWith('.test.ts')) continue;
    const seen = new Set<string>();
    for (const [, group, name] of text.matchAll(/^\s*(describe|(?:test|it))\(\s*'((?:[^'\\]|\\.)+)'/gm)) {
      if (group === 'describe') seen.clear();
      else if (seen.has(name ?? '')) wrong.push(`${path}: ${name}`);
      else seen.add(name ?? '');
    }
  }

  assert.deepEqual(wrong, []);
});

test('no file names a path of the machine that it was written on', () => {
  const machine = /(?<![\w.])\/(work|root|home)\/\w|\/tmp\/[a-z]/;
  const wrong = FILES.filter(({ path, text }) => path !== OWN_PATH && machine.test(text)).map(({ path }) => path);

  assert.deepEqual(wrong, []);
});

interface SourceFile {
  /** Relative to the project, with slashes. */
  readonly path: string;
  readonly text: string;
}

const OWN_PATH = 'test/sources.test.ts';
const ROOT = projectRoot();
const FILES = ['src', 'test', 'bench', 'scripts'].flatMap((folder) => read(folder));
const SOURCES = FILES.filter(({ path }) => path.startsWith('src/'));
const RULES_AND_ACTORS = SOURCES.filter(({ path }) => !ADAPTER.test(posix.basename(path)) && !ENTRY.test(path));

function read(folder: string): SourceFile[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(ROOT, file).split(sep).join('/'), text: readFileSync(file, 'utf8') }));
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/^\s*(?:import|export|\})[^'"\n]*\bfrom '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    ([, named, dynamic]) => named ?? dynamic ?? '',
  );
}

/** Files that lie in `src/` itself are the top floor, and only they import one another. */
function isBelow(path: string, imported: string): boolean {
  const [source, target] = [folderOf(path), folderOf(imported)];
  if (source === target) return true;
  const sourceFloor = source === '' ? FLOORS.length : floorOf(source);
  const targetFloor = target === '' ? FLOORS.length : floorOf(target);
  if (source === 'cli') return true;
  return targetFloor < sourceFloor;
}

function folderOf(path: string): string {
  const [, folder, ...rest] = path.split('/');
  return rest.length === 0 ? '' : (folder ?? '');
}

function floorOf(folder: string): number {
  const floor = FLOORS.findIndex((folders) => folders.includes(folder));
  assert.notEqual(floor, -1, `src/${folder} has no floor`);
  return floor;
}

/** Without comments, which may talk about what code must not do. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function projectRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package-lock.json'))) directory = dirname(directory);
  return directory;
}
