import assert from 'node:assert/strict';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSilentServer } from 'node:net';
import test, { after, before } from 'node:test';
import type { Ending } from '../../src/executors/executor.ts';
import { HttpExecutor } from '../../src/executors/http-executor.ts';
import type { Json } from '../../src/jobs/job.ts';
import { run, taskOf, textOf } from './running.ts';

const http = new HttpExecutor();
const ports = new Set<number>();
let onHanging: (() => void) | null = null;
let server: Server;
let base = '';

before(async () => {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  await http.close();
  server.closeAllConnections();
  server.close();
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  ports.add(request.socket.remotePort ?? 0);
  const [, kind = '', size = ''] = (request.url ?? '').split('/');
  if (kind === 'status') response.statusCode = Number(size);
  if (kind === 'hang') return onHanging?.();
  if (kind === 'cut') return void request.socket.destroy();
  if (kind === 'to') {
    const location = (request.url ?? '').slice(`/to/${size}`.length);
    return void response.writeHead(Number(size), { location, 'content-length': '4' }).end('gone');
  }
  if (kind === 'loop') return void response.writeHead(302, { location: `/loop/${Number(size) + 1}` }).end();
  // A redirect whose own body never ends.
  if (kind === 'long') return void response.writeHead(Number(size), { location: '/' }).write('and so on');
  if (kind === 'big') return void response.end(Buffer.alloc(Number(size), 'x'));
  const parts: Buffer[] = [];
  request.on('data', (bytes: Buffer) => parts.push(bytes));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString();
    response.end(`${request.method} ${request.headers['x-when'] ?? ''} ${body}`);
  });
}

function call(path: string, config: Readonly<Record<string, Json>> = {}): Promise<Ending> {
  return run(http, taskOf({ method: 'GET', url: base + path, ...config }, { executor: 'http' }));
}

test('method, headers (values with colons too) and body arrive, and the answer is the output', async () => {
  const headers = JSON.stringify(['X-When: 12:30:00']);

  const ending = await call('/', { method: 'post', headers, body: 'hello' });

  assert.equal(ending.outcome, 'succeeded');
  assert.equal(textOf(ending), 'POST 12:30:00 hello');
});

const judgements: readonly {
  readonly path: string;
  readonly config: Readonly<Record<string, string>>;
  readonly outcome: string;
  readonly reason: string;
}[] = [
  { path: '/status/200', config: {}, outcome: 'succeeded', reason: '' },
  { path: '/status/500', config: {}, outcome: 'succeeded', reason: '' },
  { path: '/status/206', config: { expectCode: '200,206' }, outcome: 'succeeded', reason: '' },
  { path: '/status/500', config: { expectCode: '200, 206' }, outcome: 'failed', reason: 'status 500' },
  { path: '/', config: { expectBody: '^GET' }, outcome: 'succeeded', reason: '' },
  { path: '/', config: { expectBody: 'POST' }, outcome: 'failed', reason: 'body does not match expectBody' },
  { path: '/', config: { expectBody: '(?i)^get' }, outcome: 'succeeded', reason: '' },
  { path: '/to/301/status/500', config: { expectCode: '200' }, outcome: 'failed', reason: 'status 500' },
  { path: '/to/302/to/307/status/200', config: { expectCode: '200' }, outcome: 'succeeded', reason: '' },
  { path: '/to/302/cut', config: {}, outcome: 'failed', reason: 'request failed' },
  { path: '/loop', config: {}, outcome: 'failed', reason: 'request failed' },
  { path: '/to/302/hang', config: { timeout: '0.1' }, outcome: 'timed-out', reason: 'time limit of 100 ms' },
  { path: '/long/302', config: {}, outcome: 'succeeded', reason: '' },
  { path: '/cut', config: {}, outcome: 'failed', reason: 'request failed' },
  { path: '/hang', config: { timeout: '0.1' }, outcome: 'timed-out', reason: 'time limit of 100 ms' },
  { path: '/big/40', config: { expectBody: '(x+x+)+y' }, outcome: 'failed', reason: 'expectBody takes too long' },
];
for (const { path, config, ...expected } of judgements) {
  test(`GET ${path} with ${JSON.stringify(config)} is ${expected.outcome} ${expected.reason}`, async () => {
    const { outcome, reason } = await call(path, config);

    assert.deepEqual({ outcome, reason }, expected);
  });
}

