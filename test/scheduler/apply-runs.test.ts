import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExecutionOutcome } from '../../src/jobs/execution.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Target } from '../../src/scheduler/command.ts';
import { keys, type WaitRow } from '../../src/scheduler/rows.ts';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, NOON_MS, SECOND_MS } from './machine.ts';

/** A job that has just fired on so many nodes. */
function setup(changes: Partial<Job> = {}, nodes = 1) {
  const machine = new Machine();
  const targets = Array.from({ length: nodes }, (_, number) => machine.node(`n${number}`));
  const uid = machine.put({ schedule: '0 * * * * *', ...changes });
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, targets);
  const run = `${uid}-s${machine.nowMs}`;
  const wait = (ordinal: number | null) => machine.state.get<WaitRow>(keys.wait(run, ordinal));
  const assign = (ordinal: number | null, to: readonly Target[]) =>
    machine.apply({ type: 'assign', nowMs: machine.nowMs, items: [{ run, ordinal, targets: to }] });
  const expire = (ordinal: number | null) =>
    machine.apply({ type: 'expire', nowMs: machine.nowMs, waits: [{ run, ordinal }] });
  return { machine, uid, run, targets, target: targets[0] as Target, wait, assign, expire };
}

test('a success ends run, fire and execution, and is counted', () => {
  const { machine, uid, run } = setup();
  assert.equal(machine.run(run)?.state, 'running');

  machine.nowMs += 3 * SECOND_MS;
  machine.finish(`${run}-0-1`, 'succeeded', { startedAtMs: NOON_MS + MINUTE_MS + 12, exitCode: 0 });

  assert.equal(machine.run(run)?.state, 'succeeded');
  assert.equal(machine.execution(run, 0, 1)?.exitCode, 0);
  assert.equal(machine.fires(uid)[0]?.latenessMs, 12);
  const { status, successCount, errorCount, lastSuccessMs, openRuns } = machine.status(uid);
  assert.deepEqual(
    { status, successCount, errorCount, lastSuccessMs, openRuns },
    { status: 'success', successCount: 1, errorCount: 0, lastSuccessMs: machine.nowMs, openRuns: 0 },
  );
  checkState(machine);
});

test('how one target ends decides run, status and counters', () => {
  const cases: [ExecutionOutcome, string, string, number, number][] = [
    ['succeeded', 'succeeded', 'success', 1, 0],
    ['failed', 'failed', 'failed', 0, 1],
    ['timed-out', 'failed', 'failed', 0, 1],
    ['lost', 'failed', 'failed', 0, 1],
    ['cancelled', 'cancelled', 'failed', 0, 1],
  ];
  for (const [outcome, state, status, successes, errors] of cases) {
    const { machine, uid, run } = setup();

    machine.finish(`${run}-0-1`, outcome);

    const row = machine.status(uid);
    assert.deepEqual(
      [machine.run(run)?.state, row.status, row.successCount, row.errorCount],
      [state, status, successes, errors],
      outcome,
    );
    assert.deepEqual(machine.ledger(uid), ['ran 1 12:01:00']);
    checkState(machine);
  }
});

test('several targets are judged together, once all have ended', () => {
  const cases: [ExecutionOutcome, ExecutionOutcome, string][] = [
    ['succeeded', 'succeeded', 'succeeded'],
    ['succeeded', 'failed', 'partially-failed'],
    ['failed', 'failed', 'failed'],
    ['failed', 'cancelled', 'failed'],
    ['cancelled', 'cancelled', 'cancelled'],
  ];
  for (const [first, second, state] of cases) {
    const { machine, run } = setup({}, 2);

    machine.finish(`${run}-0-1`, first);
    assert.equal(machine.run(run)?.state, 'running');
    machine.finish(`${run}-1-1`, second);

    assert.equal(machine.run(run)?.state, state);
    checkState(machine);
  }
});

