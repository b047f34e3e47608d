import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';
import type { ExecutionOutcome } from '../../src/jobs/execution.ts';
import { countInstants } from '../../src/jobs/next.ts';
import { keys } from '../../src/scheduler/rows.ts';
import { pick, printedRandom } from '../jobs/seed.ts';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, makeFinish, makeJob, NOON_MS, SECOND_MS, schedules } from './machine.ts';

const { seed } = printedRandom('scheduler laws');

const NAMES = ['ann', 'bob', 'cid'];
const SCHEDULES = ['* * * * * *', '*/7 * * * * *', '@every 3s', '@minutely', '@manually', '@at 2026-01-01T12:00:30Z'];
const OUTCOMES: readonly ExecutionOutcome[] = [
  'succeeded',
  'succeeded',
  'failed',
  'timed-out',
  'lost',
  'refused',
  'cancelled',
];

/** Does one thing that may happen in a cluster, drawn at random. */
function step(machine: Machine, random: Random): void {
  machine.nowMs += pick(random, [0, 0, 1, 300, SECOND_MS, SECOND_MS, 5 * SECOND_MS, 2 * MINUTE_MS]);
  const name = pick(random, NAMES);
  const uid = machine.uid(name);
  switch (randomInteger(random, 0, 11)) {
    case 0:
      machine.submit({ type: 'put-job', job: randomJob(name, random), runOnCreate: random() < 0.2 });
      return;
    case 1:
      machine.submit({ type: 'toggle-job', name });
      return;
    case 2:
      if (random() < 0.3) machine.submit({ type: 'delete-job', name });
      return;
    case 3:
      machine.submit({ type: 'run-job', name });
      return;
    case 4:
      machine.node(pick(random, ['n1', 'n2']), { boot: randomInteger(random, 1, 5), slots: 3 });
      return;
    case 5: {
      const node = pick(random, ['n1', 'n2']);
      const session = machine.state.meta.appliedIndex - randomInteger(random, 0, 30);
      const { nowMs } = machine;
      if (random() < 0.5) machine.apply({ type: 'close-session', nowMs, node, session, hasLeft: random() < 0.5 });
      else machine.apply({ type: 'forget-nodes', nowMs, nodes: [{ node, session }] });
      return;
    }
    case 6:
    case 7:
    case 8:
      if (uid !== undefined) machine.fire(uid, randomTargets(machine, random));
      return;
    case 9:
    case 10:
      return finishSome(machine, random);
    default:
      return placeSome(machine, random);
  }
}

function randomJob(name: string, random: Random) {
  const parentJob = random() < 0.2 ? pick(random, NAMES) : '';
  return makeJob({
    name,
    schedule: pick(random, SCHEDULES),
    parentJob: parentJob === name ? '' : parentJob,
    disabled: random() < 0.2,
    concurrency: random() < 0.5 ? 'forbid' : 'allow',
    retries: randomInteger(random, 0, 2),
    onLost: random() < 0.5 ? 'retry' : 'fail',
    ephemeral: random() < 0.2,
    keepRuns: randomInteger(random, 1, 3),
    startsAtMs: random() < 0.3 ? NOON_MS + randomInteger(random, 0, 60) * SECOND_MS : null,
    expiresAtMs: random() < 0.3 ? NOON_MS + randomInteger(random, 30, 300) * SECOND_MS : null,
    startWithinMs: random() < 0.5 ? 2 * SECOND_MS : null,
  });
}

function randomTargets(machine: Machine, random: Random) {
  return machine.roster.rows
    .filter(() => random() < 0.6)
    .map(({ node, session }) => ({ node, session: random() < 0.1 ? session + 1 : session }));
}

function finishSome(machine: Machine, random: Random): void {
  const open = [...machine.rows().values()].flatMap((row) =>
    row.type === 'execution' && row.state === 'assigned' ? [row.id] : [],
  );
  const finishes = open
    .filter(() => random() < 0.7)
    .map((execution) => makeFinish(execution, pick(random, OUTCOMES), { finishedAtMs: machine.nowMs }));
  if (random() < 0.1) finishes.push(makeFinish('0-1-s1-0-1', 'succeeded'));
  machine.apply({ type: 'finish', nowMs: machine.nowMs, finishes });
}

