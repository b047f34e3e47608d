import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActorRef, AskOutcome } from '../../src/actors/actor.ts';
import { LIST_MAX } from '../../src/api/backend.ts';
import { NO_PROGRESS } from '../../src/api/backend-actor.ts';
import { DiskReader } from '../../src/api/disk-reader.ts';
import { ServerBackend } from '../../src/api/server-backend.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import { Schedules } from '../../src/scheduler/chain.ts';
import { encodeRow, keys, type StateRow } from '../../src/scheduler/rows.ts';
import type { StateMessage, StoredAnswer } from '../../src/scheduler/state-actor.ts';
import type { SubmissionMessage, SubmitAnswer, WaitAnswer } from '../../src/scheduler/submission-actor.ts';
import type { Storage } from '../../src/store/storage.ts';
import { runView } from './fake-backend.ts';
import { setup } from './http-door.ts';

test('a read is 504 while the disk does not follow, and never shows what is old', async () => {
  const failed = { type: 'failed', code: 'deadline', message: 'no answer within 5000 ms' } as const;
  const backend = backendOver(new Map(), failed);
  const { call } = setup({ backend });

  const reply = await call('GET', '/v1/jobs/a');

  assert.equal(reply.status, 504);
  assert.match(reply.text, /the disk does not have yet what this server has applied/);
});

test('lists of runs and executions end at their bound, newest first, and let others run meanwhile', async () => {
  const backend = backendOver(rowsOf(LIST_MAX + 5), { type: 'answer', answer: { type: 'stored', index: 7 } });
  const { call } = setup({ backend });
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);

  const runs = await backend.runs('a');
  isOver = true;
  const executions = await backend.executions('a');
  const reply = await call('GET', '/v1/jobs/a/runs?_end=1');

  for (const page of [runs, executions]) {
    assert.deepEqual([page?.items.length, page?.total, page?.isCut, page?.index], [LIST_MAX, LIST_MAX, true, 7]);
  }
  assert.equal(runs?.items[0]?.id, `0-1-s${LIST_MAX + 4}`);
  assert.ok(turns >= LIST_MAX / 200 - 1, `${turns} turns`);
  assert.match(String(reply.headers['carillon-warning']), /only the newest 10000 runs/);
});

/** A job with so many finished runs of one execution each. */
function rowsOf(count: number): Map<string, unknown> {
  const rows = new Map<string, unknown>([
    [keys.name('a'), { uid: '0-1' }],
    [keys.job('0-1'), { uid: '0-1' }],
    [keys.status('0-1'), { openHead: null, finishedFirst: 0, finishedNext: count }],
  ]);
  for (let number = 0; number < count; number += 1) {
    const run = `s${number}`;
    rows.set(keys.finished('0-1', number), { run });
    rows.set(keys.run('0-1', run), { ...runView(`0-1-${run}`), attempts: 1 });
    rows.set(keys.execution('0-1', run, 0, 1), { id: `0-1-${run}-0-1`, state: 'succeeded' });
  }
  return rows;
}

function backendOver(rows: ReadonlyMap<string, unknown>, stored: AskOutcome<StoredAnswer>): ServerBackend {
  const storage = {
    get: (key: string) => (rows.has(key) ? encodeRow(rows.get(key) as StateRow) : undefined),
  } as unknown as Storage;
  const state: ActorRef<StateMessage, StoredAnswer> = {
    address: 'test/state',
    send: () => {},
    ask: (_message, _deadlineMs, done) => done(stored),
  };
  const submission: ActorRef<SubmissionMessage, SubmitAnswer | WaitAnswer> = {
    address: 'test/submission',
    send: () => {},
    ask: () => assert.fail('a read submits nothing'),
  };
  return new ServerBackend({
    cluster: 'test',
    reader: new DiskReader(() => storage),
    schedules: new Schedules(createIntlZones()),
    submission,
    state,
    progressNow: () => NO_PROGRESS,
    readOutput: () => undefined,
    checks: () => [],
    metrics: () => Promise.resolve(''),
  });
}
