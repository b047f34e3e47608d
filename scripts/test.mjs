// Runs the built tests: `npm test`, or `npm test -- retry raft` for the files whose path has one of the words.
// Two files at a time; what lies in integration/ and the short chaos run come last and one at a time. `--unit` leaves
// those out.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tests = join(root, 'dist', 'test');
const FILE_MS_MAX = 8 * 60_000;
const TESTS_LINE = /^# (tests|pass|fail|cancelled|skipped|todo) (\d+)$/gm;

const options = process.argv.slice(2).filter((word) => word.startsWith('--'));
const patterns = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = options.filter((option) => option !== '--unit');
if (unknown.length > 0) fail(`unknown option ${unknown.join(' ')}; there is only --unit`);
if (!existsSync(tests)) fail('dist/test is missing; run `npm run build` first');

const files = readdirSync(tests, { recursive: true })
  .map((file) => join(tests, String(file)))
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => nameOf(file).includes(pattern)))
  .sort();
const unit = files.filter((file) => !isIntegration(file));
const integration = options.includes('--unit') ? [] : files.filter(isIntegration);
if (unit.length + integration.length === 0) fail(`no test file matches ${patterns.join(' ')}`);

const startedMs = performance.now();
const total = unit.length + integration.length;
const sum = { pass: 0, fail: 0, skipped: 0 };
const failed = [];
let finished = 0;

await runAll(unit, Math.min(2, availableParallelism()));
await runAll(integration, 1);

const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
const skipped = sum.skipped === 0 ? '' : `, ${sum.skipped} skipped`;
console.log(`\n${sum.pass} tests passed, ${sum.fail} failed${skipped}, in ${total} files and ${seconds} s`);
if (failed.length > 0) {
  console.log(`Failed files:\n${failed.map((file) => `  ${nameOf(file)}`).join('\n')}`);
  process.exit(1);
}

/** Runs files side by side, `width` at a time. */
async function runAll(queue, width) {
  const waiting = [...queue];
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) report(await runFile(file));
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** One process per file, without the runner's own parent: its output is complete even when the file dies. */
function runFile(file) {
  return new Promise((resolve) => {
    const beganMs = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', '--test-reporter=tap', file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, FILE_MS_MAX);
    child.on('error', (error) => keep(`${error.message}\n`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const ended = isLate ? `not finished after ${FILE_MS_MAX / 60_000} minutes` : (signal ?? `exit code ${code}`);
      resolve({ file, output, isGood: code === 0, ended, ms: performance.now() - beganMs });
    });
  });
}

function report({ file, output, isGood, ended, ms }) {
  finished += 1;
  const counts = Object.fromEntries([...output.matchAll(TESTS_LINE)].map(([, key, count]) => [key, Number(count)]));
  sum.pass += counts.pass ?? 0;
  sum.skipped += (counts.skipped ?? 0) + (counts.todo ?? 0);
  const failures = (counts.fail ?? 0) + (counts.cancelled ?? 0);
  const isEmpty = (counts.tests ?? 0) === 0;
  sum.fail += isGood && !isEmpty ? failures : Math.max(1, failures);
  const place = `[${String(finished).padStart(String(total).length)}/${total}]`;
  const time = `${(ms / 1000).toFixed(1)} s`;
  if (isGood && failures === 0 && !isEmpty) {
    console.log(`${place} ok   ${nameOf(file)}  ${counts.pass ?? 0} tests, ${time}`);
    return;
  }
  failed.push(file);
  console.log(`${place} FAIL ${nameOf(file)}  ${isEmpty ? 'no tests ran' : ended}, ${time}\n${excerpt(output)}`);
}

/** What failed and why, without the tests that passed; all of it where the file died before it could say. */
function excerpt(output) {
  const lines = output.split('\n');
  const kept = [];
  let isInside = false;
  for (const line of lines) {
    if (/^\s*not ok /.test(line)) isInside = true;
    else if (
      /^\s*(ok |# Subtest|\d+\.\.\d+|# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) )/.test(line)
    ) {
      isInside = false;
      continue;
    } else if (!isInside && /^\s*(---|\.\.\.|duration_ms:|type:|TAP version)/.test(line)) continue;
    if (line.trim() !== '') kept.push(`    ${line}`);
  }
  return (kept.length > 0 ? kept : lines).slice(0, 400).join('\n');
}

function nameOf(file) {
  return relative(tests, file).split(sep).join('/');
}

function isIntegration(file) {
  return /^integration\/|^chaos\/chaos\.test/.test(nameOf(file));
}

function fail(message) {
  console.error(`test: ${message}`);
  process.exit(2);
}
