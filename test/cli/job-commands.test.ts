import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { executionView, GROUP, jobView, NOW_MS, runView } from '../api/fake-backend.ts';
import { carillon, serve } from './cli.ts';

const DOCUMENT = '{"name":"a","schedule":"@hourly","command":"true","tags":{"my_role":"web:1"}}';

test('put takes a document from standard input and says when it fires next', async () => {
  const { cli, backend } = await serve();

  const { code, out, error } = await cli(['job', 'put', '-'], DOCUMENT);

  assert.deepEqual([code, error], [0, '']);
  assert.match(out, /^job a is stored, next .*\(2026-11-25 12:02:00Z\)\n$/);
  assert.equal(backend.stored.get('a')?.job.schedule, '@hourly');
});

test('put takes a file, flags change it, and warnings go to stderr', async () => {
  const { cli, backend } = await serve();
  const directory = await mkdtemp(join(tmpdir(), 'carillon-cli-'));
  after(() => rm(directory, { recursive: true }));
  const file = join(directory, 'job.json');
  await writeFile(file, '{"name":"a","schedule":"@hourly","command":"true"}');

  const { code, error } = await cli([
    'job',
    'put',
    file,
    '--schedule',
    '@daily',
    '--retries',
    '2',
    '--metadata',
    'team=core',
  ]);

  assert.equal(code, 0);
  assert.match(error, /^warning: no tags: runs on all 2 nodes/);
  const job = backend.stored.get('a')?.job;
  assert.deepEqual([job?.schedule, job?.retries, job?.metadata], ['@daily', 2, { team: 'core' }]);
});

test('put by flags alone', async () => {
  const { cli, backend } = await serve();
  const flags =
    '--name b --schedule @manually --command date --tag my_role=web:1 --tag zone=a --targets all --keep-runs 5 --disabled';

  const { code } = await cli(['job', 'put', ...flags.split(' ')]);

  const job = backend.stored.get('b')?.job;
  assert.equal(code, 0);
  assert.deepEqual(
    [job?.tags, job?.targets, job?.keepRuns, job?.disabled],
    [{ my_role: 'web:1', zone: 'a' }, 'all', 5, true],
  );
});

for (const [what, args, input, expected] of [
  [
    'an unknown field',
    ['job', 'put', '-'],
    '{"name":"a","shedule":"@hourly"}',
    /unknown field shedule; fields of a job: name, /,
  ],
  [
    'a bad schedule',
    ['job', 'put', '-'],
    '{"name":"a","schedule":"61 * * * *","command":"x"}',
    /schedule "?61 \* \* \* \*/,
  ],
  ['broken JSON', ['job', 'put', '-'], '{"name"', /job file - is not JSON/],
  ['a list', ['job', 'put', '-'], '[]', /a job is a JSON object/],
  ['no job', ['job', 'put'], '', /no job: name a file/],
  ['a missing file', ['job', 'put', 'nowhere.json'], '', /job file nowhere.json: there is no such file/],
  ['a tag without a value', ['job', 'put', '--name', 'a', '--tag', 'web'], '', /--tag web: write name=value/],
  [
    'a count that is no number',
    ['job', 'put', '--name', 'a', '--retries', 'two'],
    '',
    /--retries two: write a whole number/,
  ],
  ['an unknown job', ['job', 'get', 'nobody'], '', /there is no job 'nobody'/],
  [
    'a limit that is no number',
    ['job', 'list', '--limit', 'abc'],
    '',
    /^carillon: --limit abc: write a whole number\n$/,
  ],
  ['a limit of executions', ['job', 'executions', 'a', '--limit', 'x'], '', /--limit x: write a whole number/],
  ['a limit of fires', ['job', 'fires', 'a', '--limit', '-1'], '', /--limit -1: write a whole number/],
  ['a start that is no number', ['job', 'list', '--start', 'b'], '', /--start b: write a whole number/],
  ['an unknown flag', ['job', 'list', '--colour'], '', /unknown option '--colour'/],
  ['a missing name', ['job', 'run'], '', /missing required argument 'name'/],
  ['an unknown command', ['job', 'paint'], '', /unknown command 'paint'/],
  ['a bad timeout', ['job', 'run', 'a', '--timeout', 'soon'], '', /--timeout soon: write a duration/],
] as const) {
  test(`${what} ends with 125 and a line that says so`, async () => {
    const { cli, backend } = await serve();

    const { code, out, error } = await cli(args, input);

    assert.equal(code, 125, error);
    assert.match(error, expected);
    assert.doesNotMatch(error, /\n {4}at /, 'no stack trace');
    assert.equal(out, '');
    assert.equal(backend.submissions.length, 0);
  });
}

