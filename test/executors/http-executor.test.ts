import assert from 'node:assert/strict';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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

const faults: readonly { readonly config: Readonly<Record<string, string>>; readonly text: RegExp }[] = [
  { config: { method: '' }, text: /method "": use GET/ },
  { config: { url: 'ftp://x' }, text: /url "ftp:\/\/x": use http/ },
  { config: { url: 'nonsense' }, text: /url "nonsense"/ },
  { config: { headers: 'X: y' }, text: /headers "X: y": use a JSON array/ },
  { config: { headers: '["no colon"]' }, text: /use a JSON array/ },
  { config: { headers: '["X: a\\nb"]' }, text: /use a JSON array/ },
  { config: { timeout: 'soon' }, text: /timeout "soon": use seconds/ },
  { config: { expectCode: 'two hundred' }, text: /expectCode "two hundred"/ },
  { config: { expectBody: '(' }, text: /expectBody "\(": use a regular expression/ },
  { config: { url: 'https://127.0.0.1:1/', tlsRootCAsFile: '/no/such/file' }, text: /no such file/ },
];
for (const { config, text } of faults) {
  test(`bad options are a failed ending with words: ${JSON.stringify(config)}`, async () => {
    const ending = await call('/', config);

    assert.deepEqual([ending.outcome, ending.reason], ['failed', 'bad configuration']);
    assert.match(textOf(ending), text);
  });
}

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
