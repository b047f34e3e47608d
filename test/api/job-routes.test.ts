import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobView, NOW_MS } from './fake-backend.ts';
import { at, setup } from './http-door.ts';

const DOCUMENT = { name: 'job_name', command: '/bin/true', schedule: '@every 2m', tags: { my_role: 'web:1' } };

test('the document of the first demand is stored and comes back as Dkron shows jobs', async () => {
  const { call, backend } = setup();

  const reply = await call('POST', '/v1/jobs', DOCUMENT);

  assert.equal(reply.status, 201);
  assert.equal(reply.headers['location'], '/v1/jobs/job_name');
  assert.equal(reply.headers['x-whom'], 'alpha');
  assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(reply.headers['carillon-warning'], undefined);
  assert.deepEqual(reply.json, {
    id: 'job_name',
    name: 'job_name',
    displayname: '',
    timezone: '',
    schedule: '@every 2m',
    owner: '',
    owner_email: '',
    success_count: 0,
    error_count: 0,
    last_success: null,
    last_error: null,
    disabled: false,
    tags: { my_role: 'web:1' },
    metadata: null,
    retries: 0,
    dependent_jobs: null,
    parent_job: '',
    processors: {},
    concurrency: 'allow',
    executor: 'shell',
    executor_config: { command: '/bin/true', shell: 'true' },
    status: '',
    next: '2026-11-25T12:02:00Z',
    ephemeral: false,
    expires_at: null,
    starts_at: null,
    targets: null,
    start_within: null,
    on_lost: 'fail',
    keep_runs: 100,
    uid: '0-2a',
    zone: 'UTC',
    created_at: '2026-11-25T12:00:00Z',
    modified_index: 42,
  });
  assert.equal(backend.submissions[0]?.intent.type, 'put-job');
});

for (const [method, url] of [
  ['POST', '/v1/jobs'],
  ['PATCH', '/v1/jobs'],
  ['PUT', '/v1/jobs/job_name'],
] as const) {
  test(`${method} ${url} answers 201 on create and on update`, async () => {
    const { call } = setup();

    const created = await call(method, url, DOCUMENT);
    const updated = await call(method, url, DOCUMENT);

    assert.deepEqual([created.status, updated.status], [201, 201]);
    assert.equal(updated.headers['location'], '/v1/jobs/job_name');
  });
}

test('PUT takes the name of the address where the document has none, and says so where they differ', async () => {
  const { call, backend } = setup();

  const without = await call('PUT', '/v1/jobs/other', { ...DOCUMENT, name: null });
  const differing = await call('PUT', '/v1/jobs/other', DOCUMENT);

  assert.equal(at(without.json, 'name'), 'other');
  assert.equal(at(differing.json, 'name'), 'job_name');
  assert.match(String(differing.headers['carillon-warning']), /the address names other, the document job_name/);
  assert.deepEqual([...backend.stored.keys()], ['other', 'job_name']);
});

test('a job that comes back whole, with counters and next, is stored without a warning', async () => {
  const { call } = setup();
  const stored = await call('POST', '/v1/jobs', DOCUMENT);

  const again = await call('POST', '/v1/jobs', stored.json);

  assert.equal(again.status, 201);
  assert.equal(again.headers['carillon-warning'], undefined);
});

test('null in any field keeps its default', async () => {
  const { call, backend } = setup();
  const fields = 'displayname timezone owner owner_email disabled metadata retries parent_job processors concurrency';
  const more = 'executor executor_config ephemeral starts_at expires_at targets start_within on_lost keep_runs';
  const nulls = Object.fromEntries(`${fields} ${more}`.split(' ').map((name) => [name, null]));

  const reply = await call('POST', '/v1/jobs', { ...nulls, ...DOCUMENT });

  assert.equal(reply.status, 201);
  assert.deepEqual(backend.stored.get('job_name')?.job, { ...jobView('job_name').job, tags: { my_role: 'web:1' } });
});

test('unknown fields are taken with a warning that names them', async () => {
  const { call } = setup();

  const reply = await call('POST', '/v1/jobs', { ...DOCUMENT, comand: 'x', 'größe\n': 1 });

  assert.equal(reply.status, 201);
  assert.equal(reply.headers['carillon-warning'], 'unknown fields were ignored: comand, gr%C3%B6%C3%9Fe%0A');
});

