/** Agents that die, are away, sleep, or lose their disk. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../helpers/cluster.ts';
import { temporaryDirectory, until } from '../helpers/dev-node.ts';
import { readFires } from '../helpers/fires.ts';

type Execution = Readonly<Record<string, unknown>>;

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.start({});
});
after(() => cluster.close());

test('an agent that is killed in the middle of a run: lost once, and not tried again', async () => {
  await cluster.startAgent('a1', ['--tag', 'on=a1']);
  await cluster.untilMembers(4);
  await putJob('dies', { tags: { on: 'a1:1' }, command: 'sleep 60' });
  const run = await startRun('dies');
  await untilOpen('dies');

  await cluster.stop('a1', 'SIGKILL');
  await cluster.startAgent('a1');

  const ended = await untilEnded('dies', run);
  assert.equal(ended['state'], 'failed');
  assert.deepEqual(outcomes(ended), ['lost']);
});

test('the same with on_lost: retry runs again, on any node that matches', async () => {
  await cluster.startAgent('b1', ['--tag', 'on=b']);
  await cluster.untilMembers(5);
  const file = join(await temporaryDirectory(), 'tries');
  const command = `echo x >> ${file}; test $(wc -l < ${file}) -gt 1 || sleep 60`;
  await putJob('dies-retry', { tags: { on: 'b:1' }, command, on_lost: 'retry', retries: 1 });
  const run = await startRun('dies-retry');
  await until('it has begun', async () => ((await readFile(file, 'utf8').catch(() => '')) === '' ? undefined : true));

  await cluster.stop('b1', 'SIGKILL');
  await cluster.startAgent('b2', ['--tag', 'on=b']);

  const ended = await untilEnded('dies-retry', run);
  assert.equal(ended['state'], 'succeeded');
  assert.deepEqual(outcomes(ended).toSorted(), ['lost', 'succeeded']);
});

test('the only agent is away at the nominal time and back later: the run happens, and its lateness is shown', async () => {
  await cluster.startAgent('c1', ['--tag', 'on=c']);
  await until('c1 is a member', async () => ((await isAlive('c1')) ? true : undefined));
  await cluster.stop('c1');
  const atMs = Date.now() + 3_000;
  const schedule = `@at ${new Date(atMs).toISOString()}`;
  await putJob('away', { tags: { on: 'c:1' }, command: 'true', schedule });

  await until('it is due', async () => (Date.now() > atMs + 2_000 ? true : undefined));
  await cluster.startAgent('c1');

  const fire = await until('it ran', async () => {
    const fires = await readFires(cluster.anyServer, 'away');
    return fires[0]?.outcome === 'ran' ? fires[0] : undefined;
  });
  assert.ok((fire.lateness_ms ?? 0) >= 1_900, `lateness ${fire.lateness_ms} ms`);
});

test('an agent that slept past its session starts nothing stale when it wakes', async () => {
  const agent = await cluster.startAgent('d1', ['--tag', 'on=d']);
  await until('d1 is a member', async () => ((await isAlive('d1')) ? true : undefined));
  const file = join(await temporaryDirectory(), 'starts');
  await putJob('sleeper', { tags: { on: 'd:1' }, command: `echo "$CARILLON_EXECUTION" >> ${file}` });

  process.kill(agent.pid, 'SIGSTOP');
  const run = await startRun('sleeper');
  await until('its session is over', async () => ((await isAlive('d1')) ? undefined : true), 30_000);
  process.kill(agent.pid, 'SIGCONT');

  const ended = await untilEnded('sleeper', run);
  const started = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  assert.equal(new Set(started).size, started.length, 'nothing started twice');
  const succeeded = executionsOf(ended).filter(({ outcome }) => outcome === 'succeeded');
  assert.deepEqual(
    started,
    succeeded.map(({ id }) => String(id)),
    'what started is what is recorded as such',
  );
});

test('an agent whose disk was wiped comes as a new node, once the old one is given up', async () => {
  await cluster.startAgent('e1', ['--tag', 'on=e']);
  await until('e1 is a member', async () => ((await isAlive('e1')) ? true : undefined));
  await putJob('wiped', { tags: { on: 'e:1' }, command: 'sleep 60' });
  const run = await startRun('wiped');
  await untilOpen('wiped');

  await cluster.stop('e1', 'SIGKILL');
  cluster.wipe('e1');
  await cluster.startAgent('e1');

  const ended = await untilEnded('wiped', run);
  assert.deepEqual(outcomes(ended), ['lost']);
  await putJob('wiped-again', { tags: { on: 'e:1' }, command: 'true' });
  const again = await cluster.call('POST', '/v1/jobs/wiped-again/run');
  assert.equal((again.body['run'] as Execution)['state'], 'succeeded');
});

test('an agent that is told to stop leaves within 2 s: no run is lost or missed, the others go on', async () => {
  await cluster.startAgent('f1', ['--tag', 'my_role=web']);
  await cluster.startAgent('f2', ['--tag', 'my_role=web']);
  await until('both are members', async () => ((await isAlive('f1')) && (await isAlive('f2')) ? true : undefined));
  await putJob('each-second', { tags: { my_role: 'web:1' }, command: 'true', schedule: '* * * * * *' });
  await until('both have run', async () => (new Set(await nodesOf('each-second')).size === 2 ? true : undefined));

  const sinceMs = performance.now();
  const stopped = cluster.stop('f1');
  await until('f1 is shown as left', async () => ((await statusOf('f1')) === 'left' ? true : undefined));
  const leftMs = performance.now() - sinceMs;
  await stopped;
  const ranBefore = (await nodesOf('each-second')).length;
  await until('runs go on', async () => ((await nodesOf('each-second')).length >= ranBefore + 4 ? true : undefined));

  assert.ok(leftMs <= 2_000, `f1 was a member for ${Math.round(leftMs)} ms more`);
  const { items } = await cluster.call('GET', '/v1/jobs/each-second/executions');
  const ended = items.filter(({ finished_at }) => finished_at !== null);
  assert.deepEqual(
    new Set(ended.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'refused')),
    new Set(['succeeded']),
  );
  const fires = await readFires(cluster.anyServer, 'each-second');
  assert.deepEqual(
    fires.filter(({ outcome }) => outcome !== 'ran' && outcome !== 'open'),
    [],
  );
  await cluster.call('DELETE', '/v1/jobs/each-second');
});

async function putJob(name: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
  await cluster.call('POST', '/v1/jobs', { status: 201, body: { name, schedule: '@manually', ...fields } });
}

async function startRun(job: string): Promise<string> {
  const reply = await cluster.call('POST', `/v1/jobs/${job}/run?wait=false`, { status: 202 });
  return String((reply.body['run'] as Execution)['id']);
}

/** It was assigned, and its node has had the time to start it. */
async function untilOpen(job: string): Promise<void> {
  await until(`${job} is busy`, async () => {
    const reply = await cluster.call('GET', '/v1/busy');
    return reply.items.some((execution) => execution['job_name'] === job) ? true : undefined;
  });
  await pause(300);
}

