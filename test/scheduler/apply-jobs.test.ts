import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/scheduler/apply.ts';
import { type Command, decodeCommand } from '../../src/scheduler/command.ts';
import { DEFAULT_SETTINGS } from '../../src/scheduler/settings.ts';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, makeJob, NOON_MS, SECOND_MS } from './machine.ts';

test('a job that is put has a uid of its entry, its first instant and a place in the due index', () => {
  const machine = new Machine();

  const uid = machine.put({ schedule: '0 * * * * *' });

  assert.equal(uid, '0-1');
  assert.equal(machine.status(uid).nextMs, NOON_MS + MINUTE_MS);
  assert.equal(machine.state.meta.jobs, 1);
  checkState(machine);
});

test('an edit keeps uid, anchor and counters, and begins a new generation', () => {
  const machine = new Machine();
  const node = machine.node('n1');
  const uid = machine.put({ schedule: '@every 60s' });
  machine.nowMs += MINUTE_MS;
  machine.fire(uid, [node]);
  machine.finish(`${uid}-s${NOON_MS + MINUTE_MS}-0-1`, 'succeeded');

  machine.nowMs += 30 * SECOND_MS;
  assert.equal(machine.put({ schedule: '@every 40s' }), uid);

  const { generation, anchorMs } = machine.job(uid);
  assert.deepEqual({ generation, anchorMs }, { generation: 2, anchorMs: NOON_MS });
  assert.equal(machine.status(uid).nextMs, NOON_MS + 2 * MINUTE_MS, 'counted from the anchor');
  assert.equal(machine.status(uid).successCount, 1);
  checkState(machine);
});

test('an edit at an instant that is due fires it first, once', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.nowMs += MINUTE_MS;

  machine.put({ schedule: '30 * * * * *' });

  assert.deepEqual(machine.ledger(uid), ['open 1 12:01:00']);
  assert.equal(machine.state.meta.waits, 1);
  checkState(machine);
});

test('a completion is refused as stale, and changes nothing, when a fire came in between', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '* * * * * *' });
  machine.nowMs += SECOND_MS;
  const kinds = [
    { type: 'put-job', job: makeJob({ schedule: '@hourly' }), runOnCreate: false },
    { type: 'toggle-job', name: 'job' },
  ] as const;
  const completed = kinds.map((intent) => machine.completed(intent, intent.type));
  machine.fire(uid);
  const before = machine.state.rowHash();

  for (const one of completed) {
    assert.equal(one.type, 'command');
    if (one.type === 'command') machine.apply(one.command);

    assert.equal(
      machine.events.some((event) => event.type === 'answered' && event.isStale),
      true,
    );
    assert.equal(machine.state.rowHash(), before);
  }
  checkState(machine);
});

test('a completion is stale when logged time has passed the first instant that it names', () => {
  const machine = new Machine();
  const completed = machine.completed({
    type: 'put-job',
    job: makeJob({ schedule: '* * * * * *' }),
    runOnCreate: false,
  });
  machine.nowMs += 2 * SECOND_MS;
  machine.node('n1');

  if (completed.type === 'command') machine.apply(completed.command);

  assert.equal(machine.uid('job'), undefined);
  assert.equal(
    machine.events.some((event) => event.type === 'answered' && event.isStale),
    true,
  );
});

test('a command for a job that was deleted and put again meanwhile is stale', () => {
  const machine = new Machine();
  machine.put();
  const late = (['put-job', 'toggle-job', 'delete-job', 'run-job'] as const).map((type) => {
    if (type === 'run-job') machine.node('n1');
    return machine.completed(
      type === 'put-job' ? { type, job: makeJob(), runOnCreate: false } : { type, name: 'job' },
      `late-${type}`,
    );
  });
  machine.submit({ type: 'delete-job', name: 'job' });
  const uid = machine.put();

  for (const completed of late) {
    if (completed.type === 'command') machine.apply(completed.command);

    assert.equal(
      machine.events.some((event) => event.type === 'answered' && event.isStale),
      true,
    );
  }
  assert.equal(machine.uid('job'), uid);
  assert.equal(machine.job(uid).generation, 1);
});

test('toggling closes a disabled stretch as one row', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *' });
  machine.submit({ type: 'toggle-job', name: 'job' });
  assert.equal(machine.status(uid).nextMs, null);
  machine.nowMs += 10 * MINUTE_MS + SECOND_MS;

  machine.submit({ type: 'toggle-job', name: 'job' });

  assert.deepEqual(machine.ledger(uid), ['skipped:disabled 10 12:01:00-12:10:00']);
  assert.equal(machine.status(uid).nextMs, NOON_MS + 11 * MINUTE_MS);
  checkState(machine);
});

