import assert from 'node:assert/strict';
import { test } from 'node:test';
import { executionView, GROUP, jobView, NOW_MS, node, runView } from './fake-backend.ts';
import { at, setup } from './http-door.ts';

for (const url of ['/v1/jobs/a', '/v1/jobs/a/run']) {
  test(`POST ${url} waits for the end and answers with job, run and executions`, async () => {
    const { call, backend } = setup();
    backend.stored.set('a', jobView('a'));

    const reply = await call('POST', url);

    assert.equal(reply.status, 200);
    assert.equal(reply.headers['location'], '/v1/jobs/a');
    assert.equal(at(reply.json, 'name'), 'a');
    assert.equal(at(reply.json, 'run.id'), '0-2a-hrun0');
    assert.equal(at(reply.json, 'run.state'), 'succeeded');
    assert.equal(at(reply.json, 'run.executions.0.output'), 'hello\n');
    assert.deepEqual(backend.submissions[0]?.intent, { type: 'run-job', name: 'a' });
  });
}

test('a run that failed is answered with 200 too', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  backend.shape = { state: 'failed', exitCode: 3 };

  const reply = await call('POST', '/v1/jobs/a/run');

  assert.equal(reply.status, 200);
  assert.equal(at(reply.json, 'run.state'), 'failed');
  assert.equal(at(reply.json, 'run.executions.0.success'), false);
  assert.equal(at(reply.json, 'run.executions.0.exit_code'), 3);
});

test('wait=false answers 202 at once', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));

  const reply = await call('POST', '/v1/jobs/a/run?wait=false');

  assert.equal(reply.status, 202);
  assert.deepEqual(at(reply.json, 'run'), { id: '0-2a-hrun0', state: 'running' });
  assert.equal(reply.headers['location'], '/v1/jobs/a/runs/0-2a-hrun0');
});

test('a wait that comes to its bound is answered with 202, one for a run that is gone with 404', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));

  backend.waitAnswer = { type: 'failed', code: 'deadline', message: 'it has not ended' };
  const bounded = await call('POST', '/v1/jobs/a?timeout=1s');
  backend.waitAnswer = 'gone';
  const gone = await call('POST', '/v1/jobs/a');

  assert.deepEqual([bounded.status, bounded.headers['carillon-warning']], [202, undefined]);
  assert.equal(gone.status, 404);
});

for (const [query, field] of [
  ['timeout=soon', 'timeout'],
  ['timeout=0s', 'timeout'],
  ['timeout=25h', 'timeout'],
  ['wait=maybe', 'wait'],
] as const) {
  test(`a run with ${query} is refused before anything is asked of the cluster`, async () => {
    const { call, backend } = setup();

    const reply = await call('POST', `/v1/jobs/a?${query}`);

    assert.deepEqual([reply.status, at(reply.json, 'errors.0.field')], [400, field]);
    assert.equal(backend.submissions.length, 0);
  });
}

test('more waiting calls than the bound are refused, and a place is free again after the end', async () => {
  const { call, backend } = setup({ waiting: { count: 0, countMax: 1 } });
  backend.stored.set('a', jobView('a'));
  let open = (): void => {};
  backend.gate = new Promise((resolve) => {
    open = resolve;
  });

  const first = call('POST', '/v1/jobs/a');
  while (backend.submissions.length === 0) await new Promise(setImmediate);
  const second = await call('POST', '/v1/jobs/a');
  const without = await call('POST', '/v1/jobs/a?wait=false');
  open();
  const ended = await first;
  const third = await call('POST', '/v1/jobs/a');

  assert.deepEqual([second.status, at(second.json, 'code'), second.headers['retry-after']], [429, 'overloaded', '1']);
  assert.equal(without.status, 202);
  assert.deepEqual([ended.status, third.status], [200, 200]);
});

test('running an unknown job is 404', async () => {
  const { call } = setup();

  const reply = await call('POST', '/v1/jobs/nobody');

  assert.deepEqual([reply.status, at(reply.json, 'code')], [404, 'not-found']);
});

