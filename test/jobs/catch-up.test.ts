import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomInteger } from '../../src/base/random.ts';
import { closeFires, type FireSource, nextDue, type PlannedFire, planFires } from '../../src/jobs/catch-up.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import { countInstants, nextInstant } from '../../src/jobs/next.ts';
import { parseSchedule } from '../../src/jobs/schedule.ts';
import { UTC } from '../../src/jobs/zone.ts';
import { sparseLine } from './cron-lines.ts';
import { pick, printedRandom } from './seed.ts';

const { random } = printedRandom('catch-up');
const zones = createIntlZones();
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const NOON_MS = Date.UTC(2026, 0, 1, 12);

function source(text: string, changes: Partial<FireSource> = {}): FireSource {
  const parsed = parseSchedule(text);
  assert(parsed.type === 'schedule', text);
  return {
    schedule: parsed.schedule,
    context: { zone: UTC, anchorMs: 0 },
    cursorMs: NOON_MS,
    startsAtMs: null,
    expiresAtMs: null,
    ...changes,
  };
}

function plan(from: FireSource, nowMs: number, max = 100) {
  return planFires({ ...from, nowMs, windowMs: MINUTE_MS, max });
}

function run(nominalMs: number): PlannedFire {
  return { type: 'run', nominalMs };
}

test('nothing due is an empty plan that keeps the cursor', () => {
  const planned = plan(source('0 * * * * *'), NOON_MS + 59_999);

  assert.deepEqual(planned, { items: [], cursorMs: NOON_MS, nextMs: NOON_MS + MINUTE_MS });
});

test('an instant runs when its time has come, not before', () => {
  const planned = plan(source('0 * * * * *'), NOON_MS + MINUTE_MS);

  assert.deepEqual(planned, {
    items: [run(NOON_MS + MINUTE_MS)],
    cursorMs: NOON_MS + MINUTE_MS,
    nextMs: NOON_MS + 2 * MINUTE_MS,
  });
});

test('instants of the window run each on their own, older ones are one missed stretch', () => {
  const nowMs = NOON_MS + 10 * MINUTE_MS;

  const planned = plan(source('*/20 * * * * *'), nowMs);

  assert.deepEqual(planned.items, [
    {
      type: 'stretch',
      firstMs: NOON_MS + 20 * SECOND_MS,
      lastMs: nowMs - 80 * SECOND_MS,
      count: 26,
      outcome: 'missed',
      reason: 'window-passed',
    },
    run(nowMs - 60 * SECOND_MS),
    run(nowMs - 40 * SECOND_MS),
    run(nowMs - 20 * SECOND_MS),
    run(nowMs),
  ]);
});

test('the newest of the missed runs when nothing younger does', () => {
  const nowMs = NOON_MS + 5 * 60 * MINUTE_MS + 10 * MINUTE_MS;

  const hourly = plan(source('@hourly'), nowMs);
  const daily = plan(source('@daily'), NOON_MS + 24 * 60 * MINUTE_MS);

  assert.deepEqual(hourly.items, [
    {
      type: 'stretch',
      firstMs: NOON_MS + 60 * MINUTE_MS,
      lastMs: NOON_MS + 240 * MINUTE_MS,
      count: 4,
      outcome: 'missed',
      reason: 'window-passed',
    },
    run(NOON_MS + 300 * MINUTE_MS),
  ]);
  assert.equal(hourly.nextMs, NOON_MS + 360 * MINUTE_MS);
  assert.deepEqual(daily.items, [run(NOON_MS + 12 * 60 * MINUTE_MS)]);
});

test('a month of missed seconds is planned as one stretch and a minute of runs', () => {
  const nowMs = NOON_MS + 30 * 24 * 60 * MINUTE_MS;

  const planned = plan(source('* * * * * *'), nowMs);

  assert.equal(planned.items.length, 62);
  assert.equal(planned.items[0]?.type === 'stretch' && planned.items[0].count, 30 * 86_400 - 61);
  assert.equal(planned.cursorMs, nowMs);
});