test('a document with several mistakes shows them all', async () => {
  const { cli } = await serve();

  const { code, error } = await cli(['job', 'put', '-'], '{"name":"A","schedule":"@hourly","retries":-1,"timezone":7}');

  assert.equal(code, 125);
  assert.match(error, /timezone/);
  assert.match(error, /retries/);
});

test('list shows a table, and JSON as the server wrote it', async () => {
  const { cli, backend } = await serve();
  const view = { ...jobView('a'), status: 'failed' as const, lastErrorMs: NOW_MS, errorCount: 2 };
  backend.stored.set('a', view);
  backend.stored.set('long-name', {
    ...jobView('long-name'),
    nextMs: null,
    job: { ...jobView('long-name').job, disabled: true },
  });

  const table = await cli([
    'job',
    'list',
    '--search',
    'a',
    '--status',
    'failed',
    '--metadata',
    'x=y',
    '--sort',
    'next',
    '--descending',
  ]);
  const json = await cli(['job', 'list', '--json']);

  const [header, first, second] = table.out.split('\n');
  assert.match(header ?? '', /^NAME {7}SCHEDULE {3}STATUS {4}NEXT +LAST +OK {2}FAILED$/);
  assert.match(
    first ?? '',
    /^a {10}@every 2m {2}failed .*\(2026-11-25 12:02:00Z\) .*\(2026-11-25 12:00:00Z\) {2}0 {3}2$/,
  );
  assert.match(second ?? '', /^long-name {2}@every 2m {2}disabled {2}- /);
  assert.equal((JSON.parse(json.out) as unknown[]).length, 2);
});

test('list passes its filters on', async () => {
  const { cli, backend } = await serve();

  await cli(['job', 'list', '--enabled', '--metadata', 'x=y', '--start', '5', '--limit', '7', '--search', 'q']);

  const { metadata, ...filter } = backend.filter ?? { metadata: {} };
  assert.deepEqual({ ...metadata }, { x: 'y' });
  const expected = { text: 'q', status: null, disabled: false, sort: 'name', isDescending: false, start: 5, end: 12 };
  assert.deepEqual(filter, expected);
});

test('get, toggle and delete say what became of the job', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));

  const got = await cli(['job', 'get', 'a']);
  const toggled = await cli(['job', 'toggle', 'a']);
  const deleted = await cli(['job', 'delete', 'a']);

  assert.match(got.out, /^schedule +@every 2m$/m);
  assert.deepEqual([toggled.code, toggled.out], [0, 'job a is disabled\n']);
  assert.deepEqual([deleted.code, deleted.out], [0, 'job a is deleted\n']);
});

for (const [text, input] of [
  ['{"rows": 4}', { rows: 4 }],
  ['[1, "a"]', [1, 'a']],
  ['4', 4],
  ['four rows', 'four rows'],
] as const) {
  test(`put takes the input of a function, ${text}, as ${JSON.stringify(input)}`, async () => {
    const { cli, backend } = await serve();
    const own = ['--executor-config', 'module=[a].mjs', '--executor-config', `input=${text}`];

    const put = '--name f --schedule @hourly --executor function --targets 1'.split(' ');
    const { code, error } = await cli(['job', 'put', ...put, ...own]);

    assert.equal(code, 0, error);
    assert.deepEqual(backend.stored.get('f')?.job.executorConfig, { module: '[a].mjs', input });
  });
}

test('an output that is cut begins with a whole line, and how much is missing goes to stderr', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.shape = { id: 'cut-0-1', outputTail: 'f a line\nwhole\nlast\n', outputBytes: 300_000 };

  const run = await cli(['job', 'run', 'a']);
  const listed = await cli(['job', 'executions', 'a', '--output']);
  const one = await cli(['job', 'executions', 'a', 'cut-0-1']);
  const table = await cli(['job', 'executions', 'a']);

  assert.deepEqual(
    [run.code, run.out, run.error],
    [0, 'whole\nlast\n', 'node0: output cut: the last 11 of 300000 bytes\n'],
  );
  for (const { out, error } of [listed, one]) {
    assert.match(out, /\nwhole\nlast\n$/);
    assert.doesNotMatch(out, /f a line/);
    assert.equal(error, 'cut-0-1: output cut: the last 11 of 300000 bytes\n');
  }
  assert.equal(table.error, '');
});

