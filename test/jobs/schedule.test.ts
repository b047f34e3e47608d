import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSchedule, type Schedule } from '../../src/jobs/schedule.ts';
import { printedRandom } from './seed.ts';

const { seed } = printedRandom('schedule');

function scheduleOf(text: string): Schedule {
  const parsed = parseSchedule(text);
  assert(parsed.type === 'schedule', `${text}: ${parsed.type === 'fault' ? parsed.fault.message : ''}`);
  return parsed.schedule;
}

test('descriptors are cron lines', () => {
  const table: readonly (readonly [string, string])[] = [
    ['@yearly', '0 0 0 1 1 *'],
    ['@annually', '0 0 0 1 1 *'],
    ['@monthly', '0 0 0 1 * *'],
    ['@weekly', '0 0 0 * * 0'],
    ['@daily', '0 0 0 * * *'],
    ['@midnight', '0 0 0 * * *'],
    ['@Hourly', '0 0 * * * *'],
    [' @MINUTELY ', '0 * * * * *'],
  ];
  for (const [text, expected] of table) {
    const schedule = scheduleOf(text);

    assert(schedule.type === 'cron');
    assert.equal(schedule.line.text, expected);
    assert.equal(schedule.zone, null);
  }
});

test('a prefix names the zone of a line or descriptor', () => {
  const table: readonly (readonly [string, string, string])[] = [
    ['TZ=Europe/Berlin 0 30 4 * * *', 'Europe/Berlin', '0 30 4 * * *'],
    ['CRON_TZ=utc   30 4 * * *', 'utc', '0 30 4 * * *'],
    ['tz=Asia/Tokyo @daily', 'Asia/Tokyo', '0 0 0 * * *'],
    ['TZ=UTC @minutely', 'UTC', '0 * * * * *'],
  ];
  for (const [text, zone, line] of table) {
    const schedule = scheduleOf(text);

    assert(schedule.type === 'cron');
    assert.equal(schedule.zone, zone);
    assert.equal(schedule.line.text, line);
  }
});

test('intervals, single times and no time at all', () => {
  assert.deepEqual(scheduleOf('@every 2m'), { type: 'every', intervalMs: 120_000 });
  assert.deepEqual(scheduleOf('@EVERY  1h30m'), { type: 'every', intervalMs: 5_400_000 });
  assert.deepEqual(scheduleOf('@every 1000ms'), { type: 'every', intervalMs: 1_000 });
  assert.deepEqual(scheduleOf('TZ=UTC @every 1s'), { type: 'every', intervalMs: 1_000 });
  assert.deepEqual(scheduleOf('@manually'), { type: 'manual' });
  assert.deepEqual(scheduleOf('@at 2030-01-31T09:30:00+01:00'), { type: 'at', atMs: Date.UTC(2030, 0, 31, 8, 30) });
  assert.deepEqual(scheduleOf('@at 2001-01-01T00:00:00.250Z'), { type: 'at', atMs: Date.UTC(2001, 0, 1) + 250 });
});

test('what cannot be read is a fault in the field schedule, with the whole text', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['', /must not be empty/],
    ['  ', /must not be empty/],
    ['@every', /no duration/],
    ['@every x', /no duration/],
    ['@every 0s', /at least 1s/],
    ['@every -5s', /at least 1s/],
    ['@every 500ms', /at least 1s/],
    ['@every 1.5s', /whole seconds/],
    ['@at', /no time/],
    ['@at 2030-02-30T00:00:00Z', /no time/],
    ['@at tomorrow', /no time/],
    ['@after 2030-01-31T09:30:00Z <PT2H', /not yet/],
    ['@reboot', /not yet/],
    ['@nonsense', /'@nonsense' is no schedule/],
    ['@', /'@' is no schedule/],
    ['@daily 5', /nothing may follow/],
    ['@manually now', /nothing may follow/],
    ['TZ=', /no zone follows/],
    ['TZ= * * * * *', /no zone follows/],
    ['TZ=UTC', /nothing follows/],
    ['CRON_TZ=UTC   ', /nothing follows/],
    ['TZ=UTC @manually', /a zone means nothing/],
    ['TZ=UTC @at 2030-01-31T09:30:00Z', /a zone means nothing/],
    ['TZ=UTC TZ=UTC * * * * *', /second: 'TZ=UTC'/],
    ['61 * * * *', /^minute: '61' must be 0-59/],
    ['TZ=UTC 61 * * * *', /^minute: '61' must be 0-59/],
    ['x'.repeat(1_025), /1025 characters/],
  ];
  for (const [text, expected] of table) {
    const parsed = parseSchedule(text);

    assert(parsed.type === 'fault', text);
    assert.equal(parsed.fault.field, 'schedule');
    assert.match(parsed.fault.message, expected, text);
    if (text.length <= 200) assert.equal(parsed.fault.value, text);
    assert.ok(String(parsed.fault.value).length <= 201);
  }
});

test('any text is answered', () => {
  const likely = fc.stringMatching(
    /^((CRON_)?TZ=[A-Za-z/]{0,10} ?)?(@(every|at|daily|after) )?[-0-9*,/ TZhms.:]{0,40}$/,
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 1_200 }), likely), (text) => {
      const parsed = parseSchedule(text);
      if (parsed.type === 'fault') assert.equal(parsed.fault.field, 'schedule');
    }),
    { seed, numRuns: 3_000 },
  );
});
