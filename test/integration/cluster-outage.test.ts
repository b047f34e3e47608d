/** Everything is killed at once; and NATS goes away in the middle of the work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../helpers/cluster.ts';
import { type DevNode, until } from '../helpers/dev-node.ts';
import { assertNoHole, describeFires, readFires } from '../helpers/fires.ts';
import { startNatsServer } from '../helpers/nats-server.ts';

const IS_FULL = process.env['CARILLON_LONG_TESTS'] === '1';
const OUTAGE_MS = IS_FULL ? 60_000 : 6_000;
const AGENTS = { a1: 'my_role=web', a2: 'my_role=web' };
const TICKER = {
  name: 'ticker',
  schedule: '* * * * * *',
  keep_runs: 10_000,
  tags: { my_role: 'web:1' },
  command: 'true',
};

test('all servers and agents are killed at once and started again: what was acknowledged is there', async (t) => {
  const cluster = await Cluster.start({ agents: AGENTS });
  const put = await cluster.call('POST', '/v1/jobs', { body: TICKER, status: 201 });
  const runs = new Map<string, string>();
  for (let number = 0; number < 20; number += 1) {
    const name = `job-${number}`;
    const job = { name, schedule: '@manually', command: `echo ${name}`, tags: { my_role: 'web:1' } };
    await cluster.call('POST', '/v1/jobs', { body: job, status: 201 });
    const ran = await cluster.call('POST', `/v1/jobs/${name}/run`);
    runs.set(name, String((ran.body['run'] as { id: string }).id));
  }

  const names = { servers: [...cluster.servers.keys()], agents: [...cluster.agents.keys()] };
  await Promise.all([...names.servers, ...names.agents].map((name) => cluster.stop(name, 'SIGKILL')));
  await Promise.all([
    ...names.servers.map((name) => cluster.startServer(name)),
    ...names.agents.map((name) => cluster.startAgent(name)),
  ]);

  for (const [name, id] of runs) {
    // A server that has just started tells what it has, until it has heard from the leader how far the log is.
    const body = await until(`${name} keeps its result`, async () => {
      const read = await cluster.call('GET', `/v1/jobs/${name}/runs/${id}`);
      return read.body['state'] === 'succeeded' ? read.body : undefined;
    });
    const [execution] = body['executions'] as { output: string }[];
    assert.equal(execution?.output, `${name}\n`);
  }
  await assertTickerHasNoHole(cluster, put.body, (text) => t.diagnostic(text));
  await cluster.close();
});

test(`NATS is away for ${OUTAGE_MS / 1_000} s in the middle of runs`, async (t) => {
  const cluster = await Cluster.start({ agents: AGENTS });
  const { nats } = cluster;
  const put = await cluster.call('POST', '/v1/jobs', { body: TICKER, status: 201 });
  const seconds = Math.round(OUTAGE_MS / 2_000);
  const long = {
    name: 'long',
    schedule: '@manually',
    command: `sleep ${seconds}; echo done`,
    tags: { my_role: 'web:1' },
  };
  await cluster.call('POST', '/v1/jobs', { body: long, status: 201 });
  const begun = await cluster.call('POST', '/v1/jobs/long/run?wait=false', { status: 202 });
  const { id } = begun.body['run'] as { id: string };
  await pause(500);
  const before = await termOf(cluster.anyServer);

  await nats.stop('SIGKILL');
  await pause(OUTAGE_MS);
  const again = await startNatsServer({ port: nats.port, token: nats.token });
  const backAtMs = performance.now();

  const ended = await until('the run that went on meanwhile is recorded', async () => {
    const { body } = await cluster.call('GET', `/v1/jobs/long/runs/${id}`);
    return body['finished_at'] === null ? undefined : body;
  });
  t.diagnostic(`its result was there ${Math.round(performance.now() - backAtMs)} ms after NATS was back`);
  const [execution] = ended['executions'] as { outcome: string; output: string }[];
  assert.equal(execution?.outcome, 'succeeded', JSON.stringify(execution));
  await assertTickerHasNoHole(cluster, put.body, (text) => t.diagnostic(text));
  const after = await termOf(cluster.anyServer);
  t.diagnostic(`term ${before} before, ${after} after`);
  assert.ok(after - before <= 3, `${after - before} terms: an election storm`);
  await cluster.close();
  await again.stop();
});

async function assertTickerHasNoHole(
  cluster: Cluster,
  put: Readonly<Record<string, unknown>>,
  tell: (text: string) => void,
): Promise<void> {
  await until('it fires again', async () => {
    const fires = await readFires(await up(cluster), TICKER.name).catch(() => []);
    const newest = fires.findLast(({ outcome }) => outcome === 'ran');
    return newest !== undefined && Date.parse(String(newest.scheduled_at)) > Date.now() - 2_500 ? true : undefined;
  });
  const paused = await cluster.call('POST', `/v1/jobs/${TICKER.name}/toggle`);
  const fires = await until('no fire is open', async () => {
    const all = await readFires(cluster.anyServer, TICKER.name);
    return all.every(({ outcome }) => outcome !== 'open') ? all : undefined;
  });
  tell(`fires: ${describeFires(fires)}`);
  assertNoHole(fires, Date.parse(String(put['next'])), Date.parse(String(paused.headers['date'])) - 2_000);
}

/** The first server that answers. */
async function up(cluster: Cluster): Promise<DevNode> {
  await cluster.leader();
  return cluster.anyServer;
}

async function termOf(server: DevNode): Promise<number> {
  const { text } = await server.call('GET', '/metrics');
  return Number(/^carillon_raft_term\S* ([0-9]+)$/m.exec(text)?.[1]);
}
