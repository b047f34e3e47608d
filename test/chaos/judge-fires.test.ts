import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fire } from '../helpers/fires.ts';
import { judgeFires, judgeStarts } from './judge-fires.ts';
import type { Start } from './schedules.ts';

const JOB = { name: 'ticker', everyMs: 2_000, firstMs: 10_000 };

function ran(atMs: number, outcome = 'ran'): Fire {
  return { outcome, scheduled_at: new Date(atMs).toISOString(), run: `r${atMs}` };
}

function missed(firstMs: number, count: number): Fire {
  const last = new Date(firstMs + (count - 1) * JOB.everyMs).toISOString();
  return { outcome: 'missed', reason: 'window-passed', first: new Date(firstMs).toISOString(), last, count };
}

function start(atMs: number, execution = `r${atMs}-0-1`): Start {
  return { job: JOB.name, execution, fence: 1, scheduledAtMs: atMs };
}

test('a chain without a hole, whose starts are all told of, is fine', () => {
  const fires = [ran(10_000), missed(12_000, 3), ran(18_000)];

  assert.deepEqual(judgeFires({ job: JOB, fires, starts: [start(10_000), start(18_000)], untilMs: 19_000 }), []);
});

test('a run that was recorded and never started is fine: its node may have died', () => {
  assert.deepEqual(judgeFires({ job: JOB, fires: [ran(10_000)], starts: [], untilMs: 11_000 }), []);
});

const BAD: readonly (readonly [string, RegExp, readonly Fire[], readonly Start[]])[] = [
  ['a nominal time of which nothing is said', /nothing is said of .*12\.000Z/, [ran(10_000), ran(14_000)], []],
  ['a nominal time that is told twice', /told twice/, [ran(10_000), ran(12_000), ran(12_000), ran(14_000)], []],
  ['a fire that stays open', /without an outcome/, [ran(10_000), ran(12_000, 'open'), ran(14_000)], []],
  ['an end that is missing', /nothing is said of .*14\.000Z/, [ran(10_000), ran(12_000)], []],
  ['a stretch that reaches into the next', /told twice/, [missed(10_000, 3), ran(14_000)], []],
  ['a start without a fire', /no fire says/, [missed(10_000, 3)], [start(12_000)]],
  [
    'two runs of one nominal time',
    /run twice/,
    [ran(10_000), missed(12_000, 2)],
    [start(10_000), start(10_000, 'other')],
  ],
];

for (const [name, expected, fires, starts] of BAD) {
  test(`found: ${name}`, () => {
    const violations = judgeFires({ job: JOB, fires, starts, untilMs: 15_000 });

    assert.equal(violations.length, 1, violations.join('\n'));
    assert.match(violations[0] ?? '', expected);
  });
}

test('an execution that was started twice is found', () => {
  assert.deepEqual(judgeStarts([start(10_000), start(12_000)]), []);
  assert.deepEqual(judgeStarts([start(10_000), start(10_000)]), ['execution r10000-0-1 was started twice']);
});
