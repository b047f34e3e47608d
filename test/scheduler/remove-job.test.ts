import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateEvent } from '../../src/scheduler/event.ts';
import { checkState, rowsOf } from './invariants.ts';
import { Machine, MINUTE_MS, NOON_MS, SECOND_MS } from './machine.ts';

function purgeAll(machine: Machine, uid: string): number {
  let entries = 0;
  while (machine.events.some((event: StateEvent) => event.type === 'purge-left')) {
    machine.apply({ type: 'purge', nowMs: machine.nowMs, uid });
    entries += 1;
    assert.ok(entries < 10_000, 'the purge comes to an end');
  }
  return entries;
}

test('a small job goes with all its rows in the entry that deletes it', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, [node]);
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, []);
  machine.put({ schedule: '30 * * * * *' });

  machine.submit({ type: 'delete-job', name: 'job' });

  assert.deepEqual(rowsOf(machine, uid), []);
  assert.equal(machine.state.meta.waits, 0);
  checkState(machine);
});

test('a late finish after the delete is acknowledged and counted', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, [node]);
  const execution = `${uid}-s${machine.nowMs}-0-1`;
  machine.submit({ type: 'delete-job', name: 'job' });

  machine.finish(execution, 'succeeded');

  assert.deepEqual(machine.events, [{ type: 'late-finish', execution }]);
  assert.equal(machine.state.meta.lateFinishes, 1);
});

test('a job with thousands of rows goes bit by bit', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '* * * * * *', keepRuns: 10_000 });
  for (let second = 0; second < 1_000; second += 1) {
    machine.nowMs += SECOND_MS;
    machine.fire(uid, second % 2 === 0 ? [node] : []);
    if (second % 3 === 0) machine.finish(`${uid}-s${machine.nowMs}-0-1`, second % 4 === 0 ? 'succeeded' : 'lost');
  }

  machine.submit({ type: 'delete-job', name: 'job' });
  assert.notDeepEqual(rowsOf(machine, uid), []);
  const entries = purgeAll(machine, uid);

  assert.deepEqual(rowsOf(machine, uid), []);
  assert.equal(machine.state.meta.waits, 0);
  assert.ok(entries > 1);
  checkState(machine);
});

test('what still waits while a deleted job is purged neither runs nor ends', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '* * * * * *', startWithinMs: SECOND_MS });
  for (let second = 1; second <= 1_000; second += 1) {
    machine.nowMs = NOON_MS + second * SECOND_MS;
    machine.fire(uid);
  }
  machine.submit({ type: 'delete-job', name: 'job' });
  const oldest = `${uid}-s${NOON_MS + SECOND_MS}`;
  const other = `${uid}-s${NOON_MS + 2 * SECOND_MS}`;
  assert.ok(machine.run(oldest) !== undefined, 'the purge has not come to it yet');

  machine.nowMs += MINUTE_MS;
  machine.apply({ type: 'expire', nowMs: machine.nowMs, waits: [{ run: oldest, ordinal: null }] });
  assert.deepEqual(machine.events, [{ type: 'wait-ended', run: oldest, ordinal: null }]);
  machine.apply({ type: 'assign', nowMs: machine.nowMs, items: [{ run: other, ordinal: null, targets: [node] }] });

  assert.equal(
    machine.events.some((event) => event.type === 'assigned'),
    false,
  );
  machine.apply({ type: 'purge', nowMs: machine.nowMs, uid });
  purgeAll(machine, uid);
  assert.deepEqual(rowsOf(machine, uid), []);
  assert.equal(machine.state.meta.waits, 0);
  checkState(machine);
});

test('dropping a run costs what it has, not its targets times its highest attempt', () => {
  const machine = new Machine();
  const targets = Array.from({ length: 50 }, (_, number) => machine.node(`n${number}`));
  const uid = machine.put({ schedule: '@hourly', keepRuns: 1, startWithinMs: 60 * MINUTE_MS });
  machine.nowMs += 60 * MINUTE_MS;
  machine.fire(uid, targets);
  const run = `${uid}-s${machine.nowMs}`;
  for (let attempt = 1; attempt <= 100; attempt += 1) {
    machine.finish(`${run}-0-${attempt}`, 'refused');
    machine.nowMs += 10 * SECOND_MS;
    machine.apply({ type: 'assign', nowMs: machine.nowMs, items: [{ run, ordinal: 0, targets: targets.slice(0, 1) }] });
  }
  let reads = 0;
  const get = machine.state.get.bind(machine.state);
  machine.state.get = (key) => {
    reads += 1;
    return get(key);
  };

  machine.submit({ type: 'delete-job', name: 'job' });

  assert.deepEqual(rowsOf(machine, uid), []);
  assert.ok(reads < 1_000, `${reads} reads for 150 executions`);
});
