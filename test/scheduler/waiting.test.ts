import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { DueIndex } from '../../src/scheduler/due-index.ts';
import { Reservations } from '../../src/scheduler/reservations.ts';
import { Roster } from '../../src/scheduler/roster.ts';
import { keys, type NodeRow, type WaitRow } from '../../src/scheduler/rows.ts';
import { Waiting } from '../../src/scheduler/waiting.ts';
import { makeJob } from './machine.ts';

function wait(changes: Partial<WaitRow> = {}): WaitRow {
  return {
    type: 'wait',
    run: '0-1-s1',
    ordinal: null,
    fromMs: 0,
    untilMs: 100,
    node: null,
    attempt: 1,
    tries: 0,
    ...changes,
  };
}

function node(name: string, changes: Partial<NodeRow> = {}): NodeRow {
  return {
    type: 'node',
    node: name,
    boot: 1,
    name,
    isServer: false,
    tags: {},
    slots: 2,
    version: '',
    address: '',
    session: 1,
    isOpen: true,
    closedMs: null,
    hasLeft: false,
    ...changes,
  };
}

function runs(waits: Iterable<WaitRow>): string[] {
  return [...waits].map((one) => one.run);
}

test('waits are ready in the order in which they came, retries when their delay is over', () => {
  const waiting = new Waiting();
  waiting.add(wait({ run: 'a' }));
  waiting.add(wait({ run: 'b', ordinal: 0, fromMs: 50 }));
  waiting.add(wait({ run: 'c' }));

  assert.deepEqual(runs(waiting.ready(49)), ['a', 'c']);
  assert.equal(waiting.nextMs(), 50);
  assert.deepEqual(runs(waiting.ready(50)), ['a', 'c', 'b']);
  waiting.postpone([keys.wait('a', null)]);
  assert.deepEqual(runs(waiting.ready(50)), ['c', 'b', 'a']);
});

test('what waits that are over have left behind is bounded', () => {
  const waiting = new Waiting();
  for (let number = 0; number < 5_000; number += 1) {
    waiting.add(wait({ run: `${number}`, untilMs: number }));
    waiting.remove(`${number}`, null);
  }

  assert.ok((waiting.nextMs() ?? 5_000) >= 4_000);
});

test('a later wait of the same target starts and ends at its own time', () => {
  const waiting = new Waiting();
  waiting.add(wait({ run: 'a', ordinal: 0, fromMs: 10, untilMs: 20, attempt: 2 }));
  waiting.remove('a', 0);
  waiting.add(wait({ run: 'a', ordinal: 0, fromMs: 200, untilMs: 300, attempt: 3 }));

  assert.deepEqual(runs(waiting.ready(100)), []);
  assert.deepEqual(waiting.expired(100, 10), []);
  assert.deepEqual(runs(waiting.ready(200)), ['a']);
  assert.deepEqual(runs(waiting.expired(300, 10)), ['a']);
});

test('a wait whose end was not heard gives way to the next of its target', () => {
  const waiting = new Waiting();
  waiting.add(wait({ run: 'a', ordinal: 0, node: 'old', attempt: 2 }));
  const next = wait({ run: 'a', ordinal: 0, node: 'new', fromMs: 50, attempt: 3 });

  waiting.keep(new Map([[keys.wait('a', 0), next]]), new Set());

  assert.deepEqual([...waiting.ready(10)], []);
  assert.deepEqual([...waiting.ready(50)], [next]);
});

test('a sweep ends what is gone and adds what was missed, but knows nothing of what was touched meanwhile', () => {
  const waiting = new Waiting();
  for (const run of ['gone', 'new']) waiting.add(wait({ run }));

  waiting.keep(
    new Map([
      [keys.wait('missed', null), wait({ run: 'missed' })],
      [keys.wait('ended', null), wait({ run: 'ended' })],
    ]),
    new Set([keys.wait('new', null), keys.wait('ended', null)]),
  );

  assert.deepEqual(runs(waiting.ready(0)), ['new', 'missed']);
});

test('the due index gives each job once, in order, and nothing beyond its horizon', () => {
  const due = new DueIndex();
  due.horizonMs = 100;
  due.move('a', 50);
  due.move('b', 20);
  due.move('c', 101);
  due.move('a', 30);
  due.move('b', 60);
  due.move('b', 20);
  due.move('d', 40);
  due.move('d', null);

  assert.equal(due.peekMs(), 20);
  assert.deepEqual(due.take(100, 10), ['b', 'a']);
  assert.equal(due.peekMs(), null);
  assert.equal(due.size, 0);
});

test('a slot that is held is not given away, and comes back once, in whatever way', () => {
  const roster = new Roster();
  roster.register(node('n1'));
  roster.setLive('n1', true);
  const reservations = new Reservations(roster);
  const place = () => roster.place(makeJob(), 'all', seededRandom(1)).type;
  const target = { node: 'n1', session: 1 };

  reservations.hold('first', [target], 0);
  reservations.hold('first', [target], 10);
  assert.equal(place(), 'placed');
  reservations.hold('second', [target], 20);
  assert.equal(place(), 'no-slot');
  reservations.release('second');
  reservations.release('second');
  assert.equal(place(), 'placed');
  roster.opened('n1', 'x');
  assert.equal(place(), 'no-slot');
  reservations.releaseOlderThan(10);
  assert.equal(place(), 'no-slot');
  reservations.releaseOlderThan(11);
  assert.equal(place(), 'placed');
});

test('a node takes work only while its session is open and it was heard', () => {
  const roster = new Roster();
  const place = () => roster.place(makeJob(), 'all', seededRandom(1)).type;
  roster.register(node('n1'));
  assert.equal(place(), 'no-target');
  roster.setLive('n1', true);
  assert.equal(place(), 'placed');
  roster.register(node('n1', { isOpen: false }));
  assert.equal(place(), 'no-target');
  roster.setLive('n1', true);
  assert.equal(place(), 'no-target');
  roster.register(node('n1', { session: 2 }));
  assert.equal(place(), 'placed', 'a new session is proof of life');
});

test('a retry goes to its node whatever its tags say, another placement to any that matches', () => {
  const roster = new Roster();
  for (const row of [node('n1', { tags: { role: 'web' } }), node('n2')]) {
    roster.register(row);
    roster.setLive(row.node, true);
  }
  const job = makeJob({ tags: { role: 'web:2' } });
  const names = (on: string | null) => {
    const placed = roster.placeOne(job, on, seededRandom(1));
    return placed.type === 'placed' ? placed.targets.map((target) => target.node) : placed.type;
  };

  assert.deepEqual(names('n2'), ['n2']);
  assert.deepEqual(names(null), ['n1']);
  assert.equal(names('n3'), 'no-target');
});
