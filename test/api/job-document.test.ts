import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readJobDocument, refuseUnknownFields } from '../../src/api/job-document.ts';
import { writeJob } from '../../src/api/job-json.ts';
import type { CodedError } from '../../src/base/errors.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { Json } from '../../src/jobs/job.ts';
import { jobView, NOW_MS } from './fake-backend.ts';

const CONTEXT = {
  zones: createIntlZones(),
  defaultZone: 'UTC',
  executors: ['shell', 'http', 'function'],
  nodes: null,
  defaultTargets: 'all',
  nowMs: NOW_MS,
} as const;

const GOOD = {
  name: 'a',
  schedule: '@hourly',
  executor: 'shell',
  executor_config: { command: 'true' },
  tags: { a: 'b' },
};

function read(changes: Record<string, unknown>) {
  return readJobDocument({ ...GOOD, ...changes } as Json, CONTEXT);
}

for (const [what, changes, executor, config] of [
  ['a command', { executor: null, executor_config: null, command: 'x' }, 'shell', { command: 'x', shell: 'true' }],
  ['a command beside shell', { executor_config: null, command: 'x' }, 'shell', { command: 'x', shell: 'true' }],
  [
    'a command beside options',
    { executor_config: { cwd: '/' }, command: 'x' },
    'shell',
    { cwd: '/', command: 'x', shell: 'true' },
  ],
  ['a config without shell', {}, 'shell', { command: 'true' }],
  [
    'a function with input',
    { executor: 'function', executor_config: { module: 'm.js', input: { rows: [1, null] } } },
    'function',
    { module: 'm.js', input: { rows: [1, null] } },
  ],
] as const) {
  test(`${what} becomes ${executor} ${JSON.stringify(config)}`, () => {
    const { job } = read(changes);

    assert.equal(job.executor, executor);
    assert.deepEqual(job.executorConfig, config);
  });
}

test('empty maps, empty texts and the zero time are none', () => {
  const { job } = read({
    tags: {},
    metadata: {},
    processors: {},
    starts_at: '',
    expires_at: '0001-01-01T00:00:00Z',
    concurrency: '',
    on_lost: '',
  });

  assert.deepEqual(
    [job.tags, job.metadata, job.processors, job.startsAtMs, job.expiresAtMs],
    [null, null, null, null, null],
  );
  assert.deepEqual([job.concurrency, job.onLost], ['allow', 'fail']);
});

test('a child needs no schedule', () => {
  const { job } = read({ schedule: null, parent_job: 'b' });

  assert.deepEqual([job.schedule, job.parentJob], ['', 'b']);
});

test('a line that never fires is kept with a warning', () => {
  const { warnings } = read({ schedule: '0 0 31 2 *' });

  assert.match(warnings.join(), /never fires/);
});

for (const [changes, field, allowed] of [
  [{ name: 7 }, 'name', 'a string'],
  [{ name: 'Upper' }, 'name', /lower-case/],
  [{ name: null }, 'name', /lower-case/],
  [{ schedule: ['@hourly'] }, 'schedule', 'a string'],
  [{ schedule: '61 * * * *' }, 'schedule', /./],
  [{ schedule: '@sometimes' }, 'schedule', /./],
  [{ schedule: null }, 'schedule', /./],
  [{ timezone: 'Mars/Olympus' }, 'timezone', /IANA/],
  [{ disabled: 'yes' }, 'disabled', 'true or false'],
  [{ retries: '3' }, 'retries', 'a whole number from 0 to 1000'],
  [{ retries: -1 }, 'retries', 'a whole number from 0 to 1000'],
  [{ retries: 1.5 }, 'retries', 'a whole number from 0 to 1000'],
  [{ tags: ['web'] }, 'tags', 'an object whose values are strings'],
  [{ tags: { web: 1 } }, 'tags.web', 'a string'],
  [{ tags: { web: 'x:0' } }, 'tags.web', /./],
  [{ metadata: { a: null } }, 'metadata.a', 'a string'],
  [{ concurrency: 'sometimes' }, 'concurrency', 'allow, forbid'],
  [{ on_lost: 'cry' }, 'on_lost', 'fail, retry'],
  [{ targets: 'most' }, 'targets', 'all, or a whole number from 1 to 1000'],
  [{ targets: 0 }, 'targets', /1/],
  [{ keep_runs: 0 }, 'keep_runs', /1/],
  [{ start_within: 'soon' }, 'start_within', /duration/],
  [{ starts_at: 'tomorrow' }, 'starts_at', /RFC 3339/],
  [{ expires_at: 7 }, 'expires_at', 'a string'],
  [{ executor: 'teleport' }, 'executor', /shell/],
  [{ executor_config: { command: 7 } }, 'executor_config.command', 'a string'],
  [{ executor_config: null }, 'executor_config.command', /./],
  [{ executor: 'http', command: 'x' }, 'executor', 'shell, or none'],
  [{ command: 'y' }, 'executor_config.command', 'the same command, or none'],
  [{ command: 'true', executor_config: { shell: 'false' } }, 'executor_config.shell', 'true, or none'],
  [{ processors: { log: { forward: true } } }, 'processors.log.forward', 'a string'],
] as const) {
  test(`${JSON.stringify(changes)} is a fault of ${field}`, () => {
    assert.throws(
      () => read(changes),
      (error: CodedError) => {
        const fault = error.faults.find((found) => found.field === field);
        assert.equal(error.code, 'invalid');
        assert.ok(fault !== undefined, JSON.stringify(error.faults));
        if (typeof allowed === 'string') assert.equal(fault.allowed, allowed);
        else assert.match(fault.allowed, allowed);
        assert.ok(error.message.includes(field), error.message);
        return true;
      },
    );
  });
}