test('a plan that has its most runs stops there and is continued', () => {
  const nowMs = NOON_MS + 10 * SECOND_MS;

  const first = plan(source('* * * * * *'), nowMs, 4);
  const second = plan(source('* * * * * *', { cursorMs: first.cursorMs }), nowMs, 100);

  assert.equal(first.items.length, 4);
  assert.equal(first.cursorMs, NOON_MS + 4 * SECOND_MS);
  assert.equal(first.nextMs, NOON_MS + 5 * SECOND_MS);
  assert.equal(second.items.length, 6);
});

test('instants before starts_at are skipped, the one at it runs', () => {
  const startsAtMs = NOON_MS + 3 * MINUTE_MS;
  const job = source('0 * * * * *', { startsAtMs });

  assert.equal(nextDue(job), startsAtMs);
  assert.deepEqual(plan(job, startsAtMs).items, [
    {
      type: 'stretch',
      firstMs: NOON_MS + MINUTE_MS,
      lastMs: NOON_MS + 2 * MINUTE_MS,
      count: 2,
      outcome: 'skipped',
      reason: 'not-yet',
    },
    run(startsAtMs),
  ]);
});

test('the instant at expires_at runs, later ones are skipped, and an expired job is due no more', () => {
  const expiresAtMs = NOON_MS + MINUTE_MS;
  const job = source('*/30 * * * * *', { expiresAtMs });

  const planned = plan(job, NOON_MS + 2 * MINUTE_MS);

  const [missed, atExpiry, ...expired] = planned.items;
  assert.ok(missed?.type === 'stretch' && missed.count === 1);
  assert.deepEqual(atExpiry, run(expiresAtMs));
  assert.deepEqual(expired, [
    {
      type: 'stretch',
      firstMs: NOON_MS + 90 * SECOND_MS,
      lastMs: NOON_MS + 120 * SECOND_MS,
      count: 2,
      outcome: 'skipped',
      reason: 'expired',
    },
  ]);
  assert.equal(planned.nextMs, null);
  assert.equal(nextDue({ ...job, cursorMs: expiresAtMs }), null);
});

test('what was missed before the job expired is caught up', () => {
  const job = source('@hourly', { expiresAtMs: NOON_MS + 70 * MINUTE_MS });

  const planned = plan(job, NOON_MS + 90 * MINUTE_MS);

  assert.deepEqual(planned.items, [run(NOON_MS + 60 * MINUTE_MS)]);
});

test('instants ahead of now can be decided early', () => {
  const job = source('*/2 * * * * *');

  const planned = planFires({ ...job, nowMs: NOON_MS, aheadMs: 5_000, windowMs: MINUTE_MS, max: 100 });

  assert.deepEqual(planned.items, [run(NOON_MS + 2_000), run(NOON_MS + 4_000)]);
  assert.equal(planned.nextMs, NOON_MS + 6_000);
});

test('a clock that went back plans nothing', () => {
  const planned = plan(
    source('* * * * * *', { startsAtMs: NOON_MS + 9_000, expiresAtMs: NOON_MS - 9_000 }),
    NOON_MS - 60_000,
  );

  assert.deepEqual(planned, { items: [], cursorMs: NOON_MS, nextMs: null });
});

test('closing gives all instants up to there their outcome', () => {
  const job = source('0 * * * * *', { startsAtMs: NOON_MS + 3 * MINUTE_MS, expiresAtMs: NOON_MS + 5 * MINUTE_MS });
  const untilMs = NOON_MS + 6 * MINUTE_MS;

  const closed = closeFires({ ...job, untilMs, outcome: 'skipped', reason: 'disabled' });

  const brief = closed.map((item) => item.type === 'stretch' && [item.reason, item.count, item.lastMs - NOON_MS]);
  assert.deepEqual(brief, [
    ['not-yet', 2, 2 * MINUTE_MS],
    ['disabled', 3, 5 * MINUTE_MS],
    ['expired', 1, 6 * MINUTE_MS],
  ]);
  assert.deepEqual(closeFires({ ...job, untilMs: NOON_MS, outcome: 'skipped', reason: 'disabled' }), []);
});

