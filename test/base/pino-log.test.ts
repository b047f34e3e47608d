import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createPinoLog } from '../../src/base/pino-log.ts';
import { rateLimited } from '../../src/base/rate-limited.ts';
import { type Log, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

function setup(options: { readonly isReadable: boolean }) {
  const lines: string[] = [];
  const log = createPinoLog({ level: 'info', ...options, write: (text) => void lines.push(text) });
  return { lines, log };
}

test('lines are JSON with level, time, fields and message', () => {
  const { lines, log } = setup({ isReadable: false });

  log.with({ node: 'n1' }).warn('a fire was missed', { job: 'a', run: undefined });
  log.debug('not at this level');

  assert.equal(lines.length, 1);
  const { time, ...line } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(line, { level: 'warn', node: 'n1', job: 'a', msg: 'a fire was missed' });
});

test('lines for eyes have time, level, message and fields', () => {
  const { lines, log } = setup({ isReadable: true });

  log.info('leads now', { term: 3, node: 'n1', reason: 'two words' });
  log.error('broke', { error: 'Error: x\n    at y' });

  assert.match(lines[0] ?? '', /^[\d:.]{12} INFO {2}leads now {2}term=3 node=n1 reason="two words"\n$/);
  assert.match(lines[1] ?? '', /ERROR broke {2}error=Error: x\n {4}at y\n$/);
});

test('warnings beyond the rate are left out and counted, other levels pass', () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const inner: Log = {
    ...silentLog,
    warn: (message, fields) => void seen.push(`${message} ${JSON.stringify(fields)}`),
    info: (message) => void seen.push(message),
    with: () => inner,
  };
  const log = rateLimited(inner, clock, 2);

  for (let n = 1; n <= 4; n += 1) log.with({ n }).warn(`w${n}`);
  log.info('passes');
  clock.advance(60_000);
  log.warn('w5', { job: 'a' });
  log.warn('w6');

  assert.deepEqual(seen, ['w1 {}', 'w2 {}', 'passes', 'w5 {"job":"a","omitted":2}', 'w6 {}']);
});

const LOG_URL = new URL('../../src/base/pino-log.js', import.meta.url).href;
/** One line of the main thread, then one of a worker thread. */
const TWO_THREADS = `
  const { Worker, isMainThread } = require('node:worker_threads');
  import('${LOG_URL}').then(({ createPinoLog }) => {
    createPinoLog({ level: 'info' }).info(isMainThread ? 'of the main thread' : 'of the worker');
    if (isMainThread) new Worker(process.env.SOURCE, { eval: true });
  });
`;
const hasScript = spawnSync('script', ['--version']).status === 0;

test('on a terminal the lines of all threads are readable', { skip: !hasScript && 'needs script(1)' }, () => {
  const command = `${process.execPath} -e "$SOURCE"`;
  const env = { ...process.env, SOURCE: TWO_THREADS };

  const ended = spawnSync('script', ['-qec', command, '/dev/null'], { env, encoding: 'utf8', input: '' });

  assert.match(ended.stdout, /INFO {2}of the main thread\r?\n[\d:.]{12} INFO {2}of the worker\r?\n/);
});

test('without one they are JSON', () => {
  const env = { ...process.env, SOURCE: TWO_THREADS };

  const ended = spawnSync(process.execPath, ['-e', TWO_THREADS], { env, encoding: 'utf8' });

  const lines = ended.stderr.trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { readonly msg: string }).msg);
  assert.deepEqual(messages, ['of the main thread', 'of the worker']);
});