test('a run is read by its id', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  await call('POST', '/v1/jobs/a');

  const found = await call('GET', '/v1/jobs/a/runs/0-2a-hrun0');
  const missing = await call('GET', '/v1/jobs/a/runs/0-2a-hnone');
  const all = await call('GET', '/v1/jobs/a/runs');

  assert.match(found.text, new RegExp(`"cause":"hand","state":"succeeded".*"group":${GROUP},`));
  assert.equal(at(found.json, 'executions.0.run'), '0-2a-hrun0');
  assert.equal(missing.status, 404);
  assert.equal(found.headers['x-carillon-index'], '42');
  assert.deepEqual([all.headers['x-total-count'], at(all.json, '0.id')], ['1', '0-2a-hrun0']);
});

test('an execution has Dkron’s fields and ours, and its group to the last digit', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const view = executionView('0-2a-s1-0-2', { attempt: 2, scheduledAtMs: NOW_MS - 5, result: '{"rows":3}' });
  backend.finished.set('0-2a-s1', { run: runView('0-2a-s1'), executions: [view] });

  const reply = await call('GET', '/v1/jobs/a/executions/0-2a-s1-0-2');

  assert.match(reply.text, /"group":1795608000000000007,/);
  const { group: _group, ...rest } = reply.json as Record<string, unknown>;
  assert.deepEqual(rest, {
    id: '0-2a-s1-0-2',
    job_name: 'a',
    started_at: '2026-11-25T12:00:00.02Z',
    finished_at: '2026-11-25T12:00:01.5Z',
    success: true,
    output: 'hello\n',
    node_name: 'alpha',
    attempt: 2,
    scheduled_at: '2026-11-25T11:59:59.995Z',
    outcome: 'succeeded',
    reason: '',
    exit_code: 0,
    signal: null,
    run: '0-2a-s1',
    result: { rows: 3 },
    node: 'n1',
    output_bytes: 6,
  });
});

test('an open execution shows the zero time and no outcome, and its start as assigned', async () => {
  const { call, backend } = setup();
  const open = { state: 'assigned', startedMs: null, finishedMs: null, exitCode: null, outputTail: '' } as const;
  backend.busyItems = [
    executionView('0-2a-s1-0-1', open),
    executionView('0-2a-s9-0-1', { ...open, assignedMs: NOW_MS + 9 }),
  ];

  const reply = await call('GET', '/v1/busy');

  assert.deepEqual(
    (reply.json as { id: string }[]).map((row) => row.id),
    ['0-2a-s1-0-1', '0-2a-s9-0-1'],
  );
  assert.equal(at(reply.json, '0.finished_at'), '0001-01-01T00:00:00Z');
  assert.equal(at(reply.json, '0.started_at'), '2026-11-25T12:00:00Z');
  assert.deepEqual([at(reply.json, '0.outcome'), at(reply.json, '0.success')], [null, false]);
  assert.equal('output' in ((reply.json as object[])[0] ?? {}), false);
  assert.equal(reply.headers['x-total-count'], '2');
});

test('executions are listed newest first, sorted and sliced on demand', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const views = [3, 2, 1].map((n) =>
    executionView(`0-2a-s${n}-0-1`, { attempt: n === 2 ? 9 : n, startedMs: NOW_MS + n }),
  );
  backend.finished.set('x', { run: runView('x'), executions: views });
  const ids = async (query: string) => {
    const reply = await call('GET', `/v1/jobs/a/executions${query}`);
    return (reply.json as { id: string }[]).map((row) => row.id.split('-')[2]).join(' ');
  };

  assert.equal(await ids(''), 's3 s2 s1');
  assert.equal(await ids('?_sort=started_at&_order=ASC'), 's1 s2 s3');
  assert.equal(await ids('?_sort=attempt'), 's2 s3 s1');
  assert.equal(await ids('?_order=ASC'), 's1 s2 s3');
  assert.equal(await ids('?_start=1&_end=2'), 's2');
  assert.equal((await call('GET', '/v1/jobs/a/executions?_sort=color')).status, 400);
  assert.equal((await call('GET', '/v1/jobs/nobody/executions')).status, 404);
});

