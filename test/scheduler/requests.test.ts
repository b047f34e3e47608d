import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkState } from './invariants.ts';
import { Machine, MINUTE_MS, makeJob, NOON_MS } from './machine.ts';

test('a repeat gets the first answer, at the leader and in the log, and has no second effect', () => {
  const machine = new Machine();
  machine.node('n1');
  machine.put();
  const completed = machine.completed({ type: 'run-job', name: 'job' }, 'one');
  const first = machine.submit({ type: 'run-job', name: 'job' }, 'one');

  const atLeader = machine.submit({ type: 'run-job', name: 'job' }, 'one');
  if (completed.type === 'command') machine.apply(completed.command);

  assert.ok(first.type === 'run');
  assert.deepEqual(atLeader, first);
  const [inLog] = machine.events;
  assert.deepEqual(inLog?.type === 'answered' && inLog.result, first);
  assert.equal(machine.openRuns(machine.uid('job') as string).length, 1);
});

test('a repeated delete is a success, as the first', () => {
  const machine = new Machine();
  machine.put();
  const first = machine.submit({ type: 'delete-job', name: 'job' }, 'one');

  const again = machine.submit({ type: 'delete-job', name: 'job' }, 'one');

  assert.equal(first.type, 'job');
  assert.deepEqual(again, first);
});

test('a repeated delete does not delete the job that has the name by now', () => {
  const machine = new Machine();
  machine.put();
  machine.submit({ type: 'delete-job', name: 'job' }, 'one');
  const uid = machine.put();

  machine.submit({ type: 'delete-job', name: 'job' }, 'one');

  assert.equal(machine.uid('job'), uid);
});

test('the same id with another body is refused', () => {
  const machine = new Machine();
  const put = (owner: string) =>
    machine.submit({ type: 'put-job', job: makeJob({ owner }), runOnCreate: false }, 'one');
  put('ann');

  const other = put('bob');

  assert.equal(other.type === 'refused' && other.code, 'request-id-reused');
  assert.equal(machine.job(machine.uid('job') as string).job.owner, 'ann');
});

test('a refusal is not kept: a repeat may find what was missing', () => {
  const machine = new Machine();
  assert.equal(machine.submit({ type: 'toggle-job', name: 'job' }, 'one').type, 'refused');
  machine.put();

  assert.equal(machine.submit({ type: 'toggle-job', name: 'job' }, 'one').type, 'job');
});

test('an answer is dropped after ten minutes of logged time', () => {
  const machine = new Machine();
  machine.submit({ type: 'set-settings', settings: { defaultTargets: 1 } }, 'one');
  machine.nowMs = NOON_MS + 10 * MINUTE_MS - 1;
  machine.node('n1');
  assert.equal(machine.state.meta.requestNext - machine.state.meta.requestFirst, 1);

  machine.nowMs += 1;
  machine.node('n2');

  assert.equal(machine.state.meta.requestNext - machine.state.meta.requestFirst, 0);
  checkState(machine);
});

test('old answers go faster than new ones come', () => {
  const machine = new Machine();
  for (let number = 0; number < 100; number += 1) machine.put({ name: `job-${number}` });
  machine.nowMs += 10 * MINUTE_MS;

  for (let number = 0; number < 40; number += 1) machine.put({ name: `job-${number}` });

  assert.equal(machine.state.meta.requestNext - machine.state.meta.requestFirst, 40);
  checkState(machine);
});
