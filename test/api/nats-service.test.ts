import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Svcm } from '@nats-io/services';
import { connect, headers as createHeaders, type Msg, type NatsConnection } from 'nats';
import type { ApiContext } from '../../src/api/call.ts';
import { parseNatsAddress } from '../../src/api/nats-address.ts';
import { NATS_OPERATIONS, type NatsService, startNatsService } from '../../src/api/nats-service.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Json } from '../../src/jobs/job.ts';
import { carillon } from '../cli/cli.ts';
import { KeptLog } from '../cluster/nats-world.ts';
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
async function setup(changes: Partial<ApiContext> = {}): Promise<{
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
  const context = fakeContext(backend, { clock: new SystemClock({ unref: true }), metrics, ...changes });
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

test('an answer that cannot be written is an error 500 in its place, and the log says why', async () => {
  const log = new KeptLog();
  const { request, backend } = await setup({ log });
  // No job is like this, but so is a fault of ours: nobody had thought of it.
  const endless: Record<string, Json> = {};
  endless['self'] = endless;
  const view = jobView('a');
  backend.stored.set('a', { ...view, job: { ...view.job, executorConfig: endless } });

  const reply = await request('job.get', { name: 'a' });

  assert.equal(codeOf(reply), '500');
  assert.equal(at(reply.json(), 'code'), 'internal');
  assert.match(String(log.lines.find(({ level }) => level === 'error')?.fields['error']), /RangeError/);
});

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
  assert.deepEqual([missing.code, missing.error], [125, `carillon: there is no job 'nobody'\n`]);
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

/** A user `carillon` who may hear these subjects, and `admin` who may do all. */
function permitting(...subjects: readonly string[]): string {
  const own = ['_INBOX.>', '$SRV.>', ...subjects].map((subject) => `"${subject}"`).join(', ');
  return `authorization { users: [
    { user: carillon, password: x, permissions: { publish: ">", subscribe: [${own}] } }
    { user: admin, password: x }
  ] }`;
}

/** A service as `carillon` of a server of its own, under a virtual clock, and the way to ask it. */
async function restrictedSetup(config: string) {
  const own = await startNatsServer({ config });
  const servers = `127.0.0.1:${own.port}`;
  const [clock, log] = [new VirtualClock(), new KeptLog()];
  const service = startNatsService({
    context: fakeContext(new FakeBackend(), { clock, log }),
    cluster: 'own',
    nodeName: 'alpha',
    version: '0.1.0',
    door: { servers: [servers], user: 'carillon', password: 'x' },
  });
  after(async () => {
    await service.stop(0);
    await own.stop();
  });
  const health = async (): Promise<Msg> => {
    const admin = await connect({ servers, user: 'admin', pass: 'x' });
    try {
      return await admin.request('carillon.own.api.cluster.health', '');
    } finally {
      await admin.close();
    }
  };
  return { own, clock, log, service, health };
}

test('a service that NATS does not permit is started again until it is permitted', async () => {
  const { own, clock, log, service, health } = await restrictedSetup(permitting());
  await service.connected;
  await log.has('the NATS service has ended: it is started again in 5 s');
  await assert.rejects(health(), /no responders/i);
  const warnings = log.lines.filter(({ level }) => level === 'warn');
  await own.reload(permitting('carillon.own.api.>'));

  clock.advance(5_000);
  await log.has('the NATS service answers again');

  assert.equal(at((await health()).json(), 'status'), 'healthy');
  assert.equal(warnings.length, 1);
  assert.match(String(warnings[0]?.fields['error']), /Permissions Violation for Subscription to "carillon\.own\.api/);
});

test('a service that loses a permission while it answers comes back with it', async () => {
  const { own, clock, log, service, health } = await restrictedSetup(permitting('carillon.own.api.>'));
  await service.connected;
  assert.equal(at((await health()).json(), 'status'), 'healthy');
  await own.reload(permitting('carillon.own.api.job.>'));
  await log.has('the NATS service has ended');
  await own.reload(permitting('carillon.own.api.>'));

  clock.advance(5_000);
  await log.has('the NATS service answers again');

  assert.equal(at((await health()).json(), 'status'), 'healthy');
});

test('a service that ended is started at once when NATS is back', async () => {
  const { own, log, service, health } = await restrictedSetup(permitting());
  await service.connected;
  await log.has('the NATS service has ended');
  await own.stop('SIGKILL');

  const next = await startNatsServer({ port: own.port, config: permitting('carillon.own.api.>') });
  after(() => next.stop());
  await log.has('the NATS service answers again');

  assert.equal(at((await health()).json(), 'status'), 'healthy');
});

test('a NATS that stays away is told six times a minute, not at each try', async () => {
  const [clock, log] = [new VirtualClock(), new KeptLog()];
  const context = fakeContext(new FakeBackend(), { clock, log });
  const door = parseNatsAddress('nats://127.0.0.1:9');
  const service = startNatsService({ context, cluster: 'x', nodeName: 'a', version: '0.1.0', door });
  after(() => service.stop(0));

  for (let tries = 1; tries <= 6; tries += 1) {
    while (log.lines.length < tries) await new Promise(setImmediate);
    clock.advance(1_000);
  }
  for (let turns = 0; turns < 1_000; turns += 1) {
    await new Promise(setImmediate);
    clock.advance(10);
  }

  assert.equal(log.lines.length, 6);
});
