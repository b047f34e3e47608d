/** Jobs on a cluster: asked of any server, by HTTP and by NATS, run on exactly the nodes that they name. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'nats';
import { Cluster } from '../helpers/cluster.ts';
import { until } from '../helpers/dev-node.ts';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';

/** Word for word as the study has it. */
const DOCUMENT = '{"name": "job_name", "command": "/bin/true", "schedule": "@every 2m", "tags": {"my_role": "web:1"}}';
const AGENTS = { a1: 'my_role=web', a2: 'my_role=web' };
/** The newest nats-server, where `go install` has put one; what the other tests use is Debian's. */
const NEWEST = join(homedir(), 'go', 'bin', 'nats-server');

type Fields = Readonly<Record<string, unknown>>;

for (const [what, binary] of [
  ['the nats-server of the tests', undefined],
  ['the newest nats-server', existsSync(NEWEST) ? NEWEST : null],
] as const) {
  if (binary === null) continue;
  test(`the document of the study, with ${what}`, async (t) => {
    const nats = await startNatsServer(binary === undefined ? {} : { binary });
    const cluster = await Cluster.start({ nats, agents: AGENTS });
    t.diagnostic(await versionOf(nats));

    await t.test('is taken by every server over HTTP and runs on exactly one of the two agents', async () => {
      for (const server of cluster.servers.values()) {
        const put = await server.call('POST', '/v1/jobs', { body: DOCUMENT });
        const ran = await server.call('POST', '/v1/jobs/job_name/run');
        const read = await server.call('GET', '/v1/jobs/job_name');

        assert.equal(put.status, 201, put.text);
        assert.equal(ran.status, 200, ran.text);
        assertRanOnOneAgent(ran.body);
        assert.equal(read.body['name'], 'job_name');
      }
    });

    await t.test('is taken by NATS request and reply through any client', async () => {
      const client = await connect({ servers: `127.0.0.1:${nats.port}`, token: nats.token });
      const subject = `carillon.${cluster.name}.api.job`;

      const put = await client.request(`${subject}.put`, DOCUMENT, { timeout: 10_000 });
      const ran = await client.request(`${subject}.run`, '{"name": "job_name"}', { timeout: 10_000 });
      await client.close();

      assert.equal(put.headers?.get('Nats-Service-Error-Code') ?? '', '', put.string());
      assertRanOnOneAgent(ran.json<Fields>());
    });

    await t.test('the service answers on $SRV, one instance for each server', async () => {
      const client = await connect({ servers: `127.0.0.1:${nats.port}`, token: nats.token });
      const ids = await until('three instances', async () => {
        const found = new Set<string>();
        const answers = await client.requestMany('$SRV.INFO.carillon', '', { maxWait: 1_000 });
        for await (const answer of answers) found.add(answer.json<{ id: string }>().id);
        return found.size === 3 ? found : undefined;
      });
      await client.close();

      assert.equal(ids.size, 3);
    });

    await t.test('goes on to fire at its nominal times, exactly one execution each', async () => {
      const body = DOCUMENT.replace('job_name', 'often').replace('@every 2m', '@every 1s');
      await cluster.call('POST', '/v1/jobs', { body, status: 201 });
      const runs = await until('three runs by schedule', async () => {
        const { items } = await cluster.call('GET', '/v1/jobs/often/runs');
        return items.filter(({ state }) => state === 'succeeded').length >= 3 ? items : undefined;
      });
      const executions = (await cluster.call('GET', '/v1/jobs/often/executions')).items;

      for (const { id, state } of runs) {
        if (state !== 'succeeded') continue;
        assert.equal(executions.filter((execution) => execution['run'] === id).length, 1);
      }
    });
    await cluster.close();
  });
}

test('a write that a follower takes is read back there, and rubbish on internal subjects changes nothing', async () => {
  const cluster = await Cluster.start({ agents: AGENTS });
  const client = await connect({ servers: `127.0.0.1:${cluster.nats.port}`, token: cluster.nats.token });
  const leader = await cluster.leader();
  const nodes = (await cluster.untilMembers(5)).map((member) => String(member['node']));
  const subjects = nodes.flatMap((node) =>
    ['raft.0', 'bulk', 'exec', 'report', 'forward'].map((channel) => `carillon.${cluster.name}.${channel}.${node}`),
  );
  subjects.push(`carillon.${cluster.name}.alive`, `carillon.${cluster.name}.leader`);

  for (let round = 0; round < 50; round += 1) {
    for (const subject of subjects) client.publish(subject, Buffer.alloc(round * 7, round));
  }
  await client.flush();
  await client.close();
  for (const [name, server] of cluster.servers) {
    const job = { name: `via-${name}`, schedule: '@manually', command: 'echo hello', tags: { my_role: 'web:1' } };
    assert.equal((await server.call('POST', '/v1/jobs', { body: job })).status, 201);
    assert.equal((await server.call('GET', `/v1/jobs/via-${name}`)).status, 200);
    assertRanOnOneAgent((await server.call('POST', `/v1/jobs/via-${name}/run`)).body);
  }

  assert.equal(await cluster.leader(), leader, 'nobody was deposed');
  const { text } = await cluster.anyServer.call('GET', '/metrics');
  assert.match(text, /carillon_invalid_frames_total\{[^}]*reason="(short|version)"[^}]*\} [1-9]/);
  await cluster.close();
});

function assertRanOnOneAgent(answer: Fields): void {
  const { state, executions } = answer['run'] as { state: string; executions: Fields[] };
  assert.deepEqual([state, executions.length], ['succeeded', 1]);
  assert.ok(['a1', 'a2'].includes(String(executions[0]?.['node_name'])), JSON.stringify(executions[0]));
}

async function versionOf(nats: NatsServer): Promise<string> {
  const client = await connect({ servers: `127.0.0.1:${nats.port}`, token: nats.token });
  const version = client.info?.version ?? 'unknown';
  await client.close();
  return `nats-server ${version}`;
}