function placeSome(machine: Machine, random: Random): void {
  const { nowMs } = machine;
  const rows = [...machine.rows()];
  const waits = rows.flatMap(([, row]) => (row.type === 'wait' ? [{ run: row.run, ordinal: row.ordinal }] : []));
  if (random() < 0.5) machine.apply({ type: 'expire', nowMs, waits });
  else {
    const items = waits.map((wait) => ({ ...wait, targets: randomTargets(machine, random) }));
    machine.apply({ type: 'assign', nowMs, items });
  }
  for (const [key, row] of rows) {
    if (row.type === 'purge') machine.apply({ type: 'purge', nowMs, uid: keys.uidOfPurge(key) });
  }
}

test('whatever happens, in whatever order, the rows stay whole', () => {
  fc.assert(
    fc.property(fc.nat(), (storySeed) => {
      const random = seededRandom(storySeed);
      const machine = new Machine();
      machine.node('n1');
      for (let at = 0; at < 100; at += 1) {
        step(machine, random);
        if (random() < 0.1) machine.flush();
        checkState(machine);
      }
    }),
    { seed, numRuns: 25, includeErrorInReport: true },
  );
});

test('equal logs give equal states, whenever rows went to disk, were evicted, or the process died in between', () => {
  fc.assert(
    fc.property(fc.nat(), (storySeed) => {
      const random = seededRandom(storySeed);
      const first = new Machine();
      const second = new Machine();
      first.node('n1');
      for (let at = 0; at < 150; at += 1) step(first, random);

      second.log.push(...first.log);
      while (second.state.meta.appliedIndex < first.log.length) {
        second.replayNext();
        if (random() < 0.2) {
          // One at a time, which may be under way in a crash.
          second.clock.advance(0);
          second.state.flush(() => {});
        }
        if (random() < 0.2) second.clock.advance(0);
        if (random() < 0.1) second.crash(random, random() < 0.5 ? 'prefix' : 'any-subset');
      }

      assert.equal(second.state.rowHash(), first.state.rowHash());
      assert.deepEqual(second.state.meta, first.state.meta);
      checkState(second);
      second.clock.advance(0);
      second.flush();
      second.crash(random, 'any-subset');
      assert.equal(second.state.rowHash(), first.state.rowHash());
    }),
    { seed, numRuns: 20, includeErrorInReport: true },
  );
});

test('every instant of every generation has exactly one outcome, over edits and toggles', () => {
  fc.assert(
    fc.property(fc.nat(), (storySeed) => {
      const random = seededRandom(storySeed);
      const machine = new Machine();
      const node = machine.node('n1');
      const uid = machine.put({ schedule: pick(random, SCHEDULES) });
      const spans = [{ generation: 1, fromMs: machine.state.meta.loggedMs, row: machine.job(uid) }];
      for (let at = 0; at < 40; at += 1) {
        machine.nowMs += randomInteger(random, 0, 8_000);
        const kind = random();
        if (kind < 0.2) machine.put({ schedule: pick(random, SCHEDULES), disabled: random() < 0.3 });
        else if (kind < 0.4) machine.submit({ type: 'toggle-job', name: 'job' });
        else machine.fire(uid, random() < 0.7 ? [node] : []);
        const { generation } = machine.job(uid);
        if (generation !== spans.length)
          spans.push({ generation, fromMs: machine.state.meta.loggedMs, row: machine.job(uid) });
      }
      machine.submit({ type: 'toggle-job', name: 'job' });

      spans.forEach(({ generation, fromMs, row }, at) => {
        const toMs = spans[at + 1]?.fromMs ?? machine.state.meta.loggedMs;
        const { schedule, context } = schedules.sourceOf(row, 0);
        const said = countInstants(schedule, context, fromMs, toMs);
        const own = machine.fires(uid).filter((fire) => fire.generation === generation);
        assert.deepEqual(
          {
            count: own.reduce((sum, fire) => sum + fire.count, 0),
            firstMs: own[0]?.firstMs ?? null,
            lastMs: own.at(-1)?.lastMs ?? null,
          },
          said,
          `generation ${generation}`,
        );
      });
    }),
    { seed, numRuns: 100, includeErrorInReport: true },
  );
});

test('replay emits the same events, so that servers tell the same story', () => {
  const random = seededRandom(seed);
  const first = new Machine();
  const stories: string[] = [];
  first.node('n1');
  stories.push(JSON.stringify(first.events));
  for (let at = 0; at < 100; at += 1) {
    const before = first.state.meta.appliedIndex;
    step(first, random);
    if (first.state.meta.appliedIndex === before + 1) stories[before] = JSON.stringify(first.events);
  }

  const second = new Machine();
  second.log.push(...first.log);
  for (const [at] of first.log.entries()) {
    second.replayNext();
    if (stories[at] !== undefined) assert.equal(JSON.stringify(second.events), stories[at]);
  }
});
