import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { createHttpDoor } from '../../src/api/fastify-http.ts';
import type { ErrorCode } from '../../src/base/errors.ts';
import { CodedError } from '../../src/base/errors.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import type { Log } from '../../src/base/telemetry.ts';
import { silentLog } from '../../src/base/telemetry.ts';
import { FakeBackend, fakeContext, jobView } from './fake-backend.ts';
import { at, setup } from './http-door.ts';

test('the node’s own page, probes and metrics', async () => {
  const { call } = setup();

  const page = await call('GET', '/v1');
  const slash = await call('GET', '/v1/');
  const live = await call('GET', '/livez');
  const ready = await call('GET', '/readyz');
  const verbose = await call('GET', '/readyz?verbose');
  const metrics = await call('GET', '/metrics');

  assert.deepEqual(page.json, {
    agent: { name: 'alpha', version: '0.1.0' },
    serf: { members: '2', failed: '1', left: '0', health_score: '0' },
    tags: { my_role: 'web', server: 'true', version: '0.1.0' },
  });
  assert.equal(slash.status, 200);
  assert.deepEqual([live.status, live.text, ready.text], [200, 'ok', 'ok']);
  assert.equal(verbose.text, '[+] leader ok\n[+] storage ok\nready\n');
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(metrics.text, /carillon_jobs 1/);
});

test('a node that cannot work says why: /health and /readyz are 503, /livez stays 200', async () => {
  const { call, backend } = setup();
  const before = await call('GET', '/health');
  backend.isHealthy = false;

  const health = await call('GET', '/health');
  const ready = await call('GET', '/readyz');
  const live = await call('GET', '/livez');

  assert.deepEqual([before.status, at(before.json, 'status'), at(before.json, 'leader')], [200, 'healthy', true]);
  assert.deepEqual([health.status, at(health.json, 'issues')], [503, ['leader: no leader for 6 s']]);
  assert.match(ready.text, /\[-\] leader failed: no leader for 6 s/);
  assert.deepEqual([ready.status, live.status], [503, 200]);
});

for (const [host, origin, status] of [
  ['localhost:8080', undefined, 200],
  ['127.0.0.1:8080', 'http://127.0.0.1:8080', 200],
  ['[::1]:80', 'http://[::1]', 200],
  ['localhost:8080', 'http://localhost:3000', 403],
  ['localhost:8080', 'https://evil.example', 403],
  ['localhost:8080', 'null', 403],
  ['evil.example:8080', 'http://evil.example:8080', 403],
  ['127.0.0.1.evil.example', undefined, 403],
] as const) {
  test(`a request with Host ${host} and Origin ${origin ?? 'absent'} is answered with ${status}`, async () => {
    const { call, backend } = setup();
    backend.stored.set('a', jobView('a'));
    const headers = { host, ...(origin === undefined ? {} : { origin }) };

    const reply = await call('POST', '/v1/jobs/a/toggle', '{}', headers);

    assert.equal(reply.status, status);
    assert.equal(backend.submissions.length, status === 200 ? 1 : 0);
    if (status === 403) assert.match(String(reply.headers['content-type']), /^application\/problem\+json/);
  });
}

test('a door that other machines reach takes any Host, and still no page of another host', async () => {
  const context = fakeContext(new FakeBackend());
  const { instance } = createHttpDoor({ context, nodeName: 'a', version: '1', isLoopback: false });

  const named = await instance.inject({ url: '/health', headers: { host: 'jobs.example' } });
  const foreign = await instance.inject({
    url: '/health',
    headers: { host: 'jobs.example', origin: 'http://evil.example' },
  });

  assert.deepEqual([named.statusCode, foreign.statusCode], [200, 403]);
});

for (const [method, url, status, location] of [
  ['GET', '/v1/jobs/', 301, '/v1/jobs'],
  ['GET', '/v1/jobs/?_start=1', 301, '/v1/jobs?_start=1'],
  ['GET', '/v1/jobs/a/', 301, '/v1/jobs/a'],
  ['POST', '/v1/jobs/', 307, '/v1/jobs'],
  ['POST', '/v1/jobs/a/run/', 307, '/v1/jobs/a/run'],
  ['GET', '/health/', 301, '/health'],
] as const) {
  test(`${method} ${url} leads to ${location} with ${status}`, async () => {
    const { call } = setup();

    const reply = await call(method, url);

    assert.deepEqual([reply.status, reply.headers['location']], [status, location]);
  });
}

