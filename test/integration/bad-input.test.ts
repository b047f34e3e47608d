/** What is not well-formed is refused at each door with words, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { carillon, type DevNode, startDevNode, temporaryDirectory, until } from '../helpers/dev-node.ts';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';

const MIB = 1024 * 1024;

interface Case {
  readonly what: string;
  /** Fields beside a good job's, or a whole body as text. */
  readonly job: Readonly<Record<string, unknown>> | string;
  /** Null where the body as a whole is wrong. */
  readonly field: string | null;
  readonly status?: number;
}

const GOOD = { name: 'bad', schedule: '@every 1h', command: 'true' };

const CASES: readonly Case[] = [
  { what: 'a name with capitals', job: { name: 'Bad Job' }, field: 'name' },
  { what: 'a name that is missing', job: { name: undefined }, field: 'name' },
  { what: 'a name of 256 bytes', job: { name: 'b'.repeat(256) }, field: 'name' },
  { what: 'a minute of 61', job: { schedule: '61 * * * *' }, field: 'schedule' },
  { what: 'a schedule of words', job: { schedule: 'every other day' }, field: 'schedule' },
  { what: 'an interval below a second', job: { schedule: '@every 10ms' }, field: 'schedule' },
  { what: 'a zone that does not exist', job: { timezone: 'Mars/Olympus' }, field: 'timezone' },
  { what: 'a tag with a count of 0', job: { tags: { role: 'web:0' } }, field: 'tags.role' },
  { what: 'tags that are a list', job: { tags: ['web'] }, field: 'tags' },
  { what: 'a tag that is a number', job: { tags: { role: 1 } }, field: 'tags.role' },
  { what: 'a schedule that is a number', job: { schedule: 5 }, field: 'schedule' },
  { what: 'retries as text', job: { retries: '3' }, field: 'retries' },
  { what: 'retries below 0', job: { retries: -1 }, field: 'retries' },
  { what: 'a concurrency that does not exist', job: { concurrency: 'maybe' }, field: 'concurrency' },
  { what: 'an executor that does not exist', job: { command: undefined, executor: 'ftp' }, field: 'executor' },
  { what: 'a command beside another executor', job: { executor: 'http' }, field: 'executor' },
  { what: 'an open quote', job: shellJob({ command: "echo 'open" }), field: 'executor_config.command' },
  { what: 'a payload that is no base64', job: shellJob({ payload: '?' }), field: 'executor_config.payload' },
  { what: 'an expression of Go', job: httpJob({ expectBody: '\\Aok' }), field: 'executor_config.expectBody' },
  { what: 'a class of status codes', job: httpJob({ expectCode: '2xx' }), field: 'executor_config.expectCode' },
  { what: 'a parent that is the job itself', job: { schedule: undefined, parent_job: 'bad' }, field: 'parent_job' },
  { what: 'keep_runs of 0', job: { keep_runs: -5 }, field: 'keep_runs' },
  { what: 'an end that is no time', job: { expires_at: 'tomorrow' }, field: 'expires_at' },
  { what: 'a prototype as a key', job: '{"name":"bad","schedule":"@hourly","__proto__":{"x":1}}', field: '__proto__' },
  {
    what: 'a constructor below metadata',
    job: '{"name":"bad","schedule":"@hourly","metadata":{"constructor":"x"}}',
    field: 'metadata.constructor',
  },
  { what: 'broken JSON', job: '{"name":"bad"', field: null },
  { what: 'no JSON at all', job: 'name: bad', field: null },
  { what: 'an empty body', job: '', field: null },
  { what: 'a list', job: '[]', field: null },
  { what: 'a text', job: '"bad"', field: null },
  { what: 'null', job: 'null', field: null },
  {
    what: '100,000 levels',
    job: `{"name":"bad","metadata":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    field: null,
  },
  { what: 'ten megabytes', job: { owner: 'o'.repeat(10 * MIB) }, field: null, status: 413 },
  { what: 'ten megabytes of brackets', job: '['.repeat(10 * MIB), field: null, status: 413 },
];

function shellJob(options: Readonly<Record<string, string>>) {
  return { command: undefined, executor: 'shell', executor_config: { command: 'true', ...options } };
}

function httpJob(options: Readonly<Record<string, string>>) {
  const config = { method: 'GET', url: 'http://127.0.0.1:1/', ...options };
  return { command: undefined, executor: 'http', executor_config: config };
}

describe('bad input', () => {
  let nats: NatsServer;
  let node: DevNode;
  let client: NatsConnection;
  before(async () => {
    nats = await startNatsServer({ config: `max_payload: ${16 * MIB}` });
    node = await startDevNode({ args: ['--nats-url', nats.url] });
    client = await connect({ servers: `127.0.0.1:${nats.port}`, token: nats.token });
    await until('the NATS door is open', async () => {
      const { text } = await node.call('GET', '/metrics');
      return /^carillon_nats_connected\{connection="api"\} 1$/m.test(text) ? true : undefined;
    });
  });
  after(async () => {
    await client.close();
    await node.stop('SIGKILL');
    await nats.stop();
  });

  for (const { what, job, field, status = 400 } of CASES) {
    test(`${what} is refused by HTTP and by NATS, with the same words`, async () => {
      const body = typeof job === 'string' ? job : JSON.stringify({ ...GOOD, ...job });

      const http = await node.call('POST', '/v1/jobs', { body });
      const reply = await client.request('carillon.dev.api.job.put', body, { timeout: 20_000 });
      const stored = await node.call('GET', '/v1/jobs');

      assert.equal(http.status, status, http.text);
      assert.match(String(http.headers['content-type']), /^application\/problem\+json/);
      assert.equal(reply.headers?.get('Nats-Service-Error-Code'), String(status), reply.string());
      assert.notEqual(reply.headers?.get('Nats-Service-Error') ?? '', '');
      for (const problem of [http.body, reply.json<Record<string, unknown>>()]) assertProblem(problem, status, field);
      assert.deepEqual(stored.items, []);
    });
  }

  test('a field that no job has is taken with a warning at the doors, and refused by the command line', async () => {
    const job = { ...GOOD, name: 'unknown-field', colour: 'red' };
    const file = join(await temporaryDirectory(), 'job.json');
    await writeFile(file, JSON.stringify({ ...job, name: 'unknown-field-cli' }));

    const http = await node.call('POST', '/v1/jobs', { body: job });
    const reply = await client.request('carillon.dev.api.job.put', JSON.stringify(job), { timeout: 20_000 });
    const cli = await node.cli('job', 'put', file);
    const refused = await node.call('GET', '/v1/jobs/unknown-field-cli');
    await node.call('DELETE', '/v1/jobs/unknown-field');

    assert.equal(http.status, 201);
    assert.match(decodeURIComponent(String(http.headers['carillon-warning'])), /colour/);
    assert.match(decodeURIComponent(reply.headers?.get('Carillon-Warning') ?? ''), /colour/);
    assert.equal(cli.code, 125);
    assert.match(cli.error, /colour/);
    assert.equal(refused.status, 404);
  });

  test('the command line ends with 125 and one clear line, whichever door it goes through', async () => {
    const put = ['job', 'put', '--name', 'bad', '--command', 'true'];
    const doors = [{ CARILLON_URL: node.url }, { CARILLON_URL: nats.url }];
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [[...put, '--schedule', '61 * * * *'], /schedule.*61.*0.*59/],
      [[...put, '--schedule', '@hourly', '--timezone', 'Mars/Olympus'], /timezone.*Mars\/Olympus/],
      [['job', 'get', 'nobody'], /nobody/],
    ];

    const ends = await Promise.all(
      doors.map(async (environment) => {
        const list = [];
        for (const [args, message] of cases) list.push({ ended: await carillon(args, environment), message });
        return list;
      }),
    );
    const broken = await carillon(['job', 'put', '-'], { CARILLON_URL: node.url }, '{"name":');
    const flag = await carillon(['job', 'put', '--colour', 'red'], { CARILLON_URL: node.url });
    const nobody = await carillon(['job', 'list'], { CARILLON_URL: 'http://127.0.0.1:1' });

    const all = [...ends.flat(), { ended: broken, message: /not JSON/ }, { ended: flag, message: /unknown option/ }];
    for (const { ended, message } of [...all, { ended: nobody, message: /nothing listens there/ }]) {
      assert.match(ended.error, message);
      assert.doesNotMatch(ended.error, /^\s+at /m);
      assert.deepEqual([ended.code, ended.out], [125, ''], ended.error);
    }
  });

  test('queries and addresses that make no sense are 4xx', async () => {
    await node.call('POST', '/v1/jobs', { body: { ...GOOD, name: 'asked' } });

    const paths = [
      '/v1/jobs?_start=-1',
      '/v1/jobs/asked/fires?from=yesterday',
      '/v1/jobs/asked/fires?limit=0',
      '/v1/jobs/asked/fires?limit=1001',
      '/v1/jobs/asked/executions?output_size_limit=x',
      '/v1/jobs/%ff',
      '/v1/jobs/__proto__',
      '/v1/jobs/asked/runs/constructor',
      '/v1/nothing',
    ];
    const replies = await Promise.all(paths.map((path) => node.call('GET', path)));
    const timeout = await node.call('POST', '/v1/jobs/asked/run?timeout=soon');
    await node.call('DELETE', '/v1/jobs/asked');

    for (const [index, reply] of [...replies, timeout].entries()) {
      assert.ok(reply.status === 400 || reply.status === 404, `${paths[index]}: ${reply.status} ${reply.text}`);
      assert.equal(reply.body['status'], reply.status);
    }
  });

  test('a thousand bad bodies, some of ten megabytes, leave the memory of the node as it was', async () => {
    const bodies = CASES.map(({ job }) => (typeof job === 'string' ? job : JSON.stringify({ ...GOOD, ...job })));
    const small = bodies.filter((body) => body.length < MIB);
    const large = bodies.filter((body) => body.length >= MIB);
    const round = async () => {
      for (let count = 0; count < 10; count += 1) {
        await Promise.all(small.map((body) => node.call('POST', '/v1/jobs', { body })));
      }
      for (const body of large) await node.call('POST', '/v1/jobs', { body });
    };
    await round();
    const beforeBytes = await residentBytes(node.pid);

    await round();
    await round();
    await round();
    const afterBytes = await residentBytes(node.pid);
    const stored = await node.call('GET', '/v1/jobs');
    const metrics = await node.call('GET', '/metrics');

    assert.ok(afterBytes - beforeBytes < 50 * MIB, `it grew from ${beforeBytes} to ${afterBytes} bytes`);
    assert.deepEqual(stored.items, []);
    assert.doesNotMatch(metrics.text, /carillon_requests_total\{[^}]*status="5/);
  });
});

function assertProblem(problem: Readonly<Record<string, unknown>>, status: number, field: string | null): void {
  const { status: own, detail, errors } = problem;
  assert.equal(own, status);
  assert.ok(typeof detail === 'string' && detail.length > 0 && detail.length <= 1_001);
  if (field === null) return;
  const faults = errors as { field: string; value: unknown; allowed: string; message: string }[];
  const fault = faults.find((candidate) => candidate.field === field);
  assert.ok(fault !== undefined, `${field} is named in ${JSON.stringify(problem)}`);
  assert.ok('value' in fault && fault.allowed.length > 0 && fault.message.length > 0, JSON.stringify(fault));
}

async function residentBytes(pid: number): Promise<number> {
  return 4_096 * Number((await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1]);
}
