import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INPUT_BYTES_MAX } from '../../src/jobs/function-options.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { Job } from '../../src/jobs/job.ts';
import { checkJob, type JobCheckContext, zoneOf } from '../../src/jobs/job-check.ts';

const context: JobCheckContext = {
  zones: createIntlZones(),
  defaultZone: 'UTC',
  executors: ['shell', 'http', 'function'],
  nodes: [true, true, true, false, false].map((isServer) => ({ isServer, tags: { my_role: 'web' } })),
  defaultTargets: 'all',
  nowMs: Date.UTC(2026, 0, 1),
};

function job(changes: Partial<Job> = {}): Job {
  return {
    name: 'job_name',
    displayName: '',
    timezone: '',
    schedule: '@every 2m',
    owner: '',
    ownerEmail: '',
    disabled: false,
    tags: { my_role: 'web:1' },
    metadata: null,
    retries: 0,
    parentJob: '',
    processors: null,
    concurrency: 'allow',
    executor: 'shell',
    executorConfig: { command: '/bin/true', shell: 'true' },
    ephemeral: false,
    startsAtMs: null,
    expiresAtMs: null,
    targets: null,
    onLost: 'fail',
    startWithinMs: null,
    keepRuns: 100,
    ...changes,
  };
}

function faultyFields(changes: Partial<Job>): string[] {
  return checkJob(job(changes), context).faults.map((fault) => fault.field);
}

test('a good job has no faults, no warnings, and its schedule', () => {
  assert.deepEqual(checkJob(job(), context), {
    faults: [],
    warnings: [],
    schedule: { type: 'every', intervalMs: 120_000 },
  });
});

test('each fault names its field as JSON does', () => {
  const shell = (options: Record<string, string>): Partial<Job> => ({ executorConfig: { command: 'x', ...options } });
  const http = (options: Record<string, string>): Partial<Job> => ({ executor: 'http', executorConfig: options });
  const table: readonly (readonly [Partial<Job>, readonly string[]])[] = [
    [{ name: 'Job' }, ['name']],
    [{ name: '' }, ['name']],
    [{ name: 'straße' }, []],
    [{ schedule: '' }, ['schedule']],
    [{ schedule: '61 * * * *' }, ['schedule']],
    [{ schedule: '', parentJob: 'other' }, []],
    [{ schedule: 'nonsense', parentJob: 'other' }, ['schedule']],
    [{ parentJob: 'job_name' }, ['parent_job']],
    [{ parentJob: 'No' }, ['parent_job']],
    [{ timezone: 'Europe/Berlin' }, []],
    [{ timezone: 'Mars/Olympus' }, ['timezone']],
    [{ timezone: 'Mars/Olympus', schedule: '0 0 * * * *' }, ['timezone']],
    [{ schedule: 'TZ=Mars/Olympus 0 0 * * * *' }, ['schedule']],
    [{ schedule: 'TZ=Asia/Tokyo 0 0 * * * *' }, []],
    [{ tags: { my_role: 'web:0' } }, ['tags.my_role']],
    [{ retries: -1 }, ['retries']],
    [{ retries: 1_001 }, ['retries']],
    [{ retries: 1.5 }, ['retries']],
    [{ keepRuns: 0 }, ['keep_runs']],
    [{ keepRuns: 100_001 }, ['keep_runs']],
    [{ targets: 0 }, ['targets']],
    [{ targets: 1_001 }, ['targets']],
    [{ targets: 'all' }, []],
    [{ startWithinMs: -1 }, ['start_within']],
    [{ startsAtMs: 5, expiresAtMs: 5 }, ['expires_at']],
    [{ startsAtMs: 5, expiresAtMs: 6 }, []],
    [{ executor: '' }, ['executor']],
    [{ executor: 'kafka' }, ['executor']],
    [{ executorConfig: null }, ['executor_config.command']],
    [{ executorConfig: { command: 5 } }, ['executor_config.command']],
    [{ executorConfig: { command: 'x', env: ['A=1'] } }, ['executor_config.env']],
    [shell({ timeout: '90s', mem_limit: '512MB' }), []],
    [shell({ timeout: '90' }), ['executor_config.timeout']],
    [shell({ timeout: '-5s' }), ['executor_config.timeout']],
    [shell({ mem_limit: 'much' }), ['executor_config.mem_limit']],
    [shell({ timeout: 'x', mem_limit: 'y' }), ['executor_config.timeout', 'executor_config.mem_limit']],
    [http({}), ['executor_config.method', 'executor_config.url']],
    [http({ method: 'GET', url: 'http://localhost:1/' }), []],
    [http({ method: 'G ET', url: 'ftp://x' }), ['executor_config.method', 'executor_config.url']],
    [http({ method: 'GET', url: 'http://', timeout: '1s' }), ['executor_config.url', 'executor_config.timeout']],
    [{ executor: 'function', executorConfig: { module: 'a.js', input: { deep: [1, null] } } }, []],
    [{ executor: 'function', executorConfig: { input: 5 } }, ['executor_config.module']],
    [
      { executor: 'function', executorConfig: { module: 'a.js', input: 'x'.repeat(INPUT_BYTES_MAX) } },
      ['executor_config.input'],
    ],
    [{ executor: 'function', executorConfig: { module: 'a.js', input: 'x'.repeat(INPUT_BYTES_MAX - 2) } }, []],
  ];
  for (const [changes, expected] of table) {
    assert.deepEqual(faultyFields(changes), expected, JSON.stringify(changes).slice(0, 200));
  }
});