test('a file of the TLS options that cannot be read is a failed ending with words', async () => {
  const ending = await call('/', { url: 'https://127.0.0.1:1/', tlsRootCAsFile: '/no/such/file' });

  assert.deepEqual([ending.outcome, ending.reason], ['failed', 'bad configuration']);
  assert.match(textOf(ending), /no such file/);
});

test('a redirect leads to the target, and its answer is the output', async () => {
  const config = { method: 'POST', body: 'hello', headers: '["X-When: now"]' };

  const seeOther = await call('/to/303/', config);
  const asBefore = await call('/to/308/', config);

  assert.equal(textOf(seeOther), 'GET now ');
  assert.equal(textOf(asBefore), 'POST now hello');
});

test('a ring of redirects is left after ten requests, with words', async () => {
  const ending = await call('/loop/0', { debug: 'x' });

  assert.equal(ending.reason, 'request failed');
  assert.match(textOf(ending), /stopped after 10 requests/);
  assert.equal(textOf(ending).match(/^> GET/gm)?.length, 10);
});

test('cancel ends a request that a redirect led to', async () => {
  const task = taskOf({ method: 'GET', url: `${base}/to/302/hang` }, { executor: 'http' });
  const hanging = new Promise<void>((resolve) => {
    onHanging = resolve;
  });
  const ended = run(http, task);
  await hanging;

  http.cancel(task.execution);

  assert.equal((await ended).outcome, 'cancelled');
});

test('other TLS options do not end a request that runs with theirs', async (context) => {
  const connected: (() => void)[] = [];
  const few = new HttpExecutor({ tlsAgentsMax: 1 });
  const silent = createSilentServer((socket) => {
    socket.on('error', () => {}).resume();
    connected.shift()?.();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  context.after(async () => {
    await few.close();
    silent.close();
  });
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const running = taskOf({ method: 'GET', url }, { executor: 'http' });
  const hangs = new Promise<void>((resolve) => connected.push(resolve));
  const ended = run(few, running);
  await hangs;

  const other = await run(few, taskOf({ method: 'GET', url, tlsNoVerifyPeer: 'true', timeout: '0.1' }));
  few.cancel(running.execution);

  assert.equal(other.outcome, 'timed-out');
  assert.equal((await ended).outcome, 'cancelled');
});

test('a server that is not there is a failure that names it', async () => {
  const ending = await call('', { url: 'http://127.0.0.1:1/path?secret=1' });

  assert.equal(ending.reason, 'request failed');
  assert.match(textOf(ending), /^http: GET http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
});

test('connections are used again', async () => {
  await call('/');
  ports.clear();

  for (let index = 0; index < 10; index += 1) await call('/');

  assert.equal(ports.size, 1);
});

test('of a long answer the end is kept and all of it counted', async () => {
  const ending = await call('/big/1000000');

  assert.deepEqual([ending.output.length, ending.outputBytes], [256_000, 1_000_000]);
});

test('an answer without end is read up to a bound', async () => {
  const ending = await call('/big/20000000');

  assert.equal(ending.outcome, 'succeeded');
  assert.ok(ending.outputBytes < 17_000_000);
  assert.match(textOf(ending), /the rest was not read/);
});

test('cancel ends a request that waits', async () => {
  const task = taskOf({ method: 'GET', url: `${base}/hang` }, { executor: 'http' });
  const hanging = new Promise<void>((resolve) => {
    onHanging = resolve;
  });
  const ended = run(http, task);
  await hanging;

  http.cancel(task.execution);

  assert.equal((await ended).outcome, 'cancelled');
});

test('debug adds the exchange to the output, without the values of request headers', async () => {
  const ending = await call('/status/200', { debug: 'true', headers: '["Authorization: Bearer secret"]' });

  const text = textOf(ending);
  assert.match(text, /> GET http:/);
  assert.match(text, /< 200 OK/);
  assert.doesNotMatch(text, /secret/);
});