test('a job without tags is stored with a warning that it runs everywhere', async () => {
  const { call } = setup();

  const reply = await call('POST', '/v1/jobs', { ...DOCUMENT, tags: null });

  assert.match(String(reply.headers['carillon-warning']), /runs on all 2 nodes, 1 of them servers/);
});

test('a parent that is not there is a fault as any other', async () => {
  const { call, backend } = setup();
  backend.answer = { type: 'refused', code: 'invalid', message: 'there is no such job' };

  const reply = await call('POST', '/v1/jobs', { ...DOCUMENT, parent_job: 'nope' });

  assert.equal(reply.status, 400);
  assert.match(String(at(reply.json, 'detail')), /^job job_name: parent_job "nope": there is no such job; allowed: /);
  assert.deepEqual(at(reply.json, 'errors'), [
    {
      field: 'parent_job',
      value: 'nope',
      allowed: 'the name of another job that is stored and does not descend from this one',
      message: 'there is no such job',
    },
  ]);
});

test('tags that no live node has are taken with a warning', async () => {
  const { call } = setup();

  const reply = await call('POST', '/v1/jobs', { ...DOCUMENT, tags: { role: 'web:1' } });

  assert.equal(reply.status, 201);
  assert.match(String(reply.headers['carillon-warning']), /^no node that is alive now matches the tags role=web: /);
});

test('all our own fields are read', async () => {
  const { call } = setup();
  const own = { targets: 2, start_within: '90s', on_lost: 'retry', keep_runs: 5 };

  const reply = await call('POST', '/v1/jobs', {
    ...DOCUMENT,
    ...own,
    starts_at: '2026-12-24T18:00',
    expires_at: '2027-01-01T00:00:00.5+01:00',
  });

  assert.equal(at(reply.json, 'targets'), 2);
  assert.equal(at(reply.json, 'start_within'), '1m30s');
  assert.equal(at(reply.json, 'on_lost'), 'retry');
  assert.equal(at(reply.json, 'keep_runs'), 5);
  assert.equal(at(reply.json, 'starts_at'), '2026-12-24T18:00:00Z');
  assert.equal(at(reply.json, 'expires_at'), '2026-12-31T23:00:00.5Z');
});

test('?runoncreate counts by its mere presence', async () => {
  const { call, backend } = setup();

  await call('POST', '/v1/jobs?runoncreate', DOCUMENT);
  await call('POST', '/v1/jobs?runoncreate=false', DOCUMENT);
  await call('POST', '/v1/jobs', DOCUMENT);

  const asked = backend.submissions.map(({ intent }) => intent.type === 'put-job' && intent.runOnCreate);
  assert.deepEqual(asked, [true, true, false]);
});

test('the request id is the client’s or made, and the hash tells bodies apart', async () => {
  const { call, backend } = setup();

  await call('POST', '/v1/jobs', DOCUMENT, { 'Idempotency-Key': 'mine' });
  await call('POST', '/v1/jobs', DOCUMENT);
  await call('POST', '/v1/jobs', { ...DOCUMENT, retries: 1 });
  const empty = await call('POST', '/v1/jobs', DOCUMENT, { 'Idempotency-Key': 'x'.repeat(256) });

  const [first, second, third] = backend.submissions;
  assert.deepEqual([first?.requestId, second?.requestId], ['mine', 'made-1']);
  assert.equal(first?.bodyHash, second?.bodyHash);
  assert.notEqual(second?.bodyHash, third?.bodyHash);
  assert.match(first?.bodyHash ?? '', /^[0-9a-f]{64}$/);
  assert.equal(empty.status, 400);
});

test('a job is read with the index that the answer shows', async () => {
  const { call } = setup();
  await call('POST', '/v1/jobs', DOCUMENT);

  const found = await call('GET', '/v1/jobs/job_name');
  const head = await call('HEAD', '/v1/jobs/job_name');
  const missing = await call('GET', '/v1/jobs/nobody');

  assert.equal(found.status, 200);
  assert.equal(found.headers['x-carillon-index'], '42');
  assert.deepEqual([head.status, head.text], [200, '']);
  assert.deepEqual([missing.status, at(missing.json, 'code')], [404, 'not-found']);
  assert.equal(missing.headers['content-type'], 'application/problem+json; charset=utf-8');
});

