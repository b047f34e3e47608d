import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseNatsAddress } from '../../src/api/nats-address.ts';
import { startNatsService } from '../../src/api/nats-service.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { FakeBackend, fakeContext } from '../api/fake-backend.ts';
import { startNatsServer } from '../helpers/nats-server.ts';
import { carillon, serve } from './cli.ts';

const TOKEN = 'a-token-that-nobody-guesses';

test('a token comes from a file or from the environment; the file wins', async () => {
  const { cli } = await serve({ apiToken: TOKEN });
  const directory = await mkdtemp(join(tmpdir(), 'carillon-token-'));
  after(() => rm(directory, { recursive: true }));
  const file = join(directory, 'token');
  await writeFile(file, `${TOKEN}\n`);

  const byFile = await cli(['job', 'list', '--token-file', file], '', { CARILLON_TOKEN: 'another-one' });
  const byVariable = await cli(['cluster', 'members'], '', { CARILLON_TOKEN: TOKEN });

  assert.deepEqual([byFile.code, byFile.error], [0, '']);
  assert.deepEqual([byVariable.code, byVariable.error], [0, '']);
});

for (const [what, env] of [
  ['none', {}],
  ['another one', { CARILLON_TOKEN: 'another-token-of-theirs' }],
] as const) {
  test(`where the node asks for a token and there is ${what}, the refusal names the flag`, async () => {
    const { cli } = await serve({ apiToken: TOKEN });

    const { code, out, error } = await cli(['job', 'list'], '', env);

    assert.deepEqual([code, out], [125, '']);
    assert.match(error, /asks for its API token/);
    assert.match(error, /--token-file, or set CARILLON_TOKEN/);
    assert.doesNotMatch(error, /another-token|\n {4}at /);
  });
}

for (const [what, text] of [
  ['JSON', '{"jobs": 1}\n{"name": "a"}\n'],
  ['bytes', 'geheim\u0000ü'],
  ['nothing', '\n'],
] as const) {
  test(`a token file that holds ${what} is refused by its name, without what it holds`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'carillon-token-'));
    after(() => rm(directory, { recursive: true }));
    const file = join(directory, 'token');
    await writeFile(file, text);

    const { code, error } = await carillon(['job', 'list', '--url', 'http://127.0.0.1:9', '--token-file', file]);

    assert.equal(code, 125);
    assert.equal(error, `carillon: --token-file ${file}: not a token; allowed: visible ASCII characters\n`);
  });
}

test('a variable that holds no token is refused by its name', async () => {
  const env = { CARILLON_URL: 'http://127.0.0.1:9', CARILLON_TOKEN: 'two\nlines' };

  const { code, error } = await carillon(['job', 'list'], { env });

  assert.equal(code, 125);
  assert.equal(error, 'carillon: CARILLON_TOKEN: not a token; allowed: visible ASCII characters\n');
});

test('health needs no token; as JSON it does', async () => {
  const { cli, backend } = await serve({ apiToken: TOKEN });

  const healthy = await cli(['health']);
  const refused = await cli(['health', '--json']);
  const document = await cli(['health', '--json'], '', { CARILLON_TOKEN: TOKEN });
  backend.isHealthy = false;
  const unhealthy = await cli(['health']);

  assert.deepEqual([healthy.code, healthy.out], [0, 'healthy\n']);
  assert.equal(refused.code, 125);
  assert.deepEqual([document.code, JSON.parse(document.out).status], [0, 'healthy']);
  assert.deepEqual([unhealthy.code, unhealthy.out], [1, 'unhealthy\n  leader failed: no leader for 6 s\n']);
});

test('what answers health in other words is no Carillon', async () => {
  const { createServer } = await import('node:http');
  const server = createServer((_request, response) => response.end('welcome')).listen(0, '127.0.0.1');
  after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };

  const { code, error } = await carillon(['health', '--url', `http://127.0.0.1:${port}`]);

  assert.equal(code, 125);
  assert.match(error, /says nothing of health \(status 200\): does --url lead to Carillon/);
});

test('NATS takes user and password from the address, whatever token there is for HTTP', async () => {
  const nats = await startNatsServer();
  after(() => nats.stop());
  const context = fakeContext(new FakeBackend(), { clock: new SystemClock() });
  const door = parseNatsAddress(nats.url);
  const service = startNatsService({ context, cluster: 'dev', nodeName: 'alpha', version: '0.1.0', door });
  after(() => service.stop(0));
  await service.connected;
  const env = { CARILLON_TOKEN: TOKEN };
  const bare = `nats://127.0.0.1:${nats.port}`;

  const list = await carillon(['job', 'list', '--url', nats.url], { env });
  const health = await carillon(['health', '--url', nats.url], { env });
  const byToken = await carillon(['job', 'list', '--url', bare], { env: { CARILLON_TOKEN: nats.token } });
  const refused = await carillon(['job', 'list', '--url', `nats://me:hunter2@127.0.0.1:${nats.port}`]);

  assert.deepEqual([list.code, list.error], [0, '']);
  assert.deepEqual([health.code, health.out], [0, 'healthy, leader: alpha\n']);
  assert.deepEqual([byToken.code, byToken.error], [0, '']);
  assert.equal(refused.code, 125);
  assert.match(refused.error, /refuses these credentials .*nats:\/\/user:password@host:4222, or give --nats-creds\n$/);
  assert.doesNotMatch(refused.error, /hunter2|\n {4}at /);
});