for (const [method, url] of [
  ['GET', '/v2/jobs'],
  ['GET', '/'],
  ['PUT', '/v1/jobs'],
  ['DELETE', '/v1/jobs'],
  ['GET', '/v1/jobs/a/run'],
  ['GET', '//elsewhere.example/'],
  ['POST', '/v1/members'],
  ['OPTIONS', '/v1/jobs'],
  ['GET', '/v1/jobs//executions'],
] as const) {
  test(`${method} ${url} is a 404 with a problem`, async () => {
    const { call } = setup();

    const reply = await call(method, url);

    assert.deepEqual([reply.status, at(reply.json, 'code')], [404, 'not-found']);
    assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8');
  });
}

for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'nonsense', 'a/b; charset=latin1']) {
  test(`a body of type ${type} is read as JSON`, async () => {
    const { call } = setup();

    const reply = await call(
      'POST',
      '/v1/jobs',
      { name: 'a', schedule: '@hourly', command: 'true' },
      type === undefined ? {} : { 'Content-Type': type },
    );

    assert.equal(reply.status, 201);
  });
}

const deep = (levels: number, open: string, close: string): string => open.repeat(levels) + close.repeat(levels);

for (const [what, body, status, detail] of [
  ['no body', undefined, 400, /the body is empty/],
  ['blanks', '  \n', 400, /the body is empty/],
  ['half an object', '{"name":', 400, /not JSON/],
  ['text after the object', '{} x', 400, /not JSON/],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400, /not UTF-8/],
  ['a list', '[]', 400, /is not a job/],
  ['null', 'null', 400, /is not a job/],
  ['a number', '7', 400, /is not a job/],
  ['a deep list', deep(100_000, '[', ']'), 400, /deeper than 32/],
  ['a deep object', `{"metadata":${deep(50, '{"a":', '}').replace('}', '1}')}}`, 400, /deeper than 32/],
  ['a prototype key', '{"name":"a","__proto__":{"isAdmin":true}}', 400, /__proto__/],
  ['a constructor key', '{"name":"a","tags":{"constructor":"x"}}', 400, /tags\.constructor/],
  ['many values', `{"x":[${'1,'.repeat(100_001)}1]}`, 400, /too many values/],
  ['more than 1 MiB', `{"name":"${'a'.repeat(1024 * 1024)}"}`, 413, /1048576/],
  ['10 MB', 'x'.repeat(10_000_000), 413, /1048576/],
] as const) {
  test(`a put of ${what} is refused with ${status}`, async () => {
    const { call, backend } = setup();

    const reply = await call('POST', '/v1/jobs', body);

    assert.equal(reply.status, status, reply.text.slice(0, 200));
    assert.match(String(at(reply.json, 'detail')), detail);
    assert.ok(reply.text.length < 4_000, 'the answer stays small');
    assert.equal(backend.submissions.length, 0);
    assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
  });
}

test('a compressed body is refused with a hint', async () => {
  const { call } = setup();

  const reply = await call('POST', '/v1/jobs', '{}', { 'Content-Encoding': 'gzip' });

  assert.equal(reply.status, 400);
  assert.match(String(at(reply.json, 'detail')), /gzip is not read/);
});

for (const url of ['/v1/jobs/%zz', '/v1/jobs/%ff', `/v1/jobs/${'a'.repeat(5_000)}`]) {
  test(`an address such as ${url.slice(0, 20)} is a 4xx`, async () => {
    const { call } = setup();

    const reply = await call('GET', url);

    assert.ok(reply.status >= 400 && reply.status < 500, String(reply.status));
    assert.equal(typeof at(reply.json, 'detail'), 'string');
  });
}

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'request-id-reused': 422,
  overloaded: 429,
  'no-leader': 503,
  'outcome-unknown': 504,
};

for (const [code, status] of Object.entries(STATUSES)) {
  test(`a submission that is refused with ${code} is answered with ${status}`, async () => {
    const { call, backend } = setup();
    backend.answer = { type: 'refused', code: code as ErrorCode, message: 'because' };

    const reply = await call('DELETE', '/v1/jobs/a');

    assert.equal(reply.status, status);
    assert.equal(at(reply.json, 'type'), `urn:carillon:problem:${code}`);
    assert.deepEqual(
      [at(reply.json, 'code'), at(reply.json, 'status'), at(reply.json, 'detail')],
      [code, status, 'because'],
    );
  });
}