test('what a function returned is a line below its output', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.shape = { id: 'f-0-1', outputTail: 'read', result: '{"rows":42}' };

  const run = await cli(['job', 'run', 'a']);
  const listed = await cli(['job', 'executions', 'a', '--output']);
  const one = await cli(['job', 'executions', 'a', 'f-0-1']);
  const table = await cli(['job', 'executions', 'a']);

  assert.equal(run.out, 'read\nresult {"rows":42}\n');
  assert.match(listed.out, /\nf-0-1\nread\nresult \{"rows":42\}\n$/);
  assert.match(one.out, /\nread\nresult \{"rows":42\}\n$/);
  assert.doesNotMatch(table.out, /result/);
});

test('run says at which attempt a job succeeded that failed before', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.shape = { attempt: 3 };

  const { code, error } = await cli(['job', 'run', 'a']);

  assert.deepEqual([code, error], [0, 'node0: succeeded at attempt 3\n']);
});

test('Ctrl-C in run ends the command with 130, and says that the run goes on', async () => {
  const { backend, url } = await serve();
  backend.stored.set('a', jobView('a'));
  let end = () => {};
  backend.gate = new Promise((resolve) => {
    end = resolve;
  });
  const submit = backend.submit.bind(backend);
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    backend.submit = (...args) => {
      resolve('SIGINT');
      return submit(...args);
    };
  });

  const { code, out, error } = await carillon(['job', 'run', 'a', '--url', url], { signal });
  end();

  assert.deepEqual([code, out], [130, '']);
  assert.equal(
    error.trim(),
    `carillon: the run of job a goes on, if it had begun; look at it with: carillon job executions a --url ${url}`,
  );
});

test('run prints the output as it is where one node ran it', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.shape = { outputTail: 'one\ntwo' };

  const { code, out, error } = await cli(['job', 'run', 'a']);

  assert.deepEqual([code, out, error], [0, 'one\ntwo\n', '']);
});

test('run prints the node in front of each line where several ran it', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.targets = 2;
  backend.shape = { outputTail: 'one\ntwo\n' };

  const { out } = await cli(['job', 'run', 'a']);

  assert.equal(out, 'node0 | one\nnode0 | two\nnode1 | one\nnode1 | two\n');
});

for (const [what, shape, expected] of [
  ['its exit code', { state: 'failed', exitCode: 7 }, 7],
  ['128+n for a signal', { state: 'failed', exitCode: null, signal: 'SIGTERM' }, 143],
  ['124 when it timed out', { state: 'timed-out', exitCode: null, signal: 'SIGKILL' }, 124],
  ['130 when it was cancelled', { state: 'cancelled', exitCode: null }, 130],
  ['1 when it failed without a code', { state: 'lost', exitCode: null }, 1],
] as const) {
  test(`run ends with ${what}`, async () => {
    const { cli, backend } = await serve();
    backend.stored.set('a', jobView('a'));
    backend.shape = shape;

    const { code, out, error } = await cli(['job', 'run', 'a']);

    assert.deepEqual([code, out], [expected, 'hello\n']);
    assert.match(error, new RegExp(`^node0: ${shape.state}`));
  });
}

test('run whose output nobody reads any more ends with the exit code of the job all the same', async () => {
  const { url, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.shape = { state: 'failed', exitCode: 7, outputTail: 'x'.repeat(256_000) };

  const text = await carillon(['job', 'run', 'a'], { env: { CARILLON_URL: url }, isDeaf: true });
  const json = await carillon(['job', 'run', 'a', '--json'], { env: { CARILLON_URL: url }, isDeaf: true });

  assert.deepEqual([text.code, json.code], [7, 7]);
});

test('run --no-wait prints the id of the run, --json the answer with exact numbers', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));

  const quick = await cli(['job', 'run', 'a', '--no-wait']);
  const json = await cli(['job', 'run', 'a', '--json']);

  assert.deepEqual([quick.code, quick.out], [0, '0-2a-hrun0\n']);
  assert.match(json.out, new RegExp(`"group":${GROUP},`));
});

