import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Svcm } from '@nats-io/services';
import { connect, headers as createHeaders, type Msg, type NatsConnection } from 'nats';
import { parseNatsAddress } from '../../src/api/nats-address.ts';
import { NATS_OPERATIONS, type NatsService, startNatsService } from '../../src/api/nats-service.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { carillon } from '../cli/cli.ts';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';
import { executionView, FakeBackend, fakeContext, GROUP, jobView, runView } from './fake-backend.ts';
import { at } from './http-door.ts';

const DOCUMENT = '{"name": "job_name", "command": "/bin/true", "schedule": "@every 2m", "tags": {"my_role": "web:1"}}';

let server: NatsServer;
let client: NatsConnection;
const gauges: number[] = [];

before(async () => {
  server = await startNatsServer({ config: 'max_payload: 65536' });
  client = await connect({ servers: `127.0.0.1:${server.port}`, token: server.token });
});

after(async () => {
  await client.close();
  await server.stop();
});

/** Each test has a cluster, and so subjects, of its own. */
let clusters = 0;
async function setup(): Promise<{
  readonly backend: FakeBackend;
  readonly cluster: string;
  readonly service: NatsService;
  request(subject: string, body?: unknown, headers?: Record<string, string>): Promise<Msg>;
}> {
  const backend = new FakeBackend();
  const metrics = {
    count() {},
    observe() {},
    gauge: (name: string, value: number) => void (name === 'carillon_nats_connected' && gauges.push(value)),
  };
  const cluster = `c${++clusters}`;
  const context = fakeContext(backend, { clock: new SystemClock({ unref: true }), metrics });
  const service = startNatsService({
    context,
    cluster,
    nodeName: 'alpha',
    version: '0.1.0',
    door: parseNatsAddress(server.url),
  });
  await service.connected;
  after(() => service.stop(0));
  return {
    backend,
    cluster,
    service,
    request(subject, body, given = {}) {
      const headers = createHeaders();
      for (const [key, value] of Object.entries(given)) headers.set(key, value);
      const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      return client.request(`carillon.${cluster}.api.${subject}`, payload, { timeout: 5_000, headers });
    },
  };
}

function codeOf(message: Msg): string {
  return message.headers?.get('Nats-Service-Error-Code') ?? '';
}

test('the document of the first demand is stored word for word, and read, listed, toggled, run and deleted', async () => {
  const { request, backend } = await setup();

  const stored = await request('job.put', DOCUMENT, { 'Nats-Msg-Id': 'mine' });
  const found = await request('job.get', { name: 'job_name' });
  const list = await request('job.list', { metadata: { a: 'b' }, _start: 0, _end: 5, disabled: false });
  const toggled = await request('job.toggle', { name: 'job_name' });
  const ran = await request('job.run', { name: 'job_name', timeout: '5s' });
  const quick = await request('job.run', { name: 'job_name', wait: false });
  const deleted = await request('job.delete', { name: 'job_name' });

  assert.equal(backend.submissions[0]?.requestId, 'mine');
  assert.equal(stored.headers?.get('Location'), '/v1/jobs/job_name');
  assert.deepEqual(stored.json(), found.json());
  assert.equal(at(found.json(), 'executor_config.command'), '/bin/true');
  assert.equal(list.headers?.get('X-Total-Count'), '1');
  assert.deepEqual({ ...backend.filter?.metadata }, { a: 'b' });
  assert.deepEqual([backend.filter?.end, backend.filter?.disabled], [5, false]);
  assert.equal(at(toggled.json(), 'disabled'), true);
  assert.match(ran.string(), new RegExp(`"state":"succeeded".*"group":${GROUP},`));
  assert.deepEqual(Object.keys(at(quick.json(), 'run') as object), ['id', 'state']);
  assert.equal(at(deleted.json(), 'name'), 'job_name');
});

test('every subject answers', async () => {
  const { request, backend } = await setup();
  backend.stored.set('a', jobView('a'));
  backend.finished.set('r', { run: runView('r'), executions: [executionView('r-0-1')] });

  for (const [subject, id] of [
    ['job.executions', ''],
    ['job.execution', 'r-0-1'],
    ['job.run-get', 'r'],
    ['job.runs', ''],
    ['job.fires', ''],
  ] as const) {
    const reply = await request(subject, { name: 'a', id });
    assert.equal(codeOf(reply), '', `${subject}: ${reply.string()}`);
  }
  for (const subject of ['job.busy', 'job.list', 'cluster.members', 'cluster.leader', 'cluster.health']) {
    const reply = await request(subject);
    assert.equal(codeOf(reply), '', `${subject}: ${reply.string()}`);
  }
});

for (const [what, subject, body, code] of [
  ['broken JSON', 'job.put', '{', '400'],
  ['an empty put', 'job.put', undefined, '400'],
  ['a bad schedule', 'job.put', { name: 'a', schedule: '61 * * * *', command: 'x' }, '400'],
  ['a list as request', 'job.get', [], '400'],
  ['a name that is no text', 'job.get', { name: 7 }, '400'],
  ['a bad query', 'job.list', { _sort: 'color' }, '400'],
  ['an unknown job', 'job.get', { name: 'nobody' }, '404'],
] as const) {
  test(`${what} is a service error ${code} with a problem as its body`, async () => {
    const { request } = await setup();

    const reply = await request(subject, body);

    assert.equal(codeOf(reply), code);
    assert.equal(at(reply.json(), 'status'), Number(code));
    assert.equal(reply.headers?.get('Nats-Service-Error'), at(reply.json(), 'detail'));
  });
}

