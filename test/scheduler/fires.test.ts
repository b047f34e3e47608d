import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import type { Applying } from '../../src/scheduler/applying.ts';
import { appendFire, resolveFire } from '../../src/scheduler/fires.ts';
import { keys } from '../../src/scheduler/rows.ts';
import { pick, printedRandom } from '../jobs/seed.ts';
import { checkLedger } from './invariants.ts';
import { Machine, MINUTE_MS, NOON_MS, SECOND_MS } from './machine.ts';

const { seed } = printedRandom('fires');
const DAY_MS = 24 * 60 * MINUTE_MS;

function applying(machine: Machine): Applying {
  return { state: machine.state, index: machine.state.meta.appliedIndex, loggedMs: machine.nowMs, events: [] };
}

test('fires that are appended and resolved in any order leave a folded list that has them all', () => {
  fc.assert(
    fc.property(fc.nat(), (storySeed) => {
      const random = seededRandom(storySeed);
      const machine = new Machine();
      const uid = machine.put({ schedule: '* * * * * *' });
      const open: number[] = [];
      const expected = new Map<number, string>();
      for (let at = 1; at <= 60; at += 1) {
        const firstMs = NOON_MS + at * SECOND_MS;
        const [outcome, reason] = pick(random, [
          ['open', ''],
          ['open', ''],
          ['missed', 'shed'],
          ['missed', 'no-target'],
          ['skipped', 'overlap'],
        ] as const);
        appendFire(applying(machine), uid, 1, { firstMs, lastMs: firstMs, count: 1, outcome, reason });
        machine.state.put(keys.status(uid), { ...machine.status(uid), cursorMs: firstMs });
        expected.set(firstMs, outcome + reason);
        if (outcome === 'open') open.push(firstMs);
        while (open.length > 0 && random() < 0.5) {
          const [nominalMs] = open.splice(Math.floor(random() * open.length), 1) as [number];
          const ran = random() < 0.6;
          const end = ran
            ? ({ outcome: 'ran', reason: '' } as const)
            : ({ outcome: 'missed', reason: 'no-target' } as const);
          resolveFire(applying(machine), uid, nominalMs, { ...end, latenessMs: ran ? at : null });
          expected.set(nominalMs, end.outcome + end.reason);
        }
        checkLedger(machine, uid);
      }

      const said = new Map<number, string>();
      for (const row of machine.fires(uid)) {
        for (let ms = row.firstMs; ms <= row.lastMs; ms += SECOND_MS) said.set(ms, row.outcome + row.reason);
      }
      assert.deepEqual([...said], [...expected]);
    }),
    { seed, numRuns: 100, includeErrorInReport: true },
  );
});

test('a stretch keeps its greatest lateness, and its first and last index', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '0 * * * * *' });
  for (const lateMs of [5, 80, 20]) {
    machine.nowMs += MINUTE_MS;
    machine.fire(uid, [node]);
    machine.finish(`${uid}-s${machine.nowMs}-0-1`, 'succeeded', { startedAtMs: machine.nowMs + lateMs });
  }

  const [row, ...more] = machine.fires(uid);

  assert.deepEqual(more, []);
  assert.deepEqual([row?.count, row?.latenessMs, row?.firstIndex, row?.lastIndex], [3, 80, 3, 8]);
});

test('a fire is resolved once', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;
  machine.fire(uid);
  const end = { outcome: 'missed', reason: 'no-target', latenessMs: null } as const;
  resolveFire(applying(machine), uid, machine.nowMs, end);

  resolveFire(applying(machine), uid, machine.nowMs, { outcome: 'ran', reason: '', latenessMs: 0 });

  assert.deepEqual(machine.ledger(uid), ['missed:no-target 1 12:01:00']);
});

test('fires older than keep-fires go, with the generations that nothing is left of', () => {
  const machine = new Machine();
  machine.submit({ type: 'set-settings', settings: { keepFiresMs: DAY_MS } });
  const uid = machine.put({ schedule: '0 0 * * * *', disabled: true });
  machine.nowMs += 5 * 60 * MINUTE_MS;
  machine.put({ schedule: '0 30 * * * *' });
  assert.notEqual(machine.state.get(keys.generation(uid, 1)), undefined);

  machine.nowMs += 60 * MINUTE_MS;
  machine.fire(uid);
  machine.nowMs += 2 * DAY_MS;
  machine.apply({
    type: 'expire',
    nowMs: machine.nowMs,
    waits: [{ run: `${uid}-s${NOON_MS + 5.5 * 60 * MINUTE_MS}`, ordinal: null }],
  });
  machine.fire(uid);

  assert.equal(machine.state.get(keys.generation(uid, 1)), undefined);
  assert.deepEqual(machine.ledger(uid), ['missed:window-passed 47 18:30:00-16:30:00', 'open 1 17:30:00']);
  checkLedger(machine, uid);
});
