import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCronLine } from '../../src/jobs/cron-parser-check.ts';
import { type CronLine, parseCronLine } from '../../src/jobs/cron-text.ts';
import { randomLine } from './cron-lines.ts';
import { printedRandom } from './seed.ts';

const { random, seed } = printedRandom('cron-text');

function lineOf(text: string): CronLine {
  const parsed = parseCronLine(text);
  assert(parsed.type === 'line', `${text}: ${parsed.type === 'fault' ? parsed.fault.message : ''}`);
  return parsed.line;
}

test('lines are normalised to one way of writing them', () => {
  const table: readonly (readonly [string, string])[] = [
    ['* * * * *', '0 * * * * *'],
    ['* * * * * *', '* * * * * *'],
    ['  0\t30 4  * * ? ', '0 30 4 * * *'],
    ['0,0,0 5,1-3,2-4 */6 1 1 *', '0 1-5 0,6,12,18 1 1 *'],
    ['0 0 0 1 JAN,feb-Apr,DEC *', '0 0 0 1 1-4,12 *'],
    ['0 0 9 * * Mon-FRI', '0 0 9 * * 1-5'],
    ['0 0 9 * * 7', '0 0 9 * * 0'],
    ['0 0 9 * * 5-7', '0 0 9 * * 0,5-6'],
    ['0 0 9 * * fri-sun', '0 0 9 * * 0,5-6'],
    ['0 0 9 * * sun-tue', '0 0 9 * * 0-2'],
    ['0 0 9 * * sun-sun', '0 0 9 * * 0'],
    ['0 0 9 * * 0-7', '0 0 9 * * 0-6'],
    ['0 0 9 * * */2', '0 0 9 * * 0,2,4,6'],
    ['0 0 9 * * 1/2', '0 0 9 * * 1,3,5'],
    ['0 50/5 * * * *', '0 50,55 * * * *'],
    ['0 10-20/5 * * * *', '0 10,15,20 * * * *'],
    ['0 0-59 0-23 * 1-12 *', '0 * * * * *'],
    ['0 0 0 1-31 * *', '0 0 0 1-31 * *'],
    ['0 0 0 */1 * 1', '0 0 0 * * 1'],
    ['0 0 0 5,* * 1', '0 0 0 * * 1'],
    ['0 0 0 ?/2 * 1', '0 0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 1'],
    ['00 007 0 01 1 0', '0 7 0 1 1 0'],
    ['*/99 0 0 1 1 *', '0 0 0 1 1 *'],
    ['5/999999999 0 0 1 1 *', '5 0 0 1 1 *'],
  ];
  for (const [text, expected] of table) assert.equal(lineOf(text).text, expected, text);
});

test('days combine by either when both are restricted, and a star by a step is a restriction', () => {
  const table: readonly (readonly [string, boolean])[] = [
    ['0 0 0 1 * 1', true],
    ['0 0 0 * * 1', false],
    ['0 0 0 1 * *', false],
    ['0 0 0 ? * ?', false],
    ['0 0 0 */2 * 1', true],
    ['0 0 0 */1 * 1', false],
    ['0 0 0 1-31 * 1', true],
    ['0 0 0 1 * 0-6', true],
    ['0 0 0 1 * */2', true],
    ['0 0 0 1 * 3,*', false],
  ];
  for (const [text, expected] of table) assert.equal(lineOf(text).eitherDay, expected, text);
});

