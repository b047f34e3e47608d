import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { carillon, type Ended, MAIN_COMMAND, startDevNode, temporaryDirectory, until } from '../helpers/dev-node.ts';

/** CONTRACT: how a node ends that does not start. */
const SETTINGS = 2;
const ADDRESS_IN_USE = 3;
const FOREIGN_DIRECTORY = 4;
const NEWER_DIRECTORY = 5;
const DIRECTORY_UNUSABLE = 6;
const STOP_MS_MAX = 10_000;

test('a port in use ends the start, and leaves the directory ready for the next one', async () => {
  const directory = await temporaryDirectory();
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };

  const refused = await dev('--data-dir', directory, '--http-addr', `127.0.0.1:${port}`);
  server.close();
  const node = await startDevNode({ directory });
  await node.stop();

  assertRefused(refused, ADDRESS_IN_USE, new RegExp(`127\\.0\\.0\\.1:${port} is in use.*--http-addr`));
});

test('a directory of another node, another cluster or a newer format is refused and left as it is', async () => {
  const directory = await temporaryDirectory();
  await (await startDevNode({ directory })).stop();
  const file = join(directory, 'node.json');
  const identity = await readFile(file, 'utf8');

  const otherNode = await dev('--data-dir', directory, '--node-name', 'second');
  const otherCluster = await dev('--data-dir', directory, '--cluster', 'prod');
  const untouched = await readFile(file, 'utf8');
  await writeFile(file, identity.replace(/"format": [0-9]+/, '"format": 99'));
  const newer = await dev('--data-dir', directory);
  await writeFile(file, identity);
  const again = await startDevNode({ directory });
  await again.stop();

  assertRefused(otherNode, FOREIGN_DIRECTORY, /data directory of node dev, not second/);
  assertRefused(otherCluster, FOREIGN_DIRECTORY, /data directory of cluster dev, not prod/);
  assertRefused(newer, NEWER_DIRECTORY, /newer version \(format 99/);
  assert.equal(untouched, identity);
});

test('what is no directory, or cannot be written or understood, is refused', async () => {
  const directory = await temporaryDirectory();
  const file = join(directory, 'file');
  await writeFile(file, '');
  const torn = join(directory, 'torn');
  await mkdir(torn);
  await writeFile(join(torn, 'node.json'), '{"format":');

  // Root may write anywhere but below /proc.
  const paths = [file, join(file, 'data'), '/proc/carillon'];
  const refused = await Promise.all(paths.map((path) => dev('--data-dir', path)));
  const notUnderstood = await dev('--data-dir', torn);

  for (const ended of refused) assertRefused(ended, DIRECTORY_UNUSABLE, /data directory \//);
  assertRefused(notUnderstood, DIRECTORY_UNUSABLE, /torn\/node\.json is not understood\. Restore it/);
});

test('a second process on one directory is refused with the pid of the first, which goes on', async () => {
  const node = await startDevNode();

  const second = await dev('--data-dir', node.directory);
  const health = await node.call('GET', '/health');
  await node.stop();

  assertRefused(second, DIRECTORY_UNUSABLE, new RegExp(`in use by another process \\(pid ${node.pid}\\)`));
  assert.equal(health.status, 200);
});

test('members show the port that was found for port 0, or what the node is told to advertise', async () => {
  const found = await startDevNode();
  const told = await startDevNode({ args: ['--advertise-addr', 'web.example:443'] });

  const [own] = (await found.call('GET', '/v1/members')).items;
  const { body: leader } = await told.call('GET', '/v1/leader');
  await Promise.all([found.stop(), told.stop()]);

  assert.equal(own?.['address'], new URL(found.url).host);
  assert.deepEqual([leader['Addr'], leader['Port'], leader['address']], ['web.example', 443, 'web.example:443']);
});

test('dev with a token asks for it, and puts its sample by it', async () => {
  const token = '0123456789abcdef';
  const file = join(await temporaryDirectory(), 'api-token');
  await writeFile(file, `${token}\n`, { mode: 0o600 });
  const node = await startDevNode({ args: ['--api-token-file', file, '--sample'] });

  const stranger = await node.call('GET', '/v1/jobs');
  const known = await node.call('GET', '/v1/jobs/hello', { headers: { Authorization: `Bearer ${token}` } });
  const { out } = await node.stop();

  assert.deepEqual([stranger.status, known.status], [401, 200]);
  assert.match(out, /export CARILLON_TOKEN=/);
});

test('all mistakes in flags, variables and the settings file are told at once', async () => {
  const directory = await temporaryDirectory();
  const config = join(directory, 'settings.json');
  await writeFile(config, JSON.stringify({ slots: 'many', colour: 'red', 'node-name': 'Ä b' }));
  const broken = join(directory, 'broken.json');
  await writeFile(broken, '{');
  const list = join(directory, 'list.json');
  await writeFile(list, '[]');

  const all = await carillon(['dev', '--config', config, '--http-addr', 'nowhere', '--tag', 'novalue'], {
    CARILLON_DEFAULT_ZONE: 'Mars/Olympus',
    CARILLON_THREADS: '0',
  });
  const alone = [
    [['--http-addr', '0.0.0.0:0'], /http-addr: "0\.0\.0\.0:0" is not loopback.*--insecure-no-auth/],
    [['--http-addr', '192.0.2.1:0', '--insecure-no-auth'], /192\.0\.2\.1:0 is not an address of this machine/],
    [['--config', broken], /settings file .*broken\.json: /],
    [['--config', join(directory, 'missing.json')], /settings file .*missing\.json: /],
    [['--config', list], /settings file: \[\] is no object/],
    [['--nats-url', 'http://example.org'], /nats-url: .*http:\/\/example\.org/],
    [
      ['--nats-url', 'nats://127.0.0.1:4222,nats://192.0.2.1'],
      /nats-url: "192\.0\.2\.1:4222" is not loopback.*--insecure-no-auth/,
    ],
    [['--nats-creds', join(directory, 'missing.creds')], /nats-creds: .*missing\.creds/],
  ] as const;
  const ends = await Promise.all(alone.map(([args]) => dev(...args)));

  assertRefused(all, SETTINGS, /./);
  const names = ['slots', 'colour', 'node-name', 'http-addr', 'tag', 'default-zone', 'threads'];
  for (const name of names) assert.match(all.error, new RegExp(`^(carillon dev: )?${name}: .*allowed: `, 'm'));
  for (const value of ['many', 'red', 'nowhere', 'novalue', 'Mars/Olympus'])
    assert.ok(all.error.includes(value), value);
  for (const [index, [, message]] of alone.entries()) assertRefused(ends[index], SETTINGS, message);
});

test('a flag that does not exist, one without its value and a word too many end with the code for settings', async () => {
  const [unknown, bare, word] = await Promise.all([dev('--colour', 'red'), dev('--slots'), dev('please')]);

  assertRefused(unknown, SETTINGS, /unknown option '--colour'/);
  assertRefused(bare, SETTINGS, /--slots <N>' argument missing/);
  assertRefused(word, SETTINGS, /too many arguments/);
});

test('SIGTERM lets running work end for a while, what outlasts it is recorded, and the next start shows everything', async () => {
  const directory = await temporaryDirectory();
  const first = await startDevNode({ directory, args: ['--drain-timeout', '3s'] });
  const jobs = [
    { name: 'short', schedule: '@every 1h', command: 'sleep 1; echo done' },
    { name: 'endless', schedule: '@every 1h', command: 'echo begun; sleep 600' },
  ];
  const puts = await Promise.all(jobs.map((body) => first.call('POST', '/v1/jobs', { body })));
  const started = await Promise.all(jobs.map(({ name }) => first.call('POST', `/v1/jobs/${name}/run?wait=false`)));
  const [short = '', endless = ''] = started.map(({ body }) => (body['run'] as { id: string }).id);
  await until('both runs have begun', async () => {
    const { items } = await first.call('GET', '/v1/busy');
    return items.length === 2 ? true : undefined;
  });

  const sinceMs = performance.now();
  const ended = await first.stop('SIGTERM');
  const stopMs = performance.now() - sinceMs;
  const second = await startDevNode({ directory });
  const shown = await Promise.all(jobs.map(({ name }) => second.call('GET', `/v1/jobs/${name}`)));
  const recorded = await until('the endless run is recorded', async () => {
    const { body } = await second.call('GET', `/v1/jobs/endless/runs/${endless}`);
    return body['finished_at'] === null ? undefined : body;
  });
  const finished = await second.call('GET', `/v1/jobs/short/runs/${short}`);
  const interrupted = await second.stop('SIGINT');

  assert.deepEqual([ended.code, interrupted.code], [0, 0]);
  assert.ok(stopMs < STOP_MS_MAX, `it stopped after ${Math.round(stopMs)} ms`);
  assert.doesNotMatch(ended.error, STACK);
  for (const [index, put] of puts.entries()) assert.equal(shown[index]?.body['uid'], put.body['uid']);
  const [execution] = finished.body['executions'] as { outcome: string; output: string }[];
  assert.deepEqual([execution?.outcome, execution?.output], ['succeeded', 'done\n']);
  assert.equal(recorded['state'], 'failed');
});

test('a node that drains is not ready any more, and answers those who wait for a run', async () => {
  const node = await startDevNode();
  await node.call('POST', '/v1/jobs', { body: { name: 'slow', schedule: '@every 1h', command: 'sleep 2; echo done' } });
  const waiting = fetch(`${node.url}/v1/jobs/slow/run`, { method: 'POST' });
  await until('the run has begun', async () => {
    const { items } = await node.call('GET', '/v1/busy');
    return items.length === 1 ? true : undefined;
  });

  const ending = node.stop('SIGTERM');
  const ready = await until('it is not ready', async () => {
    const answer = await fetch(`${node.url}/readyz`);
    return answer.status === 503 ? answer.text() : undefined;
  });
  const answer = await waiting;
  const ended = await ending;

  assert.match(ready, /draining/);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /done/);
  assert.equal(ended.code, 0, ended.error);
});

test('SIGTERM during the start stops the node, and leaves nothing behind', async () => {
  const directory = await temporaryDirectory();
  const [program, ...args] = MAIN_COMMAND;
  const child = spawn(program, [...args, 'dev', '--http-addr', '127.0.0.1:0'], {
    env: { PATH: process.env['PATH'], TMPDIR: directory },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  await until('the start has begun', async () => {
    const names = await readdir(directory);
    return names.length > 0 ? true : undefined;
  });

  child.kill('SIGTERM');
  const [code] = (await exited) as [number | null];
  const left = await readdir(directory);

  assert.equal(code, 0);
  assert.deepEqual(left, []);
});

test('a flag that differs from the setting of the cluster is named by a warning, and one that does not is not', async () => {
  const directory = await temporaryDirectory();
  const first = await startDevNode({ directory, args: ['--default-zone', 'Europe/Berlin'] });
  await first.stop();

  const other = await startDevNode({ directory, args: ['--default-zone', 'Asia/Tokyo'] });
  await other.stop();
  const silent = await startDevNode({ directory });
  await silent.stop();

  assert.doesNotMatch(first.log(), /differs from the cluster's/);
  assert.match(other.log(), /--default-zone Asia\/Tokyo differs from the cluster's Europe\/Berlin and changes nothing/);
  assert.doesNotMatch(silent.log(), /differs from the cluster's/);
});

const STACK = /^\s+at .+:[0-9]+:[0-9]+\)?$/m;

function dev(...args: readonly string[]): Promise<Ended> {
  const hasAddress = args.includes('--http-addr');
  return carillon(['dev', ...(hasAddress ? [] : ['--http-addr', '127.0.0.1:0']), ...args]);
}

/** A line that says what, and nothing that only we can read. */
function assertRefused(ended: Ended | undefined, expected: number, message: RegExp): void {
  assert.ok(ended !== undefined);
  const { code, out, error } = ended;
  assert.match(error, message);
  assert.doesNotMatch(error, STACK);
  assert.deepEqual([code, out], [expected, ''], error);
}
