import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';
import { randomInteger } from '../../src/base/random.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import { countInstants, nextInstant, previousInstant, type ScheduleContext } from '../../src/jobs/next.ts';
import { parseSchedule, type Schedule } from '../../src/jobs/schedule.ts';
import { stretchAt, stretchEndMs, stretchStartMs } from '../../src/jobs/zone.ts';
import { fittingInstants, wallMinutes } from './brute-force.ts';
import { randomLine, sparseLine } from './cron-lines.ts';
import { pick, printedRandom } from './seed.ts';

const { random } = printedRandom('next');
const zones = createIntlZones();
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const CHANGING_ZONES: readonly string[] = [
  'Europe/Berlin',
  'Europe/London',
  'Europe/Dublin',
  'Europe/Lisbon',
  'Europe/Istanbul',
  'Europe/Moscow',
  'Europe/Chisinau',
  'America/New_York',
  'America/Los_Angeles',
  'America/St_Johns',
  'America/Havana',
  'America/Sao_Paulo',
  'America/Santiago',
  'America/Asuncion',
  'America/Caracas',
  'America/Godthab',
  'America/Scoresbysund',
  'America/Port-au-Prince',
  'Antarctica/Troll',
  'Antarctica/Casey',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Africa/Juba',
  'Asia/Beirut',
  'Asia/Gaza',
  'Asia/Amman',
  'Asia/Damascus',
  'Asia/Tehran',
  'Asia/Jerusalem',
  'Asia/Pyongyang',
  'Asia/Kathmandu',
  'Atlantic/Azores',
  'Australia/Lord_Howe',
  'Australia/Sydney',
  'Pacific/Apia',
  'Pacific/Auckland',
  'Pacific/Chatham',
  'Pacific/Easter',
  'Pacific/Fiji',
  'Pacific/Norfolk',
];
/** Lines that other engines get wrong around changes. */
const HARD_LINES: readonly string[] = [
  '0 0 0 * * *',
  '0 30 0 * * *',
  '0 30 2 * * *',
  '0 0 12 * * FRI',
  '0 45 2 * * *',
  '0 0 * * * *',
  '0 * 2 * * *',
  '0 */15 1-3 * * *',
  '0 0 0 1 * *',
  '59 59 23 * * *',
];

function scheduleOf(text: string): Extract<Schedule, { type: 'cron' }> {
  const parsed = parseSchedule(text);
  assert(parsed.type === 'schedule' && parsed.schedule.type === 'cron', text);
  return parsed.schedule;
}

function contextOf(zone: string, anchorMs = 0): ScheduleContext {
  const table = zones.table(zone);
  assert(table !== undefined, zone);
  return { zone: table, anchorMs };
}

function allInstants(schedule: Schedule, context: ScheduleContext, fromMs: number, toMs: number): number[] {
  const instants: number[] = [];
  let atMs = nextInstant(schedule, context, fromMs);
  while (atMs !== null && atMs <= toMs) {
    instants.push(atMs);
    atMs = nextInstant(schedule, context, atMs);
  }
  return instants;
}

function allInstantsBackwards(schedule: Schedule, context: ScheduleContext, fromMs: number, toMs: number): number[] {
  const instants: number[] = [];
  let atMs = previousInstant(schedule, context, toMs);
  while (atMs !== null && atMs > fromMs) {
    instants.push(atMs);
    atMs = previousInstant(schedule, context, atMs - 1);
  }
  return instants.reverse();
}

function next(text: string, zone: string, after: string): string | null {
  const atMs = nextInstant(scheduleOf(text), contextOf(zone), Date.parse(after));
  return atMs === null ? null : new Date(atMs).toISOString().replace('.000', '');
}