test('output is read from the store where the row holds only its tail, and cut from its front on demand', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const bytes = Buffer.from(`${'ä'.repeat(3_000)}end`);
  const id = '0-2a-s1-0-1';
  const view = executionView(id, { outputTail: 'end', outputBytes: bytes.length, storedBytes: bytes.length });
  backend.finished.set('x', { run: runView('x'), executions: [view] });
  backend.outputs.set(id, bytes);

  const whole = await call('GET', `/v1/jobs/a/executions/${id}`);
  const listed = await call('GET', '/v1/jobs/a/executions?output_size_limit=6');
  const none = await call('GET', '/v1/jobs/a/executions?output_size_limit=0');

  assert.equal(at(whole.json, 'output'), bytes.toString());
  assert.equal(at(whole.json, 'output_truncated'), undefined, 'nothing is cut');
  assert.deepEqual(backend.searches[0], { forMs: 1_000, waitMs: 0 });
  // Six bytes would begin in the middle of a letter.
  assert.deepEqual([at(listed.json, '0.output'), at(listed.json, '0.output_truncated')], ['äend', true]);
  assert.deepEqual([at(none.json, '0.output'), at(none.json, '0.output_truncated')], [undefined, true]);
});

test('output that is cut says so, wherever it is shown', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const sizes = { outputBytes: 10_000, storedBytes: 10_000 };
  backend.shape = { ...sizes, outputTail: 'end' };
  backend.busyItems = [executionView('0-2a-s9-0-1', { outputTail: 'end', outputBytes: 10_000 })];

  const waited = await call('POST', '/v1/jobs/a/run');
  const run = at(waited.json, 'run.id');
  const shown = [
    [waited, 'run.executions.0'],
    [await call('GET', `/v1/jobs/a/runs/${run}`), 'executions.0'],
    [await call('GET', `/v1/jobs/a/executions/${run}-0-1`), ''],
    [await call('GET', '/v1/jobs/a/executions'), '0'],
    [await call('GET', '/v1/busy'), '0'],
  ] as const;

  for (const [reply, path] of shown) {
    const place = path === '' ? '' : `${path}.`;
    assert.deepEqual([at(reply.json, `${place}output`), at(reply.json, `${place}output_truncated`)], ['end', true]);
  }
  assert.deepEqual(
    backend.searches.map(({ waitMs }) => waitMs),
    [250, 0, 0, 0],
    'only what has just ended may still arrive',
  );
});

test('bytes that are no text grow as text, and are cut all the same', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const view = executionView('0-2a-s1-0-1', {
    outputTail: '\ufffd'.repeat(4_096),
    outputBytes: 10_000,
    storedBytes: 10_000,
  });
  backend.finished.set('x', { run: runView('x'), executions: [view] });

  const without = await call('GET', '/v1/jobs/a/executions/0-2a-s1-0-1');
  backend.outputs.set(view.id, Buffer.alloc(10_000, 0xff));
  const stored = await call('GET', '/v1/jobs/a/executions/0-2a-s1-0-1?output_size_limit=100000');

  assert.equal(at(without.json, 'output_truncated'), true);
  assert.deepEqual(
    [String(at(stored.json, 'output')).length, at(stored.json, 'output_truncated')],
    [10_000, undefined],
  );
});

test('a result that is nested too deeply is shown as its text', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const results = [deep, `${'['.repeat(32)}${']'.repeat(32)}`];
  const executions = results.map((result, target) => executionView(`0-2a-s1-${target}-1`, { result }));
  backend.finished.set('0-2a-s1', { run: runView('0-2a-s1'), executions });

  const reply = await call('GET', '/v1/jobs/a/runs/0-2a-s1');

  assert.equal(reply.status, 200);
  assert.equal(at(reply.json, 'executions.0.result'), deep);
  assert.ok(Array.isArray(at(reply.json, 'executions.1.result')));
});