test('Retry-After says when a failed call may be tried again, in whole seconds', async () => {
  const { call, backend } = setup();
  backend.answer = { type: 'failed', code: 'overloaded', message: 'full', retryAfterMs: 2_100 };

  const reply = await call('POST', '/v1/jobs/a/toggle');

  assert.deepEqual([reply.status, reply.headers['retry-after']], [429, '3']);
});

test('a backend that throws is a 500 without its text, which goes to the log', async () => {
  const lines: string[] = [];
  const log: Log = {
    ...silentLog,
    error: (message, fields) => void lines.push(`${message} ${String(fields?.['error'])}`),
  };
  const { call, backend } = setup({ log });
  backend.failure = new Error('row 17 has no uid');

  const reply = await call('GET', '/v1/jobs/a');

  assert.deepEqual([reply.status, at(reply.json, 'code')], [500, 'internal']);
  assert.doesNotMatch(reply.text, /row 17/);
  assert.match(lines.join(), /row 17/);
});

test('a backend that throws a coded error is answered by its code', async () => {
  const { call, backend } = setup();
  backend.failure = new CodedError('deadline', 'the disk did not answer within 5 s');

  const reply = await call('GET', '/v1/jobs/a');

  assert.deepEqual([reply.status, at(reply.json, 'code')], [504, 'deadline']);
});

test('requests are counted by operation and status', async () => {
  const seen: string[] = [];
  const metrics = {
    count: (name: string, labels = {}) => void seen.push(`${name} ${JSON.stringify(labels)}`),
    gauge() {},
    observe: (name: string, _value: number, labels = {}) => void seen.push(`${name} ${JSON.stringify(labels)}`),
  };
  const { call } = setup({ metrics });

  await call('GET', '/v1/jobs/nobody');

  assert.deepEqual(seen, [
    'carillon_requests_total {"door":"http","operation":"get","status":"404"}',
    'carillon_request_seconds {"door":"http","operation":"get"}',
  ]);
});

async function listening(options: { readonly requestTimeoutMs?: number } = {}) {
  const backend = new FakeBackend();
  const context = fakeContext(backend, { clock: new SystemClock() });
  const door = createHttpDoor({ context, nodeName: 'alpha', version: '0.1.0', ...options });
  const url = await door.listen({ host: '127.0.0.1', port: 0 });
  after(() => door.close(100));
  return { backend, door, url, port: Number(new URL(url).port) };
}

async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('a port in use is a coded error that names it', async () => {
  const { port } = await listening();
  const second = createHttpDoor({ context: fakeContext(new FakeBackend()), nodeName: 'b', version: '1' });

  await assert.rejects(second.listen({ host: '127.0.0.1', port }), (error: CodedError) => {
    assert.equal(error.code, 'address-in-use');
    assert.match(error.message, new RegExp(`127.0.0.1:${port} is in use`));
    return true;
  });
});

test('what is not HTTP gets a 400, headers without end a 431', async () => {
  const { port } = await listening();

  const garbage = await exchange(port, 'hello there\r\n\r\n');
  const headers = await exchange(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`);

  assert.match(garbage, /^HTTP\/1.1 400 .*"code":"invalid"/s);
  assert.match(headers, /^HTTP\/1.1 431 /);
});

test('a body that never arrives is cut off with 408', async () => {
  const { port } = await listening({ requestTimeoutMs: 100 });

  const reply = await exchange(port, 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{');

  assert.match(reply, /^HTTP\/1.1 408 /);
});

test('a client that goes away ends nothing', async () => {
  const { backend, url, port } = await listening();
  backend.stored.set('a', jobView('a'));
  let open = (): void => {};
  backend.gate = new Promise((resolve) => {
    open = resolve;
  });
  const socket = connect(port, '127.0.0.1');
  socket.write('POST /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n');
  while (backend.submissions.length === 0) await new Promise(setImmediate);

  socket.destroy();
  open();
  const reply = await fetch(`${url}/v1/jobs/a/runs/0-2a-hrun0`);

  assert.equal(reply.status, 200);
  assert.equal(backend.submissions.length, 1);
});

test('closing cuts the calls that wait once their grace is over', async () => {
  const { backend, door, port } = await listening();
  backend.stored.set('a', jobView('a'));
  backend.gate = new Promise(() => {});
  const reply = exchange(port, 'POST /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n');
  while (backend.submissions.length === 0) await new Promise(setImmediate);

  await door.close(20);

  assert.equal(await reply, '');
});