test('the next instant is strictly after, in the zone', () => {
  const table: readonly (readonly [string, string, string, string | null])[] = [
    ['* * * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'],
    ['* * * * * *', 'UTC', '2026-01-01T00:00:00.999Z', '2026-01-01T00:00:01Z'],
    ['0 30 4 * * *', 'UTC', '2026-01-01T04:29:59.999Z', '2026-01-01T04:30:00Z'],
    ['0 30 4 * * *', 'UTC', '2026-01-01T04:30:00Z', '2026-01-02T04:30:00Z'],
    ['30 4 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z', '2026-07-01T02:30:00Z'],
    ['@weekly', 'UTC', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
    ['0 0 0 13 * 5', 'UTC', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 0 0 29 2 *', 'UTC', '2096-02-29T00:00:00Z', '2104-02-29T00:00:00Z'],
    ['0 0 0 31 12 *', 'UTC', '1969-01-01T00:00:00Z', '1969-12-31T00:00:00Z'],
    // The gap is skipped, with no substitute.
    ['0 30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z'],
    // The repeated hour comes twice.
    ['0 30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z'],
    ['0 30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    ['0 30 2 * * *', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-26T01:30:00Z'],
    // The gap is at midnight: the rest of the day is there.
    ['0 0 12 * * FRI', 'Africa/Cairo', '2026-04-23T12:00:00Z', '2026-04-24T09:00:00Z'],
    // Half an hour only.
    ['0 15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z', '2026-10-04T15:15:00Z'],
    // A day that was not.
    ['0 0 12 30 12 *', 'Pacific/Apia', '2011-12-01T00:00:00Z', '2012-12-29T22:00:00Z'],
    // After the end of the table its last offset holds.
    ['0 0 12 * * *', 'Asia/Tokyo', '2150-01-01T12:00:00Z', '2150-01-02T03:00:00Z'],
    ['0 0 0 30 2 *', 'UTC', '2026-01-01T00:00:00Z', null],
    ['0 0 0 31 2,4,6,9,11 *', 'America/New_York', '2026-01-01T00:00:00Z', null],
  ];
  for (const [text, zone, after, expected] of table) {
    assert.equal(next(text, zone, after), expected, `${text} in ${zone} after ${after}`);
  }
});

test('an interval counts from its anchor, and starts one interval later', () => {
  const schedule: Schedule = { type: 'every', intervalMs: 120_000 };
  const context = contextOf('UTC', 1_000_000);

  assert.equal(nextInstant(schedule, context, 1_000_000), 1_120_000);
  assert.equal(nextInstant(schedule, context, 0), 1_120_000);
  assert.equal(nextInstant(schedule, context, 1_119_999), 1_120_000);
  assert.equal(nextInstant(schedule, context, 1_120_000), 1_240_000);
  assert.equal(previousInstant(schedule, context, 1_119_999), null);
  assert.equal(previousInstant(schedule, context, 1_239_999), 1_120_000);
  assert.deepEqual(countInstants(schedule, context, 0, 1_000_000 + 120_000 * 10 ** 9), {
    count: 10 ** 9,
    firstMs: 1_120_000,
    lastMs: 1_000_000 + 120_000 * 10 ** 9,
  });
  assert.deepEqual(countInstants(schedule, context, 0, 1_119_999), { count: 0, firstMs: null, lastMs: null });
});

test('a single time comes once, no time never', () => {
  const context = contextOf('UTC');
  const at: Schedule = { type: 'at', atMs: 5_250 };

  assert.equal(nextInstant(at, context, 5_249), 5_250);
  assert.equal(nextInstant(at, context, 5_250), null);
  assert.equal(previousInstant(at, context, 5_249), null);
  assert.deepEqual(countInstants(at, context, 5_249, 5_250), { count: 1, firstMs: 5_250, lastMs: 5_250 });
  assert.deepEqual(countInstants(at, context, 5_250, 9_000), { count: 0, firstMs: null, lastMs: null });
  assert.equal(nextInstant({ type: 'manual' }, context, 0), null);
  assert.equal(previousInstant({ type: 'manual' }, context, 0), null);
  assert.equal(countInstants({ type: 'manual' }, context, 0, DAY_MS).count, 0);
});

test('around offset changes a brute force over all seconds finds the same instants', () => {
  for (const zone of CHANGING_ZONES) {
    const context = contextOf(zone);
    const changes = context.zone.transitionsMs.filter((at) => at > Date.UTC(2010, 0, 1) && at < Date.UTC(2036, 0, 1));
    const chosen = new Set(changes.length === 0 ? [Date.UTC(2026, 5, 1)] : []);
    while (chosen.size < Math.min(5, changes.length)) chosen.add(pick(random, changes));
    if (zone === 'Pacific/Apia') chosen.add(Date.UTC(2011, 11, 30, 10));
    for (const changeMs of chosen) {
      const fromMs = changeMs - 27 * HOUR_MS;
      const toMs = changeMs + 27 * HOUR_MS;
      const minutes = wallMinutes(zone, fromMs, toMs);
      const lines = [...HARD_LINES];
      for (let extra = 0; extra < 15; extra += 1) lines.push(sparseLine(random));
      for (const text of lines) {
        const schedule = scheduleOf(text);
        const where = `'${text}' in ${zone} around ${new Date(changeMs).toISOString()}`;

        const expected = fittingInstants(schedule.line.text, minutes);
        const found = allInstants(schedule, context, fromMs - 1, toMs - 1);

        assert.deepEqual(found, expected, where);
        assert.deepEqual(allInstantsBackwards(schedule, context, fromMs - 1, toMs - 1), expected, where);
        const count = countInstants(schedule, context, fromMs - 1, toMs - 1);
        assert.equal(count.count, expected.length, where);
        assert.equal(count.firstMs, expected[0] ?? null, where);
        assert.equal(count.lastMs, expected[expected.length - 1] ?? null, where);
      }
    }
  }
});

test('every second around a change is named once by the line of all seconds', () => {
  for (const zone of ['Australia/Lord_Howe', 'Europe/Berlin', 'Pacific/Apia', 'Africa/Casablanca']) {
    const context = contextOf(zone);
    const changeMs = pick(random, context.zone.transitionsMs);
    const schedule = scheduleOf('* * * * * *');

    const found = allInstants(schedule, context, changeMs - HOUR_MS, changeMs + HOUR_MS);

    assert.equal(found.length, 7_200);
    assert.ok(found.every((atMs, index) => atMs === changeMs - HOUR_MS + (index + 1) * 1_000));
  }
});

test('where the asking starts makes no difference, forwards or backwards', () => {
  for (let round = 0; round < 4_000; round += 1) {
    const text = random() < 0.5 ? randomLine(random) : sparseLine(random);
    const schedule = scheduleOf(text);
    const context = contextOf(pick(random, CHANGING_ZONES));
    const startMs = randomInteger(random, Date.UTC(1975, 0, 1), Date.UTC(2105, 0, 1));
    const nextMs = nextInstant(schedule, context, startMs);
    const where = `'${text}' in ${context.zone.zone} after ${startMs}`;
    if (nextMs === null) {
      assert.equal(previousInstant(schedule, context, startMs), null, where);
      continue;
    }

    assert.ok(nextMs > startMs, where);
    assert.equal(nextInstant(schedule, context, nextMs - 1), nextMs, where);
    assert.equal(nextInstant(schedule, context, randomInteger(random, startMs, nextMs - 1)), nextMs, where);
    assert.equal(previousInstant(schedule, context, nextMs), nextMs, where);
    const previousMs = previousInstant(schedule, context, nextMs - 1);
    assert.ok(previousMs === null || previousMs <= startMs, where);
    if (previousMs !== null) assert.equal(nextInstant(schedule, context, previousMs), nextMs, where);
  }
});

test('a count is what stepping counts', () => {
  for (let round = 0; round < 1_500; round += 1) {
    const text = random() < 0.3 ? randomLine(random) : sparseLine(random);
    const schedule = scheduleOf(text);
    const context = contextOf(pick(random, CHANGING_ZONES));
    const fromMs = randomInteger(random, Date.UTC(1975, 0, 1), Date.UTC(2105, 0, 1));
    const atMost = allInstantsUpTo(schedule, context, fromMs, randomInteger(random, 0, 300));
    const toMs = atMost[atMost.length - 1] ?? fromMs;
    const slackMs = randomInteger(
      random,
      0,
      Math.max(0, (nextInstant(schedule, context, toMs) ?? toMs + 1) - toMs - 1),
    );

    const count = countInstants(schedule, context, fromMs, toMs + slackMs);

    const expected = { count: atMost.length, firstMs: atMost[0] ?? null, lastMs: atMost[atMost.length - 1] ?? null };
    assert.deepEqual(count, expected, `'${text}' in ${context.zone.zone} from ${fromMs} to ${toMs + slackMs}`);
  }
});

function allInstantsUpTo(schedule: Schedule, context: ScheduleContext, fromMs: number, max: number): number[] {
  const instants: number[] = [];
  let atMs = nextInstant(schedule, context, fromMs);
  while (atMs !== null && instants.length < max) {
    instants.push(atMs);
    atMs = nextInstant(schedule, context, atMs);
  }
  return instants;
}

test('counts of neighbouring ranges add up, over a century', () => {
  for (let round = 0; round < 300; round += 1) {
    const schedule = scheduleOf(randomLine(random));
    const context = contextOf(pick(random, CHANGING_ZONES));
    const [fromMs, middleMs, toMs] = [0, 0, 0]
      .map(() => randomInteger(random, Date.UTC(1970, 0, 1), Date.UTC(2110, 0, 1)))
      .sort((left, right) => left - right) as [number, number, number];

    const left = countInstants(schedule, context, fromMs, middleMs).count;
    const right = countInstants(schedule, context, middleMs, toMs).count;

    assert.equal(countInstants(schedule, context, fromMs, toMs).count, left + right);
  }
  const seconds = countInstants(scheduleOf('* * * * * *'), contextOf('Europe/Berlin'), 0, Date.UTC(2070, 0, 1));
  assert.equal(seconds.count, Date.UTC(2070, 0, 1) / 1_000);
  assert.deepEqual(countInstants(scheduleOf('* * * * * *'), contextOf('UTC'), 5_000, 4_000).count, 0);
});

test('cron-parser and croner agree in UTC', () => {
  for (let round = 0; round < 2_000; round += 1) {
    const text = randomLine(random);
    const schedule = scheduleOf(text);
    const startMs = randomInteger(random, Date.UTC(2000, 0, 1), Date.UTC(2090, 0, 1));
    assertOthersAgree(text, schedule, contextOf('UTC'), 'UTC', startMs);
  }
});

test('cron-parser and croner agree in zones, away from offset changes', () => {
  let compared = 0;
  for (let round = 0; round < 4_000 && compared < 1_000; round += 1) {
    const zone = pick(random, CHANGING_ZONES);
    const text = random() < 0.5 ? randomLine(random) : sparseLine(random);
    const schedule = scheduleOf(text);
    const context = contextOf(zone);
    const startMs = randomInteger(random, Date.UTC(2010, 0, 1), Date.UTC(2035, 0, 1));
    const nextMs = nextInstant(schedule, context, startMs);
    const stretch = stretchAt(context.zone, startMs);
    if (nextMs === null || startMs < stretchStartMs(context.zone, stretch) + 2 * DAY_MS) continue;
    if (nextMs > stretchEndMs(context.zone, stretch) - 2 * DAY_MS) continue;
    compared += 1;
    assertOthersAgree(text, schedule, context, zone, startMs);
  }
  assert.ok(compared >= 500, `${compared} compared`);
});

function assertOthersAgree(
  text: string,
  schedule: Extract<Schedule, { type: 'cron' }>,
  context: ScheduleContext,
  zone: string,
  startMs: number,
): void {
  const where = `'${text}' in ${zone} after ${new Date(startMs).toISOString()}`;
  const nextMs = nextInstant(schedule, context, startMs);
  const normalised = schedule.line.text;
  const croner = new Cron(normalised, { timezone: zone }).nextRun(new Date(startMs));
  assert.equal(croner?.getTime() ?? null, nextMs, `croner: ${where}`);
  if (nextMs === null) return;
  const parser = CronExpressionParser.parse(normalised, { currentDate: startMs, tz: zone });
  assert.equal(parser.next().getTime(), nextMs, `cron-parser: ${where}`);
}