test('all faults come at once, and then no warnings', () => {
  const check = checkJob(job({ name: 'X', schedule: '?', tags: null, retries: -1, executor: 'x' }), context);

  assert.deepEqual(
    check.faults.map((fault) => fault.field),
    ['name', 'schedule', 'retries', 'executor'],
  );
  assert.deepEqual(check.warnings, []);
  assert.equal(check.schedule, null);
});

test('a job that runs on all nodes is warned about', () => {
  const expected = ['no tags: runs on all 5 nodes, 3 of them servers'];

  assert.deepEqual(checkJob(job({ tags: null }), context).warnings, expected);
  assert.deepEqual(checkJob(job({ tags: {} }), context).warnings, expected);
  assert.deepEqual(checkJob(job({ tags: null, targets: 1 }), context).warnings, []);
  assert.deepEqual(checkJob(job({ tags: null }), { ...context, defaultTargets: 1 }).warnings, []);
});

test('a job that no live node can run is warned about', () => {
  const missed = 'fires are missed (no-target) unless one comes within start_within';
  const tags = { my_role: 'web:1', dc: 'dc1' };
  const expected = [`no node that is alive now matches the tags my_role=web, dc=dc1: ${missed}`];

  assert.deepEqual(checkJob(job({ tags }), context).warnings, expected);
  assert.deepEqual(checkJob(job({ tags }), { ...context, nodes: null }).warnings, []);
  assert.deepEqual(checkJob(job({ tags: null }), { ...context, nodes: [] }).warnings, [
    `no node that is alive now has slots: ${missed}`,
  ]);
  const long = checkJob(job({ tags: { dc: 'x'.repeat(5_000) } }), context).warnings.join();
  assert.ok(long.length < 400, long);
});

test('processors are kept with a warning', () => {
  const { warnings } = checkJob(job({ processors: { log: { forward: 'true' } } }), context);

  assert.deepEqual(warnings, ['processors are stored and not applied: Carillon keeps the outputs itself']);
});

test('a schedule that never fires is kept with a warning', () => {
  const table: readonly (readonly [Partial<Job>, RegExp | undefined])[] = [
    [{ schedule: '0 0 31 2 *' }, /'0 0 31 2 \*' never fires$/],
    [{ schedule: '@at 2001-01-01T00:00:00Z' }, /never fires$/],
    [{ schedule: '@yearly', expiresAtMs: Date.UTC(2026, 5, 1) }, /never fires before expires_at$/],
    [{ schedule: '@yearly' }, undefined],
    [{ schedule: '@at 2030-01-01T00:00:00Z' }, undefined],
    [{ schedule: '@at 2030-01-01T00:00:00Z', startsAtMs: Date.UTC(2030, 0, 1) }, undefined],
    [{ schedule: '@manually' }, undefined],
  ];
  for (const [changes, expected] of table) {
    const { faults, warnings } = checkJob(job(changes), context);

    assert.deepEqual(faults, []);
    if (expected === undefined) assert.deepEqual(warnings, [], changes.schedule);
    else assert.match(warnings.join(), expected);
  }
});

test('options that the executor does not have are kept with a warning', () => {
  const { faults, warnings } = checkJob(job({ executorConfig: { command: 'true', timout: '5s' } }), context);

  assert.deepEqual(faults, []);
  assert.deepEqual(warnings, ['the shell executor ignores in executor_config: timout']);
});

test('the zone is that of the prefix, else of the job, else of the cluster', () => {
  const prefixed = checkJob(job({ schedule: 'TZ=Asia/Tokyo @daily' }), context).schedule;
  const plain = checkJob(job({ schedule: '@daily' }), context).schedule;
  assert(prefixed !== null && plain !== null);

  assert.equal(zoneOf(prefixed, 'Europe/Berlin', 'UTC'), 'Asia/Tokyo');
  assert.equal(zoneOf(plain, 'Europe/Berlin', 'UTC'), 'Europe/Berlin');
  assert.equal(zoneOf(plain, '', 'America/New_York'), 'America/New_York');
});
