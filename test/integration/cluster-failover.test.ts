/**
 * The leader is killed again and again while a job fires each second. How long until a write is acknowledged, and
 * whether each second still has exactly one outcome.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster } from '../helpers/cluster.ts';
import { temporaryDirectory, until } from '../helpers/dev-node.ts';
import { assertNoHole, describeFires, readFires } from '../helpers/fires.ts';

const IS_FULL = process.env['CARILLON_LONG_TESTS'] === '1';
const KILLS = IS_FULL ? 30 : 4;
const TICKER = 'ticker';

test(`after ${KILLS} kills of the leader writes go on soon, and each second has exactly one outcome`, async (t) => {
  const cluster = await Cluster.start({ agents: { a1: 'my_role=web', a2: 'my_role=web' } });
  const file = join(await temporaryDirectory(), 'executions');
  const put = await cluster.call('POST', '/v1/jobs', {
    status: 201,
    body: {
      name: TICKER,
      schedule: '* * * * * *',
      keep_runs: 10_000,
      tags: { my_role: 'web:1' },
      command: `echo "$CARILLON_EXECUTION" >> ${file}`,
    },
  });
  const waitsMs: number[] = [];

  for (let kill = 1; kill <= KILLS; kill += 1) {
    const leader = await cluster.leader();
    const killedAtMs = performance.now();
    const gone = cluster.stop(leader, 'SIGKILL');
    await firstWrite(cluster, `after-${kill}`);
    waitsMs.push(performance.now() - killedAtMs);
    await gone;
    await cluster.startServer(leader);
    await caughtUp(cluster, leader, `after-${kill}`);
  }
  const paused = await cluster.call('POST', `/v1/jobs/${TICKER}/toggle`);
  await until('no fire is open', async () => {
    const fires = await readFires(cluster.anyServer, TICKER);
    return fires.every(({ outcome }) => outcome !== 'open') ? true : undefined;
  });
  const fires = await readFires(cluster.anyServer, TICKER);
  const written = (await readFile(file, 'utf8')).trimEnd().split('\n');

  const sorted = waitsMs.toSorted((left, right) => left - right).map(Math.round);
  t.diagnostic(`first acknowledged write after the kill, ms: ${sorted.join(' ')}`);
  t.diagnostic(`fires: ${describeFires(fires)}`);
  assertNoHole(fires, Date.parse(String(put.body['next'])), Date.parse(String(paused.headers['date'])) - 2_000);
  assert.equal(new Set(written).size, written.length, 'no execution was started twice');
  for (let kill = 1; kill <= KILLS; kill += 1) await cluster.call('GET', `/v1/jobs/after-${kill}`);
  if (IS_FULL) {
    assert.ok((sorted[Math.floor(KILLS / 2)] as number) <= 1_000, 'p50 at most 1 s');
    assert.ok((sorted.at(-1) as number) <= 3_000, 'p99 at most 3 s');
  }
  await cluster.close();
});

/** At each server in turn, as a client with a list of them does. */
async function firstWrite(cluster: Cluster, name: string): Promise<void> {
  const body = { name, schedule: '@every 1h', command: 'true', tags: { my_role: 'web:1' } };
  const isTaken = await Promise.any(
    [...cluster.servers.values()].map(async (server) => {
      const reply = await server.call('POST', '/v1/jobs', { body, timeoutMs: 10_000 });
      if (reply.status !== 201) throw new Error(reply.text);
      return true;
    }),
  ).catch(() => false);
  if (!isTaken) await cluster.call('POST', '/v1/jobs', { body, status: 201 });
}

async function caughtUp(cluster: Cluster, name: string, job: string): Promise<void> {
  const server = cluster.servers.get(name);
  await until(`${name} knows what was written while it was away`, async () => {
    const reply = await server?.call('GET', `/v1/jobs/${job}`).catch(() => undefined);
    return reply?.status === 200 ? true : undefined;
  });
}
