import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { type DevNode, startDevNode, until } from '../helpers/dev-node.ts';
import { startNatsServer } from '../helpers/nats-server.ts';

/** Word for word as the study has it. */
const DOCUMENT = '{"name": "job_name", "command": "/bin/true", "schedule": "@every 2m", "tags": {"my_role": "web:1"}}';
const ARGS = ['--tag', 'my_role=web'];
const INTERVAL_MS = 120_000;
/** Two real intervals take over four minutes: `CARILLON_LONG_TESTS=1` waits for them, otherwise two of two seconds. */
const IS_LONG = process.env['CARILLON_LONG_TESTS'] === '1';

test('the document of the study is taken by HTTP, read back in its normal form, and next is two minutes after its anchor', async () => {
  const node = await startDevNode({ args: ARGS });

  const put = await node.call('POST', '/v1/jobs', { body: DOCUMENT });
  const read = await node.call('GET', '/v1/jobs/job_name');
  const ran = await node.call('POST', '/v1/jobs/job_name/run');
  await node.stop();

  assert.equal(put.status, 201, put.text);
  assert.equal(put.headers['carillon-warning'], undefined);
  assertStored(put.body);
  assert.deepEqual(read.body, put.body);
  assert.equal(ran.status, 200, ran.text);
  const { state, executions } = ran.body['run'] as { state: string; executions: Record<string, unknown>[] };
  assert.deepEqual([state, executions.length], ['succeeded', 1]);
});

test('the document of the study is taken by NATS request and reply', async () => {
  const nats = await startNatsServer();
  const node = await startDevNode({ args: [...ARGS, '--nats-url', nats.url] });
  const client = await connect({ servers: `127.0.0.1:${nats.port}`, token: nats.token });
  await servesNats(node);

  const put = await client.request('carillon.dev.api.job.put', DOCUMENT, { timeout: 10_000 });
  const read = await client.request('carillon.dev.api.job.get', '{"name": "job_name"}', { timeout: 10_000 });
  const ran = await client.request('carillon.dev.api.job.run', '{"name": "job_name"}', { timeout: 10_000 });
  const byHttp = await node.call('GET', '/v1/jobs/job_name');
  await client.close();
  await node.stop();
  await nats.stop();

  assert.equal(put.headers?.get('Nats-Service-Error-Code') ?? '', '', put.string());
  assertStored(put.json());
  assert.deepEqual(read.json(), put.json());
  assert.equal(ran.json<{ run: { state: string } }>().run.state, 'succeeded', ran.string());
  assert.equal(byHttp.body['uid'], read.json<Record<string, unknown>>()['uid']);
});

test('it runs exactly once each time that it is due', async () => {
  const node = await startDevNode({ args: ARGS });
  const intervalMs = IS_LONG ? INTERVAL_MS : 2_000;
  const document = IS_LONG ? DOCUMENT : DOCUMENT.replace('@every 2m', '@every 2s');

  const put = await node.call('POST', '/v1/jobs', { body: document });
  const firstMs = Date.parse(String(put.body['next']));
  const runs = await until(
    'two runs by schedule',
    async () => {
      const { items } = await node.call('GET', '/v1/jobs/job_name/runs');
      return items.filter(({ state }) => state === 'succeeded').length >= 2 ? items : undefined;
    },
    3 * intervalMs + 20_000,
  );
  const executions = await node.call('GET', '/v1/jobs/job_name/executions');
  const fires = (await node.call('GET', '/v1/jobs/job_name/fires')).body['items'] as Record<string, unknown>[];
  await node.stop();

  const ended = fires.filter(({ outcome }) => outcome === 'ran').toReversed();
  assert.ok(ended.length >= 2 && ended.length >= runs.length - 1);
  for (const [index, { scheduled_at: scheduledAt, run }] of ended.entries()) {
    assert.equal(Date.parse(String(scheduledAt)), firstMs + index * intervalMs);
    assert.equal(executions.items.filter((execution) => execution['run'] === run).length, 1, `one execution of ${run}`);
  }
});

function assertStored(job: Readonly<Record<string, unknown>>): void {
  const { name, schedule, tags, executor, executor_config: config, next, created_at: createdAt } = job;
  assert.deepEqual(
    { name, schedule, tags, executor, config },
    {
      name: 'job_name',
      schedule: '@every 2m',
      tags: { my_role: 'web:1' },
      executor: 'shell',
      config: { command: '/bin/true', shell: 'true' },
    },
  );
  assert.equal('command' in job, false);
  const anchorMs = Math.floor(Date.parse(String(createdAt)) / 1_000) * 1_000;
  assert.equal(Date.parse(String(next)), anchorMs + INTERVAL_MS);
}

function servesNats(node: DevNode): Promise<true> {
  return until('the NATS door is open', async () => {
    const { text } = await node.call('GET', '/metrics');
    return /^carillon_nats_connected\{connection="api"\} 1$/m.test(text) ? true : undefined;
  });
}