test('a failed attempt is tried again on its node after 1, 2, 4 … at most 30 s; the last attempt counts', () => {
  const { machine, uid, run, target, wait, assign } = setup({ retries: 7 });
  const delays: number[] = [];
  for (let attempt = 1; attempt <= 7; attempt += 1) {
    machine.finish(`${run}-0-${attempt}`, attempt % 2 === 0 ? 'failed' : 'timed-out');
    const waiting = wait(0) as WaitRow;
    assert.equal(waiting.node, 'n0');
    assert.equal(waiting.untilMs - waiting.fromMs, 10 * MINUTE_MS);
    delays.push(waiting.fromMs - machine.nowMs);
    machine.nowMs = waiting.fromMs;
    assign(0, [target]);
  }
  assert.deepEqual(
    delays,
    [1, 2, 4, 8, 16, 30, 30].map((seconds) => seconds * SECOND_MS),
  );

  machine.finish(`${run}-0-8`, 'succeeded');

  assert.equal(machine.run(run)?.state, 'succeeded');
  assert.deepEqual([machine.status(uid).successCount, machine.status(uid).errorCount], [1, 7]);
  checkState(machine);
});

test('without retries left the run fails', () => {
  const { machine, run, target, assign, wait } = setup({ retries: 1 });
  machine.finish(`${run}-0-1`, 'failed');
  machine.nowMs += SECOND_MS;
  assign(0, [target]);

  machine.finish(`${run}-0-2`, 'failed');

  assert.equal(wait(0), undefined);
  assert.equal(machine.run(run)?.state, 'failed');
});

test('a lost attempt is tried again only where the job says so, and then anywhere', () => {
  for (const onLost of ['fail', 'retry'] as const) {
    const { machine, run, wait } = setup({ retries: 1, onLost });

    machine.finish(`${run}-0-1`, 'lost', { startedAtMs: null });

    if (onLost === 'fail') assert.equal(machine.run(run)?.state, 'failed');
    else assert.equal(wait(0)?.node, null);
    checkState(machine);
  }
});

test('a refused attempt is placed again, costs no retry and counts nowhere', () => {
  const { machine, uid, run, target, wait, assign } = setup({ retries: 0 });

  machine.finish(`${run}-0-1`, 'refused');
  const waiting = wait(0) as WaitRow;
  assert.deepEqual([waiting.node, waiting.attempt, waiting.tries], [null, 2, 0]);
  assert.deepEqual(machine.ledger(uid), ['open 1 12:01:00']);
  assign(0, [target]);
  machine.finish(`${run}-0-2`, 'succeeded');

  assert.equal(machine.run(run)?.state, 'succeeded');
  assert.deepEqual([machine.status(uid).successCount, machine.status(uid).errorCount], [1, 0]);
  checkState(machine);
});

test('a run that is refused until its time is over is missed: no-target', () => {
  const { machine, uid, run } = setup();
  machine.nowMs += MINUTE_MS;

  machine.finish(`${run}-0-1`, 'refused');

  assert.equal(machine.run(run)?.state, 'missed');
  assert.deepEqual(machine.ledger(uid), ['missed:no-target 1 12:01:00']);
  assert.equal(machine.status(uid).status, '');
  checkState(machine);
});

test('a retry that is refused is placed again, even when its run may start no more', () => {
  const { machine, run, target, wait, assign } = setup({ retries: 1 });
  machine.nowMs += 2 * MINUTE_MS;
  machine.finish(`${run}-0-1`, 'failed');
  machine.nowMs += SECOND_MS;
  assign(0, [target]);

  machine.finish(`${run}-0-2`, 'refused');

  assert.deepEqual([wait(0)?.attempt, wait(0)?.tries], [3, 1]);
  assert.ok((wait(0)?.untilMs ?? 0) > machine.nowMs + 9 * MINUTE_MS);
  checkState(machine);
});

test('a retry that is refused again and again gives up when its own time is over', () => {
  const { machine, run, target, wait, assign } = setup({ retries: 1 });
  machine.finish(`${run}-0-1`, 'failed');
  const untilMs = wait(0)?.untilMs as number;

  let attempt = 2;
  for (; wait(0) !== undefined && attempt < 200; attempt += 1) {
    machine.nowMs += 10 * SECOND_MS;
    assign(0, [target]);
    machine.finish(`${run}-0-${attempt}`, 'refused');
  }

  assert.equal(machine.run(run)?.state, 'failed');
  assert.ok(machine.nowMs >= untilMs && machine.nowMs < untilMs + 20 * SECOND_MS);
  checkState(machine);
});