test('every instant between cursor and now is in exactly one item, in order, whatever the limits', () => {
  for (let round = 0; round < 3_000; round += 1) {
    const text = pick(random, [
      () => sparseLine(random),
      () => `@every ${randomInteger(random, 1, 900)}s`,
      () => '* * * * * *',
    ])();
    const spanMs = pick(random, [90 * SECOND_MS, 60 * MINUTE_MS, 3 * 24 * 60 * MINUTE_MS]);
    const cursorMs = randomInteger(random, Date.UTC(2026, 2, 25), Date.UTC(2026, 3, 2));
    const nowMs = cursorMs + randomInteger(random, 0, spanMs);
    const limit = (): number | null =>
      random() < 0.5 ? null : randomInteger(random, cursorMs - spanMs, nowMs + spanMs);
    const zone = zones.table(pick(random, ['UTC', 'Europe/Berlin', 'Africa/Cairo']));
    assert(zone !== undefined);
    const context = { zone, anchorMs: Date.UTC(2026, 0, 1) };
    const job = source(text, { cursorMs, context, startsAtMs: limit(), expiresAtMs: limit() });
    const aheadMs = pick(random, [0, 5_000]);
    const { startsAtMs, expiresAtMs } = job;
    const where = JSON.stringify({ text, zone: zone.zone, cursorMs, nowMs, startsAtMs, expiresAtMs, aheadMs });

    const items: PlannedFire[] = [];
    let at = job;
    for (let plans = 0; ; plans += 1) {
      const planned = planFires({ ...at, nowMs, aheadMs, windowMs: MINUTE_MS, max: 25 });
      items.push(...planned.items);
      assert.equal(planned.nextMs, nextDue({ ...at, cursorMs: planned.cursorMs }), where);
      if (planned.items.length === 0) break;
      assert.ok(planned.cursorMs > at.cursorMs && plans < 10, where);
      at = { ...at, cursorMs: planned.cursorMs };
    }

    assertCovers(job, items, cursorMs, nowMs + aheadMs, where);
    assertReasons(job, items, nowMs, where);
  }
});

function assertCovers(
  job: FireSource,
  items: readonly PlannedFire[],
  fromMs: number,
  toMs: number,
  where: string,
): void {
  let atMs = fromMs;
  for (const item of items) {
    const firstMs = item.type === 'run' ? item.nominalMs : item.firstMs;
    const lastMs = item.type === 'run' ? item.nominalMs : item.lastMs;
    assert.equal(firstMs, nextInstant(job.schedule, job.context, atMs), where);
    const { count, lastMs: countedLastMs } = countInstants(job.schedule, job.context, atMs, lastMs);
    assert.equal(item.type === 'run' ? 1 : item.count, count, where);
    assert.equal(countedLastMs, lastMs, where);
    atMs = lastMs;
  }
  const remaining = nextInstant(job.schedule, job.context, atMs);
  assert.ok(remaining === null || remaining > toMs, where);
}

function assertReasons(job: FireSource, items: readonly PlannedFire[], nowMs: number, where: string): void {
  const startsAtMs = job.startsAtMs ?? Number.NEGATIVE_INFINITY;
  const expiresAtMs = job.expiresAtMs ?? Number.POSITIVE_INFINITY;
  let oldRuns = 0;
  for (const item of items) {
    if (item.type === 'run') {
      assert.ok(item.nominalMs >= startsAtMs && item.nominalMs <= expiresAtMs, where);
      if (item.nominalMs < nowMs - MINUTE_MS) oldRuns += 1;
    } else if (item.reason === 'not-yet') assert.ok(item.lastMs < startsAtMs && item.outcome === 'skipped', where);
    else if (item.reason === 'expired') assert.ok(item.firstMs > expiresAtMs && item.outcome === 'skipped', where);
    else assert.ok(item.lastMs < nowMs - MINUTE_MS && item.outcome === 'missed', where);
  }
  const runs = items.filter((item) => item.type === 'run');
  assert.ok(oldRuns === 0 || runs.length === 1, `an old one runs only where nothing younger does: ${where}`);
  const isAnyMissed = items.some((item) => item.type === 'stretch' && item.outcome === 'missed');
  assert.ok(!isAnyMissed || runs.length > 0, `something runs after what was missed: ${where}`);
}
