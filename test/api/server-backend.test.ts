import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActorRef, AskOutcome } from '../../src/actors/actor.ts';
import { LIST_MAX } from '../../src/api/backend.ts';
import { NO_PROGRESS } from '../../src/api/backend-actor.ts';
import { DiskReader } from '../../src/api/disk-reader.ts';
import { ServerBackend } from '../../src/api/server-backend.ts';
import type { OutputAnswer, OutputMessage } from '../../src/executors/output-actor.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import { Schedules } from '../../src/scheduler/chain.ts';
import { encodeRow, keys, type StateRow } from '../../src/scheduler/rows.ts';
import type { StateMessage, StoredAnswer } from '../../src/scheduler/state-actor.ts';
import type { SubmissionMessage, SubmitAnswer } from '../../src/scheduler/submission-actor.ts';
import type { Row, ScanRange, Storage } from '../../src/store/storage.ts';
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
  const backend = backendOver(rowsOf(LIST_MAX + 5));
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
  const executions = await backend.executions('a', { ...BY_ID, end: 30_000 });
  const reply = await call('GET', '/v1/jobs/a/runs?_end=1');

  for (const page of [runs, executions]) {
    assert.deepEqual([page?.items.length, page?.total, page?.isCut, page?.index], [LIST_MAX, LIST_MAX, true, 7]);
  }
  assert.equal(runs?.items[0]?.id, `0-1-s${LIST_MAX + 4}`);
  assert.ok(turns >= LIST_MAX / 200 - 1, `${turns} turns`);
  assert.match(String(reply.headers['carillon-warning']), /only the newest 10000 runs/);
});

test('of a list of executions only the rows of the page are read', async () => {
  const reads: string[] = [];
  const backend = backendOver(rowsOf(500), STORED, { reads });
  const isExecution = (key: string): boolean => key.startsWith('execution/');

  const page = await backend.executions('a', { ...BY_ID, start: 10, end: 30 });
  const read = reads.splice(0).filter(isExecution);
  const byAttempt = await backend.executions('a', { ...BY_ID, sort: 'attempt', isDescending: false, end: 1 });

  assert.deepEqual([page?.total, page?.items.length, page?.items[0]?.id, read.length], [500, 20, '0-1-s489-0-1', 20]);
  assert.deepEqual([byAttempt?.total, reads.filter(isExecution).length], [500, 1]);
});

test('executions by their times, and those of several targets, are all found', async () => {
  const rows = rowsOf(3);
  rows.set(keys.run('0-1', 's1'), { ...runView('0-1-s1'), attempts: 2, targets: 2 });
  rows.set(keys.execution('0-1', 's1', 1, 1), { id: '0-1-s1-1-1', startedMs: 90 });
  rows.set(keys.execution('0-1', 's1', 1, 2), { id: '0-1-s1-1-2', startedMs: 5 });
  const backend = backendOver(rows);
  const idsOf = async (sort: 'id' | 'started_at') => {
    const page = await backend.executions('a', { ...BY_ID, sort, isDescending: sort === 'id' });
    return page?.items.map(({ id }) => id.slice('0-1-'.length));
  };

  assert.deepEqual(await idsOf('id'), ['s2-0-1', 's1-1-2', 's1-1-1', 's1-0-1', 's0-0-1']);
  assert.deepEqual(await idsOf('started_at'), ['s1-1-2', 's0-0-1', 's1-0-1', 's2-0-1', 's1-1-1']);
});

test('an output that this server does not have is asked for, unless there is no time', async () => {
  const asked: OutputMessage[] = [];
  const outputs: ActorRef<OutputMessage, OutputAnswer> = {
    address: 'test/output',
    send: () => {},
    ask: (message, _deadlineMs, done) => {
      asked.push(message);
      done({ type: 'answer', answer: { type: 'output', bytes: Buffer.from('abcdef') } });
    },
  };
  const backend = backendOver(new Map(), STORED, { outputs });

  const found = await backend.output('e1', 3, { forMs: 1_000, waitMs: 250 });
  const unasked = await backend.output('e1', 3, { forMs: 0, waitMs: 0 });

  assert.deepEqual([found?.toString(), unasked], ['def', undefined]);
  assert.deepEqual(asked, [{ type: 'find', execution: 'e1', forMs: 1_000, waitMs: 250 }]);
});

test('health shows what is committed beside what is applied', async () => {
  const backend = backendOver(new Map());

  const health = await backend.health();

  assert.deepEqual([health.appliedIndex, health.commitIndex], [7, 9]);
});

test('facts name the live nodes with slots, with the tags that every node has, once they were read', async () => {
  const node = { type: 'node', isServer: false, tags: { dc: 'x' }, slots: 2, version: '0.1.0', isOpen: true };
  const rows = new Map<string, unknown>([
    [keys.node('n1'), node],
    [keys.node('n2'), { ...node, isOpen: false }],
    [keys.node('n3'), { ...node, slots: 0 }],
    [keys.node('n4'), { ...node, isServer: true, tags: {} }],
  ]);
  const backend = backendOver(rows);
  const before = backend.facts().nodes;

  await backend.refreshFacts();

  assert.equal(before, null);
  assert.deepEqual(backend.facts().nodes, [
    { isServer: false, tags: { dc: 'x', server: 'false', version: '0.1.0' } },
    { isServer: true, tags: { server: 'true', version: '0.1.0' } },
  ]);
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
    rows.set(keys.execution('0-1', run, 0, 1), { id: `0-1-${run}-0-1`, state: 'succeeded', startedMs: 10 + number });
  }
  return rows;
}

const STORED = { type: 'answer', answer: { type: 'stored', index: 7 } } as const;
const BY_ID = { sort: 'id', isDescending: true, start: 0, end: null } as const;

function backendOver(
  rows: ReadonlyMap<string, unknown>,
  stored: AskOutcome<StoredAnswer> = STORED,
  { outputs = null, reads = [] }: { outputs?: ActorRef<OutputMessage, OutputAnswer> | null; reads?: string[] } = {},
): ServerBackend {
  const storage = {
    get: (key: string) => {
      reads.push(key);
      return rows.has(key) ? encodeRow(rows.get(key) as StateRow) : undefined;
    },
    scan: ({ from, to }: ScanRange, done: (error: null, rows: readonly Row[]) => void) => {
      const found = [...rows].filter(([key]) => key >= from && key < to);
      done(
        null,
        found.map(([key, value]) => ({ key, value: encodeRow(value as StateRow) })),
      );
    },
  } as unknown as Storage;
  const state: ActorRef<StateMessage, StoredAnswer> = {
    address: 'test/state',
    send: () => {},
    ask: (_message, _deadlineMs, done) => done(stored),
  };
  const submission: ActorRef<SubmissionMessage, SubmitAnswer> = {
    address: 'test/submission',
    send: () => {},
    ask: () => assert.fail('a read submits nothing'),
  };
  return new ServerBackend({
    cluster: 'test',
    reader: new DiskReader(() => storage),
    schedules: new Schedules(createIntlZones()),
    submission,
    membership: { address: 'test/membership', send: () => {}, ask: () => assert.fail('a read changes no servers') },
    servers: () => [],
    waitingServers: () => [],
    state,
    progressNow: () => ({ ...NO_PROGRESS, appliedIndex: 7, commitIndex: 9 }),
    readOutput: () => undefined,
    outputs,
    checks: () => [],
    metrics: () => Promise.resolve(''),
  });
}
