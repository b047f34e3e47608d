import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHttpDoor, createProbeDoor } from '../../src/api/fastify-http.ts';
import type { Log } from '../../src/base/telemetry.ts';
import { silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { FakeBackend, fakeContext, jobView } from './fake-backend.ts';
import { at } from './http-door.ts';

const TOKEN = 'a-token-that-nobody-guesses';

function guarded() {
  const backend = new FakeBackend();
  backend.stored.set('a', jobView('a'));
  const clock = new VirtualClock();
  const counted: string[] = [];
  const lines: string[] = [];
  const metrics = { count: (name: string) => void counted.push(name), gauge() {}, observe() {} };
  const log: Log = {
    ...silentLog,
    warn: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  };
  const context = fakeContext(backend, { clock, metrics, log });
  const { instance } = createHttpDoor({ context, nodeName: 'alpha', version: '0.1.0', apiToken: TOKEN });
  const call = (url: string, headers: Record<string, string> = {}, method: 'GET' | 'POST' = 'GET') =>
    instance.inject({ url, headers, method });
  return { backend, clock, counted, lines, call };
}

for (const [what, authorization] of [
  ['none', undefined],
  ['an empty header', ''],
  ['another token', 'Bearer another-token-of-some-length'],
  ['the beginning of the token', `Bearer ${TOKEN.slice(0, -1)}`],
  ['more than the token', `Bearer ${TOKEN}x`],
  ['the token in other case', `Bearer ${TOKEN.toUpperCase()}`],
  ['the token without its scheme', TOKEN],
  ['the token by another scheme', `Basic ${TOKEN}`],
  ['the scheme without a token', 'Bearer'],
  ['two tokens', `Bearer ${TOKEN} ${TOKEN}`],
] as const) {
  test(`a request with ${what} is a 401 that says what is wanted`, async () => {
    const { call, backend, counted, lines } = guarded();

    const reply = await call('/v1/jobs/a/toggle', authorization === undefined ? {} : { authorization }, 'POST');

    assert.equal(reply.statusCode, 401);
    assert.equal(reply.headers['www-authenticate'], 'Bearer');
    assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8');
    assert.deepEqual([at(reply.json(), 'code'), at(reply.json(), 'status')], ['unauthorized', 401]);
    assert.match(String(at(reply.json(), 'detail')), /asks for its API token.*Authorization: Bearer/);
    assert.equal(backend.submissions.length, 0);
    assert.deepEqual(counted, ['carillon_http_unauthorized_total']);
    assert.match(lines.join(), /a request was refused \{"peer":"127\.0\.0\.1"/);
    assert.doesNotMatch(`${lines.join()} ${reply.body}`, /nobody-guesses|another-token/i);
  });
}

for (const authorization of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER   ${TOKEN} `]) {
  test(`'${authorization.replace(TOKEN, '…')}' opens the door`, async () => {
    const { call, backend, counted } = guarded();

    const reply = await call('/v1/jobs/a/toggle', { authorization }, 'POST');

    assert.equal(reply.statusCode, 200);
    assert.equal(backend.submissions.length, 1);
    assert.ok(!counted.includes('carillon_http_unauthorized_total'));
  });
}

for (const [url, status] of [
  ['/livez', 200],
  ['/readyz', 200],
  ['/readyz?verbose', 200],
  ['/metrics', 401],
  ['/health', 401],
  ['/v1', 401],
  ['/v1/jobs', 401],
  ['/v1/jobs/', 401],
  ['/livez/', 401],
  ['/livez/../v1/jobs', 401],
  ['/livez%2f..%2fv1%2fjobs', 401],
  ['//livez', 401],
  ['/v1/jobs?/livez', 401],
  ['/nowhere', 401],
] as const) {
  test(`without a token ${url} is ${status}`, async () => {
    const { call } = guarded();

    const reply = await call(url);

    assert.equal(reply.statusCode, status);
  });
}

test('with the token an address that does not exist is a 404, and metrics are there', async () => {
  const { call } = guarded();
  const headers = { authorization: `Bearer ${TOKEN}` };

  const nowhere = await call('/nowhere', headers);
  const metrics = await call('/metrics', headers);

  assert.deepEqual([nowhere.statusCode, metrics.statusCode], [404, 200]);
});

test('with the token any Host and Origin may ask: no foreign page has it', async () => {
  const { call } = guarded();
  const headers = { authorization: `Bearer ${TOKEN}`, host: 'jobs.example', origin: 'https://page.example' };

  const reply = await call('/v1/jobs', headers);
  const { authorization: _, ...without } = headers;
  const foreign = await call('/v1/jobs', without);

  assert.deepEqual([reply.statusCode, foreign.statusCode], [200, 401]);
});

test('refusals are logged ten times a minute, and counted all', async () => {
  const { call, clock, counted, lines } = guarded();

  for (let tries = 0; tries < 25; tries += 1) await call('/v1/jobs');
  const inOneMinute = lines.length;
  clock.advance(60_000);
  await call('/v1/jobs');

  assert.equal(inOneMinute, 10);
  assert.equal(counted.length, 26);
  assert.match(lines.at(-1) ?? '', /"omitted":15/);
});

test('a body that comes without the token is dropped, and its connection goes on', async () => {
  const backend = new FakeBackend();
  const context = fakeContext(backend);
  const { instance } = createHttpDoor({ context, nodeName: 'a', version: '1', apiToken: TOKEN });

  const reply = await instance.inject({ method: 'POST', url: '/v1/jobs', payload: 'x'.repeat(2_000_000) });

  assert.equal(reply.statusCode, 401);
  assert.notEqual(reply.headers['connection'], 'close');
});

test('the door of a node that answers no calls has probes and metrics only, and asks for the token as well', async () => {
  const checks = [{ name: 'session', isOk: false, detail: 'no leader heard' }];
  const context = {
    ...fakeContext(new FakeBackend()),
    backend: { health: () => Promise.resolve({ checks }), metrics: () => Promise.resolve('carillon_slots 1\n') },
  };
  const open = createProbeDoor({ context, nodeName: 'a1' });
  const closed = createProbeDoor({ context, nodeName: 'a1', apiToken: TOKEN });
  const statusesOf = async ({ instance }: typeof open) => {
    const urls = ['/livez', '/readyz', '/metrics', '/v1/jobs', '/health'];
    const replies = await Promise.all(urls.map((url) => instance.inject({ url })));
    return replies.map(({ statusCode }) => statusCode);
  };

  const ready = await open.instance.inject({ url: '/readyz' });

  assert.deepEqual(await statusesOf(open), [200, 503, 200, 404, 404]);
  assert.deepEqual(await statusesOf(closed), [200, 503, 401, 401, 401]);
  assert.equal(ready.body, '[-] session failed: no leader heard\nnot ready\n');
  assert.equal(ready.headers['x-whom'], 'a1');
});
