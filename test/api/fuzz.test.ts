import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeJson } from '../../src/api/json-text.ts';
import { perform } from '../../src/api/operations.ts';
import { jobView } from './fake-backend.ts';
import { at, setup } from './http-door.ts';

const RUNS = 300;
const FIELDS = [
  'name',
  'schedule',
  'command',
  'timezone',
  'tags',
  'metadata',
  'retries',
  'executor',
  'executor_config',
  'processors',
  'concurrency',
  'targets',
  'start_within',
  'on_lost',
  'keep_runs',
  'starts_at',
  'expires_at',
  'parent_job',
  'disabled',
];

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('__proto__', '* * * * *', '@every 1s', '99999999h', '2026-02-30T00:00:00Z', 'web:0', 1e300, -1, 0.5),
  fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 })),
);

test('no document makes the door answer 500', async () => {
  const { call } = setup();

  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), fc.string()), value), async (document) => {
      const reply = await call('POST', '/v1/jobs', document);
      assert.ok([201, 400, 413].includes(reply.status), `${reply.status} ${reply.text}`);
      if (reply.status === 400) assert.equal(typeof at(reply.json, 'detail'), 'string');
      assert.ok(reply.text.length < 20_000);
    }),
    { numRuns: RUNS },
  );
});

test('a good document with one field gone wrong names that field or is stored', async () => {
  const { call } = setup();
  const good = { name: 'a', schedule: '@hourly', executor: 'shell', executor_config: { command: 'true' } };

  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...FIELDS), value, async (field, wrong) => {
      const reply = await call('POST', '/v1/jobs', { ...good, [field]: wrong });
      assert.ok([201, 400].includes(reply.status), `${reply.status} ${reply.text}`);
      if (reply.status === 400) assert.match(reply.text, /"errors":\[\{"field":"/);
    }),
    { numRuns: RUNS },
  );
});

test('no bytes make the door answer 500', async () => {
  const { call } = setup();

  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const reply = await call('POST', '/v1/jobs', Buffer.from(bytes));
      assert.equal(reply.status, 400);
    }),
    { numRuns: RUNS },
  );
});

test('no address and no query make the door answer 500', async () => {
  const { call } = setup();
  const names = [
    '_sort',
    '_order',
    '_start',
    '_end',
    'status',
    'q',
    'from',
    'to',
    'limit',
    'cursor',
    'wait',
    'timeout',
    'metadata[a]',
  ];
  const paths = [
    '/v1/jobs',
    '/v1/jobs/a',
    '/v1/jobs/a/executions',
    '/v1/jobs/a/fires',
    '/v1/jobs/a/runs',
    '/v1/busy',
    '/readyz',
  ];
  const query = fc.array(
    fc.tuple(fc.oneof(fc.constantFrom(...names), fc.string()), fc.string({ unit: 'binary-ascii' })),
    { maxLength: 4 },
  );
  const path = fc.oneof(
    fc.constantFrom(...paths),
    fc
      .string({ unit: 'binary' })
      .map((text) => `/v1/jobs/${encodeURIComponent(text.toString().replace(/[\ud800-\udfff]/g, ''))}`),
    // Without a backslash in front, which the requests without a socket take for the beginning of a host.
    fc.string({ unit: 'binary-ascii' }).map((text) => `/${text.replace(/[^\x21-\x7e]/g, '').replace(/^\\+/, '')}`),
  );

  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
      path,
      query,
      async (method, where, pairs) => {
        const text = pairs.map(([key, item]) => `${encodeURIComponent(key)}=${encodeURIComponent(item)}`).join('&');
        const reply = await call(method, `${where}?${text}`);
        assert.ok(reply.status < 500, `${method} ${where}: ${reply.status} ${reply.text}`);
      },
    ),
    { numRuns: RUNS },
  );
});

test('no query of any JSON makes an operation answer 500', async () => {
  const { context, backend } = setup();
  backend.stored.set('a', jobView('a'));
  const names = fc.constantFrom(
    'metadata',
    '_sort',
    '_start',
    '_end',
    'q',
    'from',
    'to',
    'limit',
    'wait',
    'timeout',
    'pretty',
    'toString',
  );
  const operations = fc.constantFrom(
    'list',
    'executions',
    'execution',
    'fires',
    'runs',
    'run',
    'run-get',
    'get',
    'busy',
  );
  const odd = fc.oneof(
    value,
    fc.constant({ toString: 1 }),
    fc.constant([{ toString: 1 }]),
    fc.constant({ a: { valueOf: 2 } }),
  );

  await fc.assert(
    fc.asyncProperty(operations, fc.dictionary(names, odd), async (operation, query) => {
      const call = { query, body: new Uint8Array(0), name: 'a', id: 'x', caller: '' };
      const answer = await perform(context, 'nats', operation as 'list', call);
      assert.ok(answer.status < 500, `${operation} ${JSON.stringify(query)}: ${writeJson(answer.body)}`);
    }),
    { numRuns: RUNS },
  );
});
