import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { jobDocumentSchema } from '../src/api/contract.ts';
import { NATS_OPERATIONS } from '../src/api/nats-service.ts';
import { problem } from '../src/api/problem.ts';
import type { ErrorCode } from '../src/base/errors.ts';
import { METRICS } from '../src/base/metrics.ts';
import { registerClientCommands } from '../src/cli/client-commands.ts';
import { devCommand } from '../src/cli/dev-command.ts';
import { agentCommand, serverCommand } from '../src/cli/node-commands.ts';
import { NODE_EXIT_CODES } from '../src/cli/node-exit-codes.ts';
import { parseSchedule } from '../src/jobs/schedule.ts';
import { HOST_NAME, PROCESSORS, REQUIRED, SETTINGS, type SettingRow, variableOf } from '../src/settings-table.ts';

const ROOT = projectRoot();
const PAGES = markdownFiles();
/** Talks about commands that are planned, and says so. */
const WITH_PLANS = 'docs/architecture.md';

test('every setting stands in the table with its flag, variable, defaults for each command and what is allowed', () => {
  const rows = tableBelow('docs/configuration.md', '## Settings').map((cells) => cells.slice(0, 5));

  const expected = (Object.entries(SETTINGS) as [string, SettingRow][]).map(([name, row]) => [
    code(row.placeholder === '' ? `--${name}` : `--${name} ${row.placeholder}`),
    code(variableOf(name)),
    code(name),
    standardsText(row.standards),
    row.allowed,
  ]);
  assert.deepEqual(rows, expected);
});

test('every exit code of a node stands in the table', () => {
  const listed = tableBelow('docs/configuration.md', '## Exit codes').map(([cell]) => Number(cell));

  assert.deepEqual(listed, [0, 1, ...Object.values(NODE_EXIT_CODES)]);
});

test('every field of a job stands in the README', () => {
  const listed = tableBelow('README.md', '## The job format').flatMap(([cell = '']) => codesIn(cell));

  assert.deepEqual(listed.toSorted(), Object.keys(jobDocumentSchema.shape).toSorted());
});

test('every example of a schedule in the README is a schedule', () => {
  const examples = tableBelow('README.md', '### Schedules').flatMap(([, cell = '']) => codesIn(cell));

  assert.ok(examples.length > 0);
  for (const example of examples) assert.equal(parseSchedule(example).type, 'schedule', example);
});

test('every dependency stands in the README with its reason', () => {
  const rows = tableBelow('README.md', '## Dependencies');
  const packages = JSON.parse(read('package.json')) as Record<'dependencies' | 'devDependencies', object>;

  const expected = [...Object.keys(packages.dependencies), ...Object.keys(packages.devDependencies)];
  const named = rows.flatMap(([cell = '']) => codesIn(cell)).filter((name) => name !== '@nats-io/transport-node');
  assert.deepEqual(named.toSorted(), expected.toSorted());
  for (const [cell, reason] of rows) assert.notEqual(reason, '', cell);
});

test('every metric stands in the table with its labels', () => {
  const listed = new Map<string, string[]>();
  for (const [names = '', labels = ''] of tableBelow('docs/operations.md', '## Metrics')) {
    const own = codesIn(labels.replace(/\(.*\)/, ''));
    for (const name of codesIn(names)) if (name.startsWith('carillon_')) listed.set(name, own);
  }

  const expected = Object.entries(METRICS).map(([name, { labels }]): [string, string[]] => [name, [...labels]]);
  assert.deepEqual(Object.fromEntries(listed), Object.fromEntries(expected));
});

test('every subject of the NATS service stands in the table', () => {
  const listed = tableBelow('docs/http.md', '## NATS').flatMap(([cell = '']) => codesIn(cell));

  const expected = Object.keys(NATS_OPERATIONS).map((subject) => `carillon.<cluster>.api.${subject}`);
  assert.deepEqual(listed.toSorted(), expected.toSorted());
});

/** What keeps a node from its start is told on its terminal; every other code may reach a client. */
const CLIENT_CODES: Readonly<Record<Exclude<ErrorCode, StartCode>, true>> = {
  invalid: true,
  unauthorized: true,
  'not-found': true,
  conflict: true,
  'too-large': true,
  'request-id-reused': true,
  overloaded: true,
  'no-leader': true,
  'not-leader': true,
  'outcome-unknown': true,
  deadline: true,
  stopped: true,
  'thread-died': true,
  'mailbox-full': true,
  'storage-failed': true,
  internal: true,
};
type StartCode = 'settings' | 'address-in-use' | 'foreign-directory' | 'newer-directory' | 'directory-unusable';

test('every code that clients meet stands in the table of errors with its status', () => {
  const listed = tableBelow('docs/http.md', '## Errors').flatMap(([status, codes = '']) =>
    codesIn(codes).map((code) => `${status} ${code}`),
  );

  const expected = Object.keys(CLIENT_CODES).map((code) => `${problem(code as ErrorCode, '').status} ${code}`);
  // The only one with two: foreign web pages are refused by it as well.
  assert.deepEqual(listed.toSorted(), [...expected, '403 invalid'].toSorted());
});

