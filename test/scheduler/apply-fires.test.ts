import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueItems } from '../../src/scheduler/chain.ts';
import type { FireItem } from '../../src/scheduler/command.ts';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, NOON_MS, SECOND_MS, schedules } from './machine.ts';

function due(machine: Machine, uid: string): FireItem {
  return dueItems(schedules, machine.job(uid), machine.status(uid), machine.nowMs)[0] as FireItem;
}

test('a link that does not continue the chain changes nothing and says where the job stands', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  const good = due(machine, uid);
  const bad: FireItem[] = [
    { ...good, generation: 2 },
    { ...good, previousMs: good.previousMs - 1 },
    { ...good, firstMs: good.previousMs },
    { ...good, lastMs: good.firstMs - 1 },
    { ...good, lastMs: good.firstMs + MINUTE_MS, count: 2 },
    { ...good, count: 0 },
    { ...good, nextMs: good.lastMs },
  ];
  const before = machine.state.rowHash();

  for (const item of bad) {
    machine.apply({ type: 'fire', nowMs: machine.nowMs, items: [item] });

    assert.equal(machine.state.rowHash(), before, JSON.stringify(item));
    assert.deepEqual(machine.events, [{ type: 'due-moved', uid, nextMs: NOON_MS + MINUTE_MS }]);
  }
});

test('firing twice is firing once', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  const item = due(machine, uid);

  for (let times = 0; times < 2; times += 1) machine.apply({ type: 'fire', nowMs: machine.nowMs, items: [item] });

  assert.equal(machine.openRuns(uid).length, 1);
  checkState(machine);
});

test('a fire for a job that is gone is dropped', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  const item = due(machine, uid);
  machine.submit({ type: 'delete-job', name: 'job' });

  machine.apply({ type: 'fire', nowMs: machine.nowMs, items: [item] });

  const left = [...machine.rows().values()].map((row) => row.type);
  assert.deepEqual(new Set(left), new Set(['request', 'request-order']), 'only the answers are kept');
});

test('forbid skips what overlaps a pending or running run', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '0 * * * * *', concurrency: 'forbid' });
  for (let minute = 1; minute <= 3; minute += 1) {
    machine.nowMs = NOON_MS + minute * MINUTE_MS;
    machine.fire(uid, [node]);
  }
  machine.finish(`${uid}-s${NOON_MS + MINUTE_MS}-0-1`, 'succeeded');
  machine.nowMs += MINUTE_MS;

  machine.fire(uid, []);
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, [node]);

  assert.deepEqual(machine.ledger(uid), [
    'ran 1 12:01:00',
    'skipped:overlap 2 12:02:00-12:03:00',
    'open 1 12:04:00',
    'skipped:overlap 1 12:05:00',
  ]);
  checkState(machine);
});

test('what would wait beyond the bound of pending runs is missed: shed', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  machine.submit({ type: 'set-settings', settings: { pendingRunsMax: 1 } });
  const uid = machine.put({ schedule: '0 * * * * *' });
  for (const targets of [[], [], [node]]) {
    machine.nowMs += MINUTE_MS;
    machine.fire(uid, targets);
  }

  assert.deepEqual(machine.ledger(uid), ['open 1 12:01:00', 'missed:shed 1 12:02:00', 'open 1 12:03:00']);
  assert.equal(machine.state.meta.waits, 1);
  checkState(machine);
});

test('a job that is far behind: a missed stretch, then each instant of the last minute', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '*/20 * * * * *' });
  machine.nowMs += 10 * MINUTE_MS + SECOND_MS;

  machine.fire(uid);

  assert.deepEqual(machine.ledger(uid), [
    'missed:window-passed 27 12:00:20-12:09:00',
    'open 1 12:09:20',
    'open 1 12:09:40',
    'open 1 12:10:00',
  ]);
  checkState(machine);
});

test('a job that is far behind and has nothing younger runs the newest of what it missed', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '@hourly' });
  machine.nowMs += 5.5 * 60 * MINUTE_MS;

  machine.fire(uid);

  assert.deepEqual(machine.ledger(uid), ['missed:window-passed 4 13:00:00-16:00:00', 'open 1 17:00:00']);
  checkState(machine);
});

test('before starts_at and after expires_at instants are skipped', () => {
  const machine = new Machine();
  const uid = machine.put({
    schedule: '0 * * * * *',
    startsAtMs: NOON_MS + 3 * MINUTE_MS,
    expiresAtMs: NOON_MS + 4 * MINUTE_MS,
  });
  assert.equal(machine.status(uid).nextMs, NOON_MS + 3 * MINUTE_MS);
  machine.nowMs += 3 * MINUTE_MS;
  machine.fire(uid);
  machine.nowMs += MINUTE_MS;
  machine.fire(uid);
  assert.equal(machine.status(uid).nextMs, null);
  machine.nowMs += 5 * MINUTE_MS;

  machine.put({ schedule: '@hourly' });

  assert.deepEqual(machine.ledger(uid), [
    'skipped:not-yet 2 12:01:00-12:02:00',
    'open 1 12:03:00',
    'open 1 12:04:00',
    'skipped:expired 5 12:05:00-12:09:00',
  ]);
  checkState(machine);
});