test('an edit while disabled closes the stretch too, and the job stays disabled', () => {
  const machine = new Machine();
  const uid = machine.put({ schedule: '0 * * * * *', disabled: true });
  machine.nowMs += 3 * MINUTE_MS;

  machine.put({ schedule: '0 0 * * * *', disabled: true });

  assert.deepEqual(machine.ledger(uid), ['skipped:disabled 3 12:01:00-12:03:00']);
  assert.equal(machine.status(uid).nextMs, null);
  checkState(machine);
});

test('refusals say what is wrong and keep no answer', () => {
  const machine = new Machine();
  machine.put({ name: 'parent' });
  machine.put({ name: 'child', parentJob: 'parent', schedule: '' });
  const cases = [
    [{ type: 'put-job', job: makeJob({ parentJob: 'nobody' }), runOnCreate: false }, 'invalid', /there is no such job/],
    [{ type: 'put-job', job: makeJob({ parentJob: 'job' }), runOnCreate: false }, 'invalid', /there is no such job/],
    [
      { type: 'put-job', job: makeJob({ name: 'parent', parentJob: 'child' }), runOnCreate: false },
      'invalid',
      /descends from/,
    ],
    [{ type: 'delete-job', name: 'parent' }, 'conflict', /parent of 'child'/],
    [{ type: 'delete-job', name: 'nobody' }, 'not-found', /there is no job 'nobody'/],
    [{ type: 'toggle-job', name: 'nobody' }, 'not-found', /there is no job/],
    [{ type: 'run-job', name: 'nobody' }, 'not-found', /there is no job/],
    [{ type: 'run-job', name: 'parent' }, 'not-found', /no live node matches/],
    [{ type: 'run-job', name: '\ud800' }, 'not-found', /there is no job/],
  ] as const;
  for (const [intent, code, message] of cases) {
    const result = machine.submit(intent);

    assert.equal(result.type === 'refused' && result.code, code, JSON.stringify(intent));
    assert.match(result.type === 'refused' ? result.message : '', message);
  }
  checkState(machine);
});

test('a disabled job is not run by hand, a disabled child is, as in Dkron', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.put({ name: 'parent', disabled: true });
  machine.put({ name: 'child', parentJob: 'parent', schedule: '', disabled: true });

  const parent = machine.submit({ type: 'run-job', name: 'parent' });
  const child = machine.submit({ type: 'run-job', name: 'child' });

  assert.equal(parent.type === 'refused' && parent.code, 'not-found');
  assert.equal(child.type, 'run');
});

test('a run by hand is refused when too many wait already, and made when a node is free', () => {
  const machine = new Machine();
  machine.submit({ type: 'set-settings', settings: { pendingRunsMax: 1 } });
  machine.node('n1', { slots: 1 });
  machine.roster.opened('n1', 'x');
  machine.put();
  assert.equal(machine.submit({ type: 'run-job', name: 'job' }).type, 'run');

  const refused = machine.submit({ type: 'run-job', name: 'job' });
  machine.roster.closed('n1', 'x');
  const taken = machine.submit({ type: 'run-job', name: 'job' });

  assert.equal(refused.type === 'refused' && refused.code, 'overloaded');
  assert.equal(taken.type === 'run' && taken.run.state, 'running');
});

test('a job put with runoncreate is refused where its run could only wait beyond the bound', () => {
  const machine = new Machine();
  machine.submit({ type: 'set-settings', settings: { pendingRunsMax: 0 } });
  machine.node('n1', { slots: 1 });
  machine.roster.opened('n1', 'x');

  const refused = machine.submit({ type: 'put-job', job: makeJob(), runOnCreate: true });

  assert.equal(refused.type === 'refused' && refused.code, 'overloaded');
  assert.equal(machine.state.meta.jobs, 0);
});

test('a job put with runoncreate has its first run at once', () => {
  const machine = new Machine();
  machine.node('n1');

  const uid = machine.put({}, true);

  assert.deepEqual(
    machine.openRuns(uid).map((run) => [run.cause, run.state]),
    [['h', 'running']],
  );
  checkState(machine);
});

test('a child moves from one parent to another, and is not counted twice', () => {
  const machine = new Machine();
  const first = machine.put({ name: 'first' });
  const second = machine.put({ name: 'second' });
  const child = machine.put({ name: 'child', parentJob: 'first', schedule: '' });
  machine.put({ name: 'child', parentJob: 'first', schedule: '' });
  assert.deepEqual(machine.status(first).children, [child]);

  machine.put({ name: 'child', parentJob: 'second', schedule: '' });

  assert.deepEqual(machine.status(first).children, []);
  assert.deepEqual(machine.status(second).children, [child]);
});