test('all faults come at once, each value shortened', () => {
  assert.throws(
    () => read({ name: 'X'.repeat(5_000), timezone: 'Nowhere', retries: 5_000 }),
    (error: CodedError) => {
      assert.deepEqual(error.faults.map((fault) => fault.field).sort(), ['name', 'retries', 'timezone']);
      assert.ok(JSON.stringify(error.faults).length < 1_000);
      return true;
    },
  );
});

test('a field of the wrong shape hides no fault of the others', () => {
  const table: readonly (readonly [Record<string, unknown>, readonly string[]])[] = [
    [
      { owner: 5, retries: 1_001, executor_config: { comand: 'x', timeout: 'long' } },
      ['owner', 'executor_config.command', 'executor_config.timeout', 'retries'],
    ],
    [{ retries: '3', schedule: '61 * * * *', start_within: '10' }, ['retries', 'schedule', 'start_within']],
    [{ tags: { web: 1 }, name: 'Upper' }, ['name', 'tags.web']],
    // What depends on a field that was left out is not judged.
    [{ parent_job: 5, schedule: null }, ['parent_job']],
    [{ command: ['x'], executor: null, executor_config: null }, ['command']],
    [{ executor: 1, executor_config: { comand: 'x' }, timezone: 'Nowhere' }, ['executor', 'timezone']],
  ];
  for (const [changes, expected] of table) {
    assert.throws(
      () => read(changes),
      (error: CodedError) => {
        assert.deepEqual(error.faults.map((fault) => fault.field).sort(), [...expected].sort());
        return true;
      },
    );
  }
});

for (const [changes, message] of [
  [{ name: undefined }, /^job: name: is missing; allowed: lower-case/],
  [{ name: '' }, /^job: name: is missing; allowed: lower-case/],
  [{ start_within: '10' }, /^job a: start_within "10": is not a duration; allowed: a duration of at least 0s, such as/],
  [{ start_within: '-5s' }, /^job a: start_within "-5s": is below 0s; allowed: /],
  [{ retries: '3' }, /^job a: retries "3": is a string; allowed: a whole number from 0 to 1000$/],
  [{ executor: null }, /^job a: executor: an executor must be named; allowed: shell, http, function$/],
] as const) {
  test(`${JSON.stringify(changes)} is refused in words that say what to do`, () => {
    assert.throws(() => read(changes), { message });
  });
}

test('a job that is shown reads back as the same job', () => {
  const full = read({
    displayname: 'A',
    timezone: 'Europe/Berlin',
    targets: 3,
    start_within: '1m30s',
    on_lost: 'retry',
    starts_at: '2026-12-01T00:00:00.5Z',
    processors: { log: { forward: 'true' } },
  }).job;

  const again = readJobDocument(writeJob({ ...jobView('a'), job: full }) as Json, CONTEXT);

  assert.deepEqual(again.job, full);
  assert.deepEqual(again.warnings, ['processors are stored and not applied: Carillon keeps the outputs itself']);
});

test('the command line refuses what HTTP only warns of', () => {
  assert.throws(() => refuseUnknownFields({ name: 'a', comand: 'x' }), /unknown field comand/);
  refuseUnknownFields({ ...GOOD, status: 'success', next: null });
});