test('unknown fields are warned of in a header', async () => {
  const { request } = await setup();

  const reply = await request('job.put', { name: 'a', schedule: '@hourly', command: 'x', tags: { a: 'b' }, comand: 1 });

  assert.equal(reply.headers?.get('Carillon-Warning'), 'unknown fields were ignored: comand');
});

test('an answer that NATS cannot carry is an error that says to page', async () => {
  const { request, backend } = await setup();
  for (let n = 0; n < 100; n += 1) backend.stored.set(`job-${n}`, jobView(`job-${n}`));

  const all = await request('job.list', {});
  const page = await request('job.list', { _start: 0, _end: 25 });

  assert.equal(codeOf(all), '413');
  assert.match(String(at(all.json(), 'detail')), /_start and _end/);
  assert.equal((page.json() as unknown[]).length, 25);
});

test('a long run holds up nobody', async () => {
  const { request, backend } = await setup();
  backend.stored.set('a', jobView('a'));
  let open = (): void => {};
  backend.gate = new Promise((resolve) => {
    open = resolve;
  });

  const running = request('job.run', { name: 'a' });
  const found = await request('job.get', { name: 'a' });
  open();
  const ended = await running;

  assert.equal(at(found.json(), 'name'), 'a');
  assert.equal(at(ended.json(), 'run.state'), 'succeeded');
});

test('the service says who it is', async () => {
  const { cluster } = await setup();

  const infos = [];
  for await (const info of await new Svcm(client).client().info('carillon')) infos.push(info);

  const own = infos.find((info) => info.description.endsWith(`cluster ${cluster}`));
  const subjects = own?.endpoints.map((endpoint) => endpoint.subject);
  assert.deepEqual(
    subjects,
    Object.keys(NATS_OPERATIONS).map((subject) => `carillon.${cluster}.api.${subject}`),
  );
  assert.equal(own?.endpoints[0]?.queue_group, `carillon-${cluster}`);
});

test('a server that is not ready leaves the group, and comes back', async () => {
  const { request, service } = await setup();

  service.setReady(false);
  await assert.rejects(async () => {
    for (;;) await request('cluster.health');
  }, /no responders/i);
  service.setReady(true);

  let reply: Msg | undefined;
  while (reply === undefined) reply = await request('cluster.health').catch(() => undefined);
  assert.equal(at(reply.json(), 'status'), 'healthy');
});

test('stopping answers what is open, then closes', async () => {
  const { request, service, backend } = await setup();
  backend.stored.set('a', jobView('a'));
  let open = (): void => {};
  backend.gate = new Promise((resolve) => {
    open = resolve;
  });
  const running = request('job.run', { name: 'a' });
  while (backend.submissions.length === 0) await new Promise(setImmediate);

  const stopped = service.stop(5_000);
  open();

  assert.equal(at((await running).json(), 'run.state'), 'succeeded');
  await stopped;
  await assert.rejects(request('cluster.health'), /no responders/i);
  assert.deepEqual([gauges.includes(1), gauges.at(-1)], [true, 0]);
});

test('the command line works over NATS as over HTTP', async () => {
  const { backend, cluster } = await setup();
  const env = { CARILLON_URL: server.url, CARILLON_CLUSTER: cluster };

  const put = await carillon(['job', 'put', '-'], { env, input: DOCUMENT });
  const run = await carillon(['job', 'run', 'job_name'], { env });
  const list = await carillon(['job', 'list', '--metadata', 'x=y'], { env });
  const missing = await carillon(['job', 'get', 'nobody'], { env });
  const elsewhere = await carillon(['health', '--cluster', 'nowhere'], { env });

  assert.deepEqual([put.code, put.error], [0, '']);
  assert.deepEqual([run.code, run.out], [0, 'hello\n']);
  assert.match(list.out, /^job_name {2}@every 2m/m);
  assert.deepEqual({ ...backend.filter?.metadata }, { x: 'y' });
  assert.deepEqual([missing.code, missing.error], [125, 'carillon: there is no job "nobody"\n']);
  assert.match(elsewhere.error, /no server answers at .* cluster nowhere/);
  assert.equal(elsewhere.code, 125);
});

test('a service whose NATS goes away answers again when it is back, and one that never met it starts then', async () => {
  const first = await startNatsServer();
  const { port, token } = first;
  const make = (cluster: string) =>
    startNatsService({
      context: fakeContext(new FakeBackend(), { clock: new SystemClock({ unref: true }) }),
      cluster,
      nodeName: 'alpha',
      version: '0.1.0',
      door: parseNatsAddress(first.url),
    });
  const early = make('early');
  await early.connected;
  await first.stop('SIGKILL');
  const late = make('late');

  const second = await startNatsServer({ port, token });
  await late.connected;
  const own = await connect({ servers: `127.0.0.1:${port}`, token });
  const ask = (cluster: string) => own.request(`carillon.${cluster}.api.cluster.health`, '', { timeout: 5_000 });
  let reply: Msg | undefined;
  while (reply === undefined) reply = await ask('early').catch(() => undefined);

  assert.equal(at(reply.json(), 'status'), 'healthy');
  assert.equal(at((await ask('late')).json(), 'status'), 'healthy');
  await Promise.all([early.stop(0), late.stop(0), own.close()]);
  await second.stop();
});

test('stopping before NATS was ever there ends the attempts', async () => {
  const context = fakeContext(new FakeBackend(), { clock: new SystemClock({ unref: true }) });
  const door = parseNatsAddress('nats://127.0.0.1:9');
  const service = startNatsService({ context, cluster: 'x', nodeName: 'a', version: '0.1.0', door });

  await service.stop(0);
});