test('every command line in the documents exists, with its options', () => {
  const program = new Command('carillon');
  program.addCommand(devCommand('0.0.0')).addCommand(serverCommand('0.0.0')).addCommand(agentCommand('0.0.0'));
  registerClientCommands(program);
  const wrong: string[] = [];
  let count = 0;
  for (const page of PAGES.filter((path) => path !== WITH_PLANS)) {
    for (const line of commandLines(read(page))) {
      count += 1;
      const mistake = mistakeIn(program, line);
      if (mistake !== undefined) wrong.push(`${page}: ${line}: ${mistake}`);
    }
  }

  assert.ok(count > 10, `only ${count} command lines were found`);
  assert.deepEqual(wrong, []);
});

test('every link between documents leads to a file, and to a heading that is there', () => {
  const wrong: string[] = [];
  for (const page of PAGES) {
    for (const [, target = ''] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#', 2);
      const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
      if (!existsSync(file)) wrong.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).has(anchor)) {
        wrong.push(`${page}: ${target}: no such heading`);
      }
    }
  }

  assert.deepEqual(wrong, []);
});

test('every document below docs is linked from the README or from another document', () => {
  const linked = new Set<string>();
  for (const page of PAGES) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      linked.add(
        relative(ROOT, resolve(ROOT, dirname(page), target))
          .split(sep)
          .join('/'),
      );
    }
  }

  const lost = PAGES.filter((path) => path.startsWith('docs/') && !linked.has(path) && !linked.has(dirname(path)));
  assert.deepEqual(lost, []);
});

function markdownFiles(): string[] {
  const own = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true })
    .map((name) => `docs/${String(name).split(sep).join('/')}`)
    .filter((name) => name.endsWith('.md'));
  return [...own, ...docs].sort();
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The cells of the first table below a heading, without its head. */
function tableBelow(page: string, heading: string): string[][] {
  const text = read(page);
  const start = text.indexOf(`\n${heading}\n`);
  assert.notEqual(start, -1, `${page} has no heading ${heading}`);
  const lines = text.slice(start).split('\n');
  const first = lines.findIndex((line) => line.startsWith('|'));
  const after = lines.findIndex((line, index) => index > first && !line.startsWith('|'));
  const rows = lines.slice(first + 2, after === -1 ? undefined : after);
  return rows.map((line) => line.replace(/^\|\s*|\s*\|$/g, '').split(/\s*\|\s*/));
}

/** `dev`, `server`: `a`; `agent`: none. Without commands where one default is for all of them. */
function standardsText(standards: SettingRow['standards']): string {
  const commandsOf = new Map<string, string[]>();
  for (const [command, standard] of Object.entries(standards)) {
    const isWord = [HOST_NAME, PROCESSORS, REQUIRED].includes(standard);
    const text = standard === '' ? 'none' : isWord ? standard : code(standard);
    commandsOf.set(text, [...(commandsOf.get(text) ?? []), code(command)]);
  }
  const parts = [...commandsOf].map(([text, commands]) =>
    commands.length === ALL_COMMANDS ? text : `${commands.join(', ')}: ${text}`,
  );
  return parts.join('; ');
}

const ALL_COMMANDS = 3;

function code(text: string): string {
  return `\`${text}\``;
}

function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, inner = '']) => inner);
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}

/** From code blocks and from code within lines. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```[a-z]*\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => block.split('\n'));
  const inline = codesIn(text.replace(/^```[\s\S]*?^```/gm, ''));
  const start = /^(?:[A-Z_]+=\S* |[a-z]+=\$\()*(?:npx )?carillon (?=[a-z-])/;
  return [...blocks, ...inline].filter((line) => start.test(line)).map((line) => line.replace(start, ''));
}

/** Walks down the commands and looks each option up; what follows a shell operator is another command. */
function mistakeIn(program: Command, line: string): string | undefined {
  const words = shellWords(line.split(/\s(?:&&|\||#)\s/)[0] ?? '');
  let command = program;
  while (words.length > 0) {
    const found = command.commands.find((child) => child.name() === words[0]);
    if (found === undefined) break;
    command = found;
    words.shift();
  }
  if (command === program) return `there is no command ${words[0]}`;
  const isGroup = command.commands.length > 0;
  if (isGroup && words[0] !== undefined && !words[0].startsWith('-')) return `there is no command ${words[0]}`;
  const operands: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (!word.startsWith('--')) operands.push(word);
    else if (word !== '--help') {
      const option = command.options.find(({ long }) => long === word.split('=', 1)[0]);
      if (option === undefined) return `there is no option ${word}`;
      if (option.required && !word.includes('=') && words.shift() === undefined) return `${word} lacks its value`;
    }
  }
  const operandsMax = command.registeredArguments.length;
  return operands.length > operandsMax ? `${operands[operandsMax]} is one operand too many` : undefined;
}

function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replace(/['"]/g, ''));
}

/** As they are made from headings on the pages where these documents are read. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}

function projectRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package-lock.json'))) directory = dirname(directory);
  return directory;
}