test('a job without a next instant shows Go’s zero time, one that ran its times', async () => {
  const { call, backend } = setup();
  const view = { ...jobView('a'), nextMs: null, lastSuccessMs: NOW_MS + 20, status: 'partially_failed' as const };
  backend.stored.set('a', { ...view, dependentJobs: ['b'], successCount: 3 });

  const { json } = await call('GET', '/v1/jobs/a');

  assert.equal(at(json, 'next'), '0001-01-01T00:00:00Z');
  assert.equal(at(json, 'last_success'), '2026-11-25T12:00:00.02Z');
  assert.equal(at(json, 'status'), 'partially_failed');
  assert.deepEqual(at(json, 'dependent_jobs'), ['b']);
  assert.equal(at(json, 'success_count'), 3);
});

test('the list passes its filter on and counts before it slices', async () => {
  const { call, backend } = setup();
  for (const name of ['a', 'b', 'c']) backend.stored.set(name, jobView(name));
  const query =
    'metadata[team]=core&metadata[x]=y&q=jo&status=untriggered&disabled=true&_sort=last_error&_order=DESC&_start=1&_end=2';

  const reply = await call('GET', `/v1/jobs?${query}`);

  assert.equal(reply.headers['x-total-count'], '3');
  assert.deepEqual(
    (reply.json as { name: string }[]).map((job) => job.name),
    ['b'],
  );
  assert.deepEqual(
    { ...backend.filter, metadata: { ...backend.filter?.metadata } },
    {
      metadata: { team: 'core', x: 'y' },
      text: 'jo',
      status: 'untriggered',
      disabled: true,
      sort: 'last_error',
      isDescending: true,
      start: 1,
      end: 2,
    },
  );
});

test('the list without a query asks for everything by name; empty values ask for nothing', async () => {
  const { call, backend } = setup();

  const reply = await call('GET', '/v1/jobs?_sort=&status=&_order=ASC');

  assert.deepEqual(reply.json, []);
  assert.equal(backend.filter?.sort, 'name');
  assert.equal(backend.filter?.status, null);
  assert.equal(backend.filter?.isDescending, false);
});

for (const [query, field] of [
  ['_sort=color', '_sort'],
  ['_start=-1', '_start'],
  ['_end=x', '_end'],
  ['status=running', 'status'],
  ['disabled=maybe', 'disabled'],
] as const) {
  test(`a list with ${query} is refused and names the parameter`, async () => {
    const { call } = setup();

    const reply = await call('GET', `/v1/jobs?${query}`);

    assert.equal(reply.status, 400);
    assert.equal(at(reply.json, 'errors.0.field'), field);
    assert.equal(at(reply.json, 'errors.0.value'), query.split('=')[1]);
  });
}

test('delete answers with the deleted job, toggle with the toggled one', async () => {
  const { call, backend } = setup();
  await call('POST', '/v1/jobs', DOCUMENT);

  const toggled = await call('POST', '/v1/jobs/job_name/toggle');
  const deleted = await call('DELETE', '/v1/jobs/job_name');
  const again = await call('DELETE', '/v1/jobs/job_name');

  assert.deepEqual([toggled.status, at(toggled.json, 'disabled')], [200, true]);
  assert.equal(toggled.headers['location'], '/v1/jobs/job_name');
  assert.deepEqual([deleted.status, at(deleted.json, 'name')], [200, 'job_name']);
  assert.equal(again.status, 404);
  assert.equal(backend.stored.size, 0);
});

test('?pretty indents by four blanks', async () => {
  const { call } = setup();
  await call('POST', '/v1/jobs', DOCUMENT);

  const reply = await call('GET', '/v1/jobs/job_name?pretty');

  assert.match(reply.text, /^\{\n {4}"id": "job_name",\n/);
  assert.match(reply.text, /"processors": \{\},\n/);
});

test('a name of 255 bytes fits an address', async () => {
  const { call } = setup();
  const name = 'ä'.repeat(127);
  await call('POST', '/v1/jobs', { ...DOCUMENT, name });

  const reply = await call('GET', `/v1/jobs/${encodeURIComponent(name)}`);

  assert.equal(reply.status, 200);
});