test('run that outlasts its timeout ends with 125 and says that it goes on', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  backend.waitAnswer = { type: 'failed', code: 'deadline', message: 'not ended' };

  const { code, error } = await cli(['job', 'run', 'a', '--timeout', '1s']);

  assert.equal(code, 125);
  assert.match(error, /^carillon: run 0-2a-hrun0 of job a has not ended within 1s; it goes on\n$/);
});

test('executions are a table, with their output on demand', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  const open = executionView('0-2a-s2-0-1', {
    state: 'assigned',
    startedMs: null,
    finishedMs: null,
    exitCode: null,
    outputTail: '',
  });
  const views = [open, executionView('0-2a-s1-0-1', { exitCode: 0 })];
  backend.finished.set('x', { run: runView('x'), executions: views });

  const table = await cli(['job', 'executions', 'a']);
  const outputs = await cli(['job', 'executions', 'a', '--output']);
  const one = await cli(['job', 'executions', 'a', '0-2a-s1-0-1']);
  const limited = await cli(['job', 'executions', 'a', '--limit', '1']);

  assert.match(table.out, /^0-2a-s2-0-1 {2}alpha {2}1 {8}running {4}- /m);
  assert.match(table.out, /^0-2a-s1-0-1 {2}alpha {2}1 {8}succeeded {2}0 .* 1.4s$/m);
  assert.doesNotMatch(table.out, /hello/);
  assert.match(outputs.out, /\n0-2a-s1-0-1\nhello\n/);
  assert.match(one.out, /hello\n$/);
  assert.match(limited.out, /1 of 2 executions/);
});

test('fires are a table of instants and stretches', async () => {
  const { cli, backend } = await serve();
  backend.stored.set('a', jobView('a'));
  const base = { firstMs: NOW_MS, lastMs: NOW_MS, count: 1, run: null, latenessMs: null, merged: 0, index: 7 };
  backend.fireItems = [
    { ...base, outcome: 'ran', reason: '', run: '0-2a-s5', latenessMs: 4 },
    { ...base, lastMs: NOW_MS + 60_000, count: 61, outcome: 'missed', reason: 'no-target' },
  ];

  const { out } = await cli(['job', 'fires', 'a', '--from', '2026-11-25T00:00:00Z']);

  assert.match(out, /ran +- +4ms +0-2a-s5$/m);
  assert.match(out, /\(2026-11-25 12:01:00Z\) +61 +missed +no-target +- +-$/m);
});

test('members, leader and health', async () => {
  const { cli, backend } = await serve();

  const members = await cli(['cluster', 'members']);
  const leader = await cli(['cluster', 'leader']);
  const healthy = await cli(['health']);
  backend.isHealthy = false;
  const unhealthy = await cli(['health']);

  assert.match(members.out, /^alpha {2}leader {2}alive {3}1\/16 {3}my_role=web {2}10\.0\.0\.1:8080 {2}0\.1\.0$/m);
  assert.match(members.out, /^beta {3}agent {3}failed /m);
  assert.equal(leader.out, 'alpha 10.0.0.1:8080\n');
  assert.deepEqual([healthy.code, healthy.out], [0, 'healthy\n']);
  assert.deepEqual([unhealthy.code, unhealthy.out], [1, 'unhealthy\n  leader failed: no leader for 6 s\n']);
});

for (const [url, expected] of [
  ['http://127.0.0.1:9', /^carillon: cannot reach http:\/\/127\.0\.0\.1:9: nothing listens there; .*CARILLON_URL\n$/],
  ['nats://secret@127.0.0.1:9', /^carillon: cannot reach nats:\/\/127\.0\.0\.1:9: .*CARILLON_URL\n$/],
  ['ftp://x', /^carillon: --url ftp:\/\/x: write http:\/\/host:8080 or nats:\/\/host:4222\n$/],
  ['nats://', /^carillon: 'nats:\/\/' is not an address of NATS/],
] as const) {
  test(`a server that cannot be had at ${url} is one clear line and 125`, async () => {
    const { code, error } = await carillon(['job', 'list', '--url', url]);

    assert.equal(code, 125);
    assert.match(error, expected);
  });
}

test('help shows examples and exit codes', async () => {
  const run = await carillon(['job', 'run', '--help']);
  const put = await carillon(['job', 'put', '--help']);

  assert.deepEqual([run.code, put.code], [0, 0]);
  assert.match(run.out, /124 timed out/);
  assert.match(put.out, /carillon job put backup\.json/);
});