test('a child of a parent that has its full number of children can still be edited', () => {
  const machine = new Machine();
  machine.put({ name: 'parent' });
  for (let number = 0; number < 1_000; number += 1)
    machine.put({ name: `child-${number}`, parentJob: 'parent', schedule: '' });

  const edited = machine.submit({
    type: 'put-job',
    job: makeJob({ name: 'child-7', parentJob: 'parent', schedule: '', owner: 'me' }),
    runOnCreate: false,
  });
  const more = machine.submit({
    type: 'put-job',
    job: makeJob({ name: 'one-more', parentJob: 'parent', schedule: '' }),
    runOnCreate: false,
  });

  assert.equal(edited.type, 'job');
  assert.equal(more.type === 'refused' && more.code, 'invalid');
});

test('a child whose ephemeral parent is gone can be toggled, edited and deleted', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.put({ name: 'parent', ephemeral: true });
  machine.put({ name: 'child', parentJob: 'parent', schedule: '' });
  const run = machine.submit({ type: 'run-job', name: 'parent' });
  assert.ok(run.type === 'run');
  machine.finish(`${run.run.id}-0-1`, 'succeeded');
  assert.equal(machine.uid('parent'), undefined);

  const toggled = machine.submit({ type: 'toggle-job', name: 'child' });
  machine.put({ name: 'parent' });
  const again = machine.submit({ type: 'toggle-job', name: 'child' });
  const deleted = machine.submit({ type: 'delete-job', name: 'child' });

  assert.deepEqual([toggled.type, again.type, deleted.type], ['job', 'job', 'job']);
  assert.deepEqual(machine.status(machine.uid('parent') as string).children, []);
  checkState(machine);
});

test('children that an ephemeral parent left are those of the next job of its name', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.put({ name: 'parent', ephemeral: true });
  const child = machine.put({ name: 'child', parentJob: 'parent', schedule: '' });
  machine.put({ name: 'other', parentJob: 'parent', schedule: '' });
  const succeed = () => {
    const run = machine.submit({ type: 'run-job', name: 'parent' });
    assert.ok(run.type === 'run');
    machine.finish(`${run.run.id}-0-1`, 'succeeded');
    checkState(machine);
  };
  succeed();
  machine.submit({ type: 'toggle-job', name: 'child' });
  machine.submit({ type: 'toggle-job', name: 'child' });
  machine.submit({ type: 'delete-job', name: 'other' });
  checkState(machine);

  const next = machine.put({ name: 'parent' });
  assert.deepEqual(machine.status(next).children, [child]);
  succeed();

  assert.equal(machine.openRuns(child).length, 2);
});

test('a new job cannot descend from the children that wait for its name', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.put({ name: 'parent', ephemeral: true });
  machine.put({ name: 'child', parentJob: 'parent', schedule: '' });
  const run = machine.submit({ type: 'run-job', name: 'parent' });
  assert.ok(run.type === 'run');
  machine.finish(`${run.run.id}-0-1`, 'succeeded');

  const job = makeJob({ name: 'parent', parentJob: 'child', schedule: '' });
  const result = machine.submit({ type: 'put-job', job, runOnCreate: false });

  assert.ok(result.type === 'refused' && result.code === 'invalid');
  assert.equal(result.message, "descends from 'parent' itself");
});

test('genesis counts once', () => {
  const machine = new Machine();
  const genesis = (cluster: string, defaultZone: string): Command => ({
    type: 'genesis',
    nowMs: machine.nowMs,
    cluster,
    settings: { ...DEFAULT_SETTINGS, defaultZone },
  });

  machine.apply(genesis('first', 'Europe/Berlin'));
  machine.apply(genesis('second', 'UTC'));

  assert.equal(machine.state.meta.cluster, 'first');
  assert.equal(machine.state.meta.settings.defaultZone, 'Europe/Berlin');
});

test('logged time never goes back', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.nowMs -= MINUTE_MS;

  const uid = machine.put();

  assert.equal(machine.state.meta.loggedMs, NOON_MS);
  assert.equal(machine.job(uid).createdMs, NOON_MS);
});

test('an unknown command, version or place in the log is never skipped', () => {
  const machine = new Machine();
  const unknown = { type: 'frobnicate', nowMs: NOON_MS } as unknown as Command;

  assert.throws(() => machine.apply(unknown), /unreachable/);
  assert.throws(() => decodeCommand(Buffer.from('[2,{"type":"purge"}]')), { code: 'newer-directory' });
  assert.throws(() => apply(new Machine().state, { index: 2, term: 1 }, null), /hole/);
});
