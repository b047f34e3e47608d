import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeChain, dueItems, openChain, Schedules } from '../../src/scheduler/chain.ts';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, makeJob, NOON_MS, SECOND_MS, schedules } from './machine.ts';

const HOUR_MS = 60 * MINUTE_MS;

test('links follow one another without a gap, and the last names the first instant after', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '*/10 * * * * *' });
  machine.nowMs += 5 * MINUTE_MS;

  const items = dueItems(schedules, machine.job(uid), machine.status(uid), machine.nowMs);

  assert.equal(items.length, 1 + 7);
  let cursorMs = machine.status(uid).cursorMs;
  for (const item of items) {
    assert.equal(item.previousMs, cursorMs);
    assert.equal(item.nextMs, item.lastMs + 10 * SECOND_MS);
    cursorMs = item.lastMs;
  }
});

test('a closing accounts for everything up to now', () => {
  const cases = [
    [{ schedule: '* * * * * *' }, HOUR_MS, 62],
    [{ schedule: '* * * * * *', disabled: true }, HOUR_MS, 1],
    [{ schedule: '@manually' }, HOUR_MS, 0],
    [{ schedule: '@daily' }, HOUR_MS, 0],
    [{ schedule: '* * * * * *', startsAtMs: NOON_MS + 2 * HOUR_MS }, HOUR_MS, 1],
    [{ schedule: '* * * * * *', expiresAtMs: NOON_MS + SECOND_MS }, HOUR_MS, 2],
  ] as const;
  for (const [changes, passedMs, items] of cases) {
    const machine = new Machine();
    const uid = machine.put(changes);
    machine.nowMs += passedMs;

    const closing = closeChain(schedules, machine.job(uid), machine.status(uid), machine.nowMs);

    assert.equal(closing?.items.length, items, JSON.stringify(changes));
    assert.ok(closing?.nextMs === null || (closing?.nextMs ?? 0) > machine.nowMs);
    machine.put({ schedule: '@hourly' });
    checkState(machine);
  }
});

test('a zone is that of the prefix, of the job, of the cluster, in this order', () => {
  const cases = [
    [{ schedule: 'TZ=Asia/Tokyo 0 0 * * *', timezone: 'Europe/Paris' }, 'Asia/Tokyo'],
    [{ schedule: '0 0 * * *', timezone: 'Europe/Paris' }, 'Europe/Paris'],
    [{ schedule: '0 0 * * *' }, 'America/New_York'],
  ] as const;
  for (const [changes, zone] of cases) {
    const origin = { nowMs: NOON_MS, anchorMs: null, defaultZone: 'America/New_York' };

    assert.equal(openChain(schedules, makeJob(changes), origin).zone, zone);
  }
});

test('over the changes of the clocks every instant of a local line is there once', () => {
  const cases = [
    // 02:30 does not exist on 29 March 2026 in Berlin, and comes twice on 25 October.
    [Date.UTC(2026, 2, 27, 12), 4, ['2026-03-28T01:30', '2026-03-30T00:30', '2026-03-31T00:30']],
    [Date.UTC(2026, 9, 23, 12), 3, ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-25T01:30', '2026-10-26T01:30']],
  ] as const;
  for (const [startMs, days, expected] of cases) {
    const machine = new Machine();
    machine.nowMs = startMs;
    const uid = machine.put({ schedule: '30 2 * * *', timezone: 'Europe/Berlin' });
    const seen: string[] = [];
    for (let hour = 0; hour < days * 24; hour += 1) {
      machine.nowMs += HOUR_MS;
      machine.fire(uid);
    }
    for (const row of machine.rows().values()) {
      if (row.type === 'run' && row.scheduledAtMs !== null)
        seen.push(new Date(row.scheduledAtMs).toISOString().slice(0, 16));
    }

    assert.deepEqual(seen, expected);
    checkState(machine);
  }
});

test('a child and a text that no version can read never fire', () => {
  const own = new Schedules(schedules.zones);

  assert.equal(own.of(makeJob({ schedule: '* * * * * *', parentJob: 'parent' })).type, 'manual');
  assert.equal(own.of(makeJob({ schedule: 'at full moon' })).type, 'manual');
});

test('so much of one job in one plan that the rest must follow is no closing', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '* * * * * *' });
  machine.nowMs += 61 * SECOND_MS;

  const items = dueItems(schedules, machine.job(uid), machine.status(uid), machine.nowMs);
  const completed = machine.completed({ type: 'toggle-job', name: 'job' });

  assert.ok(items.length <= 100);
  assert.equal(completed.type, 'command');
});