test('a run without a place waits until it is assigned', () => {
  const { machine, uid, run, wait, assign } = setup({}, 0);
  assert.equal(machine.run(run)?.state, 'pending');
  assert.equal(wait(null)?.untilMs, machine.nowMs + MINUTE_MS, 'until the next instant');
  const node = machine.node('n9');

  assign(null, [node]);

  assert.equal(machine.run(run)?.state, 'running');
  assert.equal(machine.status(uid).openRuns, 1);
  checkState(machine);
});

test('start_within bounds the wait; without it the next instant does, or ten minutes', () => {
  const cases: [Partial<Job>, number][] = [
    [{}, MINUTE_MS],
    [{ schedule: '0 1 12 * * *' }, 10 * MINUTE_MS],
    [{ schedule: '@at 2026-01-01T12:01:00Z' }, 10 * MINUTE_MS],
    [{ startWithinMs: 5 * SECOND_MS }, 5 * SECOND_MS],
    [{ startWithinMs: 60 * MINUTE_MS }, 60 * MINUTE_MS],
  ];
  for (const [changes, withinMs] of cases) {
    const { machine, wait } = setup(changes, 0);

    assert.equal((wait(null)?.untilMs ?? 0) - machine.nowMs, withinMs, JSON.stringify(changes));
  }
});

test('a wait that is over ends as missed: no-target, and not before', () => {
  const { machine, uid, run, expire } = setup({}, 0);
  machine.nowMs += MINUTE_MS - 1;
  expire(null);
  assert.equal(machine.run(run)?.state, 'pending');

  machine.nowMs += 1;
  expire(null);

  assert.equal(machine.run(run)?.state, 'missed');
  assert.deepEqual(machine.ledger(uid), ['missed:no-target 1 12:01:00']);
  assert.deepEqual([machine.status(uid).errorCount, machine.status(uid).status], [0, '']);
  checkState(machine);
});

test('a retry that finds no place in time fails its run', () => {
  const { machine, uid, run, expire } = setup({ retries: 3 });
  machine.finish(`${run}-0-1`, 'failed');
  machine.nowMs += 11 * MINUTE_MS;

  expire(0);

  assert.equal(machine.run(run)?.state, 'failed');
  assert.deepEqual(machine.ledger(uid), ['ran 1 12:01:00']);
  checkState(machine);
});

test('an assignment that cannot be made says so, so that its slot comes free', () => {
  const { machine, run, wait, assign } = setup({}, 0);
  const node = machine.node('n1');
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session: node.session, hasLeft: false });

  assign(null, [node]);
  assert.deepEqual(machine.events, [{ type: 'waiting', wait: wait(null) }]);
  assert.equal(machine.run(run)?.state, 'pending');

  assign(7, [node]);
  assert.deepEqual(machine.events, [{ type: 'wait-ended', run, ordinal: 7 }]);
  checkState(machine);
});

test('of two assignments in flight the first counts', () => {
  const { machine, run, assign } = setup({}, 0);
  const first = machine.node('n1');
  const second = machine.node('n2');

  assign(null, [first]);
  assign(null, [second]);

  assert.equal(machine.run(run)?.targets, 1);
  assert.equal(machine.execution(run, 0, 1)?.node, 'n1');
  checkState(machine);
});

test('a finish that comes again, for nobody, or without sense is late', () => {
  const { machine, uid, run } = setup();
  machine.finish(`${run}-0-1`, 'succeeded');
  const late = [`${run}-0-1`, `${run}-0-2`, `${run}-1-1`, `${uid}-s12-0-1`, '0-zz-s12-0-1', 'nonsense', ''];
  const before = machine.state.rowHash();

  for (const execution of late) {
    machine.finish(execution, 'failed');

    assert.deepEqual(machine.events, [{ type: 'late-finish', execution }]);
  }
  assert.equal(machine.state.rowHash(), before);
  assert.equal(machine.state.meta.lateFinishes, late.length);
});

