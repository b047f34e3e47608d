/** The servers of a cluster change while it works: added, replaced, removed, and leadership handed over. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster } from '../helpers/cluster.ts';
import { carillon, type Ended, until } from '../helpers/dev-node.ts';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';

let nats: NatsServer;
before(async () => {
  nats = await startNatsServer();
});
after(() => nats.stop());

type Fields = Readonly<Record<string, unknown>>;

const put = (cluster: Cluster, name: string) =>
  cluster.call('POST', '/v1/jobs', { body: { name, schedule: '@manually', command: 'true' }, status: 201 });

const clusterOf =
  (cluster: Cluster) =>
  (...words: readonly string[]) =>
    carillon(['cluster', ...words, '--url', cluster.anyServer.url]);

async function serversOf(cluster: Cluster): Promise<readonly Fields[]> {
  return (await cluster.call('GET', '/v1/cluster')).body['servers'] as readonly Fields[];
}

async function isVoter(cluster: Cluster, name: string): Promise<true | undefined> {
  const servers = await serversOf(cluster);
  return servers.some((server) => server['name'] === name && server['role'] === 'voter') ? true : undefined;
}

test('a server is added, votes, and the cluster bears the loss of two of five; removed ones stop', async () => {
  const cluster = await Cluster.start({ nats });
  await put(cluster, 'first');
  const run = clusterOf(cluster);

  for (const name of ['s4', 's5']) {
    const begun = await cluster.begin('server', name);
    await until(`${name} waits`, async () => (begun.log().includes(`carillon cluster add ${name}`) ? true : undefined));
    const added = await run('add', name);
    assert.equal(added.code, 0, added.error);
    assert.match(added.out, new RegExp(`${name} +voter +alive`));
    cluster.servers.set(name, await begun.up);
  }
  const read = await cluster.servers.get('s5')?.call('GET', '/v1/jobs/first?consistent=true');
  assert.equal(read?.status, 200);
  for (const name of ['s1', 's2']) await cluster.stop(name, 'SIGKILL');
  await put(cluster, 'second');
  for (const name of ['s1', 's2']) await cluster.startServer(name);
  await until('all are well', async () =>
    (await serversOf(cluster)).every(({ alive }) => alive === true) ? true : undefined,
  );

  const leaving = cluster.servers.get('s5');
  const removed = await run('remove', 's5');
  assert.equal(removed.code, 0, removed.error);
  let ended: Ended | undefined;
  void leaving?.ended.then((how) => {
    ended = how;
  });
  const how = await until('it stops', async () => ended, 30_000);
  cluster.servers.delete('s5');
  assert.equal(how.code, 4);
  assert.match(how.error, /server s5 was removed from cluster/);
  await put(cluster, 'third');
  await cluster.close();
});

test('a server whose disk is lost is replaced under its name, and what it held is there again', async () => {
  const cluster = await Cluster.start({ nats: await startNatsServer() });
  await put(cluster, 'kept');
  await cluster.stop('s3', 'SIGKILL');
  cluster.wipe('s3');
  const begun = await cluster.begin('server', 's3');
  await until('it waits', async () => (begun.log().includes('carillon cluster replace s3') ? true : undefined));

  const replaced = await clusterOf(cluster)('replace', 's3');
  assert.equal(replaced.code, 0, replaced.error);
  const s3 = await begun.up;
  cluster.servers.set('s3', s3);
  await until('it votes', () => isVoter(cluster, 's3'));

  assert.equal((await serversOf(cluster)).length, 3);
  assert.equal((await s3.call('GET', '/v1/jobs/kept?consistent=true')).status, 200);
  await cluster.stop('s1', 'SIGKILL');
  await put(cluster, 'with-the-new-one');
  await cluster.close();
});

test('leadership goes where the operator wants it', async () => {
  const cluster = await Cluster.start({ nats: await startNatsServer() });
  const leader = await cluster.leader();
  const other = ['s1', 's2', 's3'].find((name) => name !== leader) ?? '';

  const moved = await clusterOf(cluster)('transfer', other);
  const refused = await clusterOf(cluster)('transfer', 's9');

  assert.equal(moved.code, 0, moved.error);
  assert.equal(moved.out, `${other} leads\n`);
  assert.equal(refused.code, 125);
  assert.match(refused.error, /'s9' is no server of this cluster/);
  await put(cluster, 'after');
  await cluster.close();
});
