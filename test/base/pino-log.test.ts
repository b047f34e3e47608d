import assert from 'node:assert/strict';
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