test('keep_runs keeps the newest finished runs with their executions', () => {
  const { machine, uid, target } = setup({ keepRuns: 2 });
  for (let minute = 2; minute <= 5; minute += 1) {
    machine.finish(`${uid}-s${machine.nowMs}-0-1`, 'succeeded');
    machine.nowMs += MINUTE_MS;
    machine.fire(uid, [target]);
  }

  const kept = [...machine.rows().values()].flatMap((row) => (row.type === 'execution' ? [row.id] : []));

  assert.deepEqual(
    kept,
    [3, 4, 5].map((minute) => `${uid}-s${NOON_MS + minute * MINUTE_MS}-0-1`),
  );
  assert.deepEqual(machine.ledger(uid), ['ran 4 12:01:00-12:04:00', 'open 1 12:05:00']);
  checkState(machine);
});

test('groups are unique within a job, also in one millisecond', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  machine.put();
  const groups = new Set<string>();
  for (let number = 0; number < 5; number += 1) {
    const result = machine.submit({ type: 'run-job', name: 'job' });
    assert.ok(result.type === 'run');
    groups.add(result.run.group);
    if (number === 2) machine.nowMs += 1;
  }

  assert.deepEqual(
    [...groups],
    [`${NOON_MS}000000`, `${NOON_MS}000001`, `${NOON_MS}000002`, `${NOON_MS + 1}000000`, `${NOON_MS + 1}000001`],
  );
  assert.ok(node.session > 0);
});

test('children run when their parent succeeds, unless disabled or forbidden', () => {
  for (const outcome of ['succeeded', 'failed'] as const) {
    const { machine, run } = setup();
    const child = machine.put({ name: 'child', parentJob: 'job', schedule: '' });
    const off = machine.put({ name: 'off', parentJob: 'job', schedule: '', disabled: true });
    const busy = machine.put({ name: 'busy', parentJob: 'job', schedule: '', concurrency: 'forbid' });
    machine.submit({ type: 'run-job', name: 'busy' });

    machine.finish(`${run}-0-1`, outcome);

    const started = [child, off, busy].map((uid) => machine.openRuns(uid).filter(({ cause }) => cause === 'p').length);
    assert.deepEqual(started, outcome === 'succeeded' ? [1, 0, 0] : [0, 0, 0]);
    checkState(machine);
  }
});

test('children that could only wait beyond the bound are missed: shed', () => {
  const { machine, run } = setup();
  machine.submit({ type: 'set-settings', settings: { pendingRunsMax: 1 } });
  const first = machine.put({ name: 'first', parentJob: 'job', schedule: '' });
  const second = machine.put({ name: 'second', parentJob: 'job', schedule: '' });

  machine.finish(`${run}-0-1`, 'succeeded');

  assert.equal(machine.openRuns(first).length, 1);
  assert.equal(machine.openRuns(second).length, 0);
  const missed = [...machine.rows().values()].find((row) => row.type === 'run' && row.job === 'second');
  assert.deepEqual(missed?.type === 'run' && [missed.state, missed.reason], ['missed', 'shed']);
  checkState(machine);
});

test('an ephemeral job goes with its first success, and says how its run ended', () => {
  const { machine, uid, run } = setup({ ephemeral: true, retries: 1 });
  machine.finish(`${run}-0-1`, 'failed');
  assert.equal(machine.uid('job'), uid);
  machine.nowMs += SECOND_MS;
  machine.apply({
    type: 'assign',
    nowMs: machine.nowMs,
    items: [{ run, ordinal: 0, targets: [{ node: 'n0', session: 1 }] }],
  });

  machine.finish(`${run}-0-2`, 'succeeded');

  const ended = machine.events.find((event) => event.type === 'run-ended');
  assert.deepEqual(ended?.type === 'run-ended' && ended.last?.executions.map(({ id, state }) => [id, state]), [
    [`${run}-0-1`, 'failed'],
    [`${run}-0-2`, 'succeeded'],
  ]);
  assert.equal(machine.uid('job'), undefined);
  checkState(machine);
});

test('a run by hand ignores forbid and starts_at', () => {
  const { machine, uid } = setup({ concurrency: 'forbid', startsAtMs: NOON_MS, expiresAtMs: NOON_MS + MINUTE_MS });
  machine.nowMs += 10 * MINUTE_MS;

  assert.equal(machine.submit({ type: 'run-job', name: 'job' }).type, 'run');
  assert.equal(machine.openRuns(uid).length, 2);
});