async function untilEnded(job: string, run: string): Promise<Execution> {
  return until(
    `run ${run} has ended`,
    async () => {
      const reply = await cluster.call('GET', `/v1/jobs/${job}/runs/${run}`);
      return reply.body['finished_at'] === null ? undefined : reply.body;
    },
    40_000,
  );
}

async function isAlive(name: string): Promise<boolean> {
  return (await statusOf(name)) === 'alive';
}

/** Of the newest member of that name; undefined where there is none. */
async function statusOf(name: string): Promise<unknown> {
  const reply = await cluster.call('GET', '/v1/members');
  const members = reply.items.filter((member) => member['Name'] === name);
  return members.toSorted((left, right) => Number(right['session']) - Number(left['session']))[0]?.['statusText'];
}

/** Names of the nodes on which the job's attempts have succeeded, one per attempt. */
async function nodesOf(job: string): Promise<readonly string[]> {
  const reply = await cluster.call('GET', `/v1/jobs/${job}/executions`);
  return reply.items.flatMap(({ outcome, node_name }) => (outcome === 'succeeded' ? [String(node_name)] : []));
}

function executionsOf(run: Execution): readonly Execution[] {
  return run['executions'] as readonly Execution[];
}

function outcomes(run: Execution): unknown[] {
  return executionsOf(run).map(({ outcome }) => outcome);
}