test('fires are shown as instants, skipped and missed ones as stretches', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const base = { firstMs: NOW_MS, lastMs: NOW_MS, count: 1, run: null, latenessMs: null, merged: 0, index: 7 };
  backend.fireItems = [
    { ...base, outcome: 'ran', reason: '', run: '0-2a-s5', latenessMs: 4, merged: 1 },
    { ...base, lastMs: NOW_MS + 60_000, count: 61, outcome: 'missed', reason: 'window-passed' },
  ];

  const reply = await call('GET', '/v1/jobs/a/fires');
  const chosen = await call(
    'GET',
    '/v1/jobs/a/fires?from=2026-11-01T00:00:00Z&to=1795608000000&limit=5&cursor=1795000000000',
  );

  assert.deepEqual(reply.json, {
    items: [
      {
        scheduled_at: '2026-11-25T12:00:00Z',
        outcome: 'ran',
        reason: '',
        run: '0-2a-s5',
        lateness_ms: 4,
        merged: 1,
        index: 7,
      },
      {
        first: '2026-11-25T12:00:00Z',
        last: '2026-11-25T12:01:00Z',
        count: 61,
        outcome: 'missed',
        reason: 'window-passed',
        index: 7,
      },
    ],
    next: 'c2',
  });
  assert.equal(chosen.status, 200);
  const wanted = { fromMs: Date.UTC(2026, 10, 1), toMs: 1_795_608_000_000, limit: 5, cursor: '1795000000000' };
  assert.deepEqual(backend.fireRange, wanted);
});

test('a cursor that is none is refused with field, value and what is allowed', async () => {
  const { call } = setup();

  const reply = await call('GET', '/v1/jobs/a/fires?cursor=abc');

  assert.equal(reply.status, 400);
  assert.deepEqual(at(reply.json, 'errors.0'), {
    field: 'cursor',
    value: 'abc',
    allowed: 'the `next` of an earlier answer',
    message: 'is not allowed',
  });
});

test('fires are those of the last day by default', async () => {
  const { call, backend } = setup();
  backend.stored.set('a', jobView('a'));

  await call('GET', '/v1/jobs/a/fires');

  assert.deepEqual(backend.fireRange, { fromMs: NOW_MS - 86_400_000, toMs: NOW_MS, limit: 1_000, cursor: null });
});

for (const query of ['from=yesterday', 'limit=0', 'limit=1001', 'from=2026-11-25T00:00:00Z&to=2026-11-24T00:00:00Z']) {
  test(`fires with ${query} are refused`, async () => {
    const { call } = setup();

    const reply = await call('GET', `/v1/jobs/a/fires?${query}`);

    assert.equal(reply.status, 400);
    assert.equal(typeof at(reply.json, 'errors.0.allowed'), 'string');
  });
}

test('members are Dkron’s with our fields; the leader is one without id and statusText', async () => {
  const { call } = setup();

  const members = await call('GET', '/v1/members');
  const leader = await call('GET', '/v1/leader');

  assert.equal(members.headers['x-total-count'], '2');
  assert.deepEqual(at(members.json, '0'), {
    Name: 'alpha',
    Addr: '10.0.0.1',
    Port: 8080,
    Tags: { my_role: 'web', server: 'true', version: '0.1.0' },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 1,
    ProtocolCur: 1,
    DelegateMin: 1,
    DelegateMax: 1,
    DelegateCur: 1,
    node: 'n1',
    boot: 1,
    is_server: true,
    is_leader: true,
    is_alive: true,
    session: 5,
    slots: 16,
    slots_used: 1,
    version: '0.1.0',
    address: '10.0.0.1:8080',
    id: 'n1',
    statusText: 'alive',
  });
  assert.deepEqual([at(members.json, '1.Status'), at(members.json, '1.statusText')], [4, 'failed']);
  assert.equal(at(leader.json, 'Name'), 'alpha');
  assert.equal(at(leader.json, 'id'), undefined);
});

test('without a leader /v1/leader is 503 and /v1/isleader says follower', async () => {
  const { call, backend } = setup();
  backend.nodeItems = [node('n1', 'alpha')];
  const before = await call('GET', '/v1/isleader');
  backend.isLeader = false;

  const leader = await call('GET', '/v1/leader');
  const after = await call('GET', '/v1/isleader');

  assert.deepEqual([leader.status, at(leader.json, 'code'), leader.headers['retry-after']], [503, 'no-leader', '1']);
  assert.deepEqual([before.status, before.text], [200, '"I am a leader"']);
  assert.deepEqual([after.status, after.text], [404, '"I am a follower"']);
});