test('what cannot be read is refused with part, value, what is allowed and position', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['61 * * * *', /^minute: '61' must be 0-59 \(field 1 of 5\)$/],
    ['61 * * * * *', /^second: '61' must be 0-59 \(field 1 of 6\)$/],
    ['0 60 * * * *', /^minute: '60' must be 0-59 \(field 2 of 6\)$/],
    ['0 0 24 * * *', /^hour: '24' must be 0-23 \(field 3 of 6\)$/],
    ['0 0 * 32 * *', /^day of month: '32' must be 1-31 \(field 4 of 6\)$/],
    ['0 0 * 0 * *', /^day of month: '0' must be 1-31/],
    ['0 0 * * 13 *', /^month: '13' must be 1-12 or jan-dec \(field 5 of 6\)$/],
    ['0 0 * * foo *', /^month: 'foo' must be/],
    ['0 0 * * * 8', /^day of week: '8' must be 0-7 or sun-sat \(field 6 of 6\)$/],
    ['0 0 * * * jan', /^day of week: 'jan'/],
    ['mon * * * * *', /^second: 'mon'/],
    ['0 0 * * * 7/2', /write 0 for Sunday/],
    ['0 0 * * * 7-1', /ends before it begins/],
    ['0 5-1 * * * *', /the range '5-1' ends before it begins/],
    ['0 1,,2 * * * *', /an item of the list is empty/],
    ['0 , * * * *', /an item of the list is empty/],
    ['0 1, * * * *', /an item of the list is empty/],
    ['0 */0 * * * *', /step of '\*\/0'/],
    ['0 */ * * * *', /step of/],
    ['0 */-1 * * * *', /step of/],
    ['0 1/2/3 * * * *', /more than one step/],
    ['0 1-2-3 * * * *', /is not a range/],
    ['0 *-5 * * * *', /must be 0-59/],
    ['0 5-* * * * *', /must be 0-59/],
    ['0 -5 * * * *', /must be 0-59/],
    ['0 +5 * * * *', /must be 0-59/],
    ['0 1.5 * * * *', /must be 0-59/],
    ['0 0x1 * * * *', /must be 0-59/],
    ['0 99999999999999999999 * * * *', /must be 0-59/],
    ['', /has 0/],
    ['* * * *', /has 4/],
    ['* * * * * * * *', /has 8/],
    ['* * * * * * 2030', /not yet/],
    ['~ * * * * *', /'~' is not yet supported \(field 1 of 6\)/],
    ['0 ~/15 * * * *', /not yet/],
    ['0 0 0 L * *', /'L' is not yet/],
    ['0 0 0 L-3 * *', /'L' is not yet/],
    ['0 0 0 * * 5L', /'L' is not yet/],
    ['0 0 0 * * friL', /'L' is not yet/],
    ['0 0 0 15W * *', /'W' is not yet/],
    ['0 0 0 LW * *', /'W' is not yet/],
    ['0 0 0 * * 5#3', /'#' is not yet/],
    ['H * * * *', /'H' is not yet/],
    ['0 H/15 * * * *', /'H' is not yet/],
    [`0 ${'1,'.repeat(600)}1 * * * *`, /has 12\d\d characters/],
  ];
  for (const [text, expected] of table) {
    const parsed = parseCronLine(text);

    assert(parsed.type === 'fault', text);
    assert.equal(parsed.fault.field, 'schedule');
    assert.match(parsed.fault.message, expected, text);
    assert.ok(parsed.fault.allowed.length > 0);
    assert.ok(JSON.stringify(parsed.fault).length < 700, text);
  }
});

test('cron-parser reads every normalised line alike', () => {
  for (let round = 0; round < 3_000; round += 1) {
    const text = randomLine(random);
    const line = lineOf(text);

    assert.equal(checkCronLine(line), undefined, text);
    assert.deepEqual(lineOf(line.text), line, text);
  }
});

test('impossible dates are no disagreement, another meaning is', () => {
  assert.equal(checkCronLine(lineOf('0 0 0 30 2 *')), undefined);
  assert.equal(checkCronLine(lineOf('0 0 0 31 2,4 *')), undefined);
  assert.equal(checkCronLine(lineOf('0 0 0 28-31 2 *')), undefined);
  assert.equal(checkCronLine(lineOf('0 0 0 30 2 1')), undefined);

  const line = lineOf('0 30 4 * * *');
  const changes: readonly (readonly [Partial<CronLine>, string])[] = [
    [{ hours: 1 << 5 }, 'hour'],
    [{ minutes: { low: 1, high: 0 } }, 'minute'],
    [{ seconds: { low: 2, high: 0 } }, 'second'],
    [{ months: 2 }, 'month'],
    [{ daysOfMonth: 1 }, 'day of month'],
    [{ weekdays: 1 }, 'day of week'],
    [{ eitherDay: true }, 'combine'],
    [{ text: 'nonsense' }, 'refuses'],
  ];
  for (const [change, expected] of changes) {
    assert.match(checkCronLine({ ...line, ...change })?.message ?? '', new RegExp(expected));
  }
});

test('any text is answered', () => {
  const likely = fc.stringMatching(/^([-0-9*?,/~#LWHa-z]{1,6}[ \t]){3,6}[-0-9*?,/LWH#]{0,6}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 1_200 }), likely), (text) => {
      const parsed = parseCronLine(text);
      if (parsed.type === 'line') assert.equal(checkCronLine(parsed.line), undefined);
      else assert.equal(parsed.fault.field, 'schedule');
    }),
    { seed, numRuns: 3_000 },
  );
  for (const text of [
    '*'.repeat(1_024),
    ','.repeat(1_024),
    '0-'.repeat(512),
    '* '.repeat(512),
    `${'1/'.repeat(500)} * * * *`,
  ]) {
    assert.equal(parseCronLine(text).type, 'fault');
  }
});
