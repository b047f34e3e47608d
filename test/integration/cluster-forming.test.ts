/** Servers find one another over NATS: one cluster each time, or a clear refusal. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster } from '../helpers/cluster.ts';
import { until } from '../helpers/dev-node.ts';
import { type NatsServer, startNatsServer } from '../helpers/nats-server.ts';

const IS_FULL = process.env['CARILLON_LONG_TESTS'] === '1';

const nats: NatsServer = await startNatsServer();
after(() => nats.stop());

const ORDERS = IS_FULL
  ? ['s1 s2 s3', 's1 s3 s2', 's2 s1 s3', 's2 s3 s1', 's3 s1 s2', 's3 s2 s1']
  : ['s1 s2 s3', 's3 s1 s2'];

for (const order of ORDERS) {
  test(`three servers started as ${order} form one cluster, the last one late`, async () => {
    const cluster = await Cluster.create({ nats });
    const names = order.split(' ');
    const late = names.at(-1) as string;

    const begun = await Promise.all(names.slice(0, 2).map((name) => cluster.begin('server', name)));
    await until('the first two wait for the third', async () => {
      const isWaiting = begun.every(({ log }) => /2 of 3|waiting/i.test(log()));
      return isWaiting ? true : undefined;
    });
    await cluster.startServer(late);
    for (const [number, { up }] of begun.entries()) cluster.servers.set(names[number] as string, await up);

    await cluster.leader();
    const uuids = new Set<unknown>();
    for (const server of cluster.servers.values()) {
      const members = await until('all three are members here', async () => {
        const reply = await server.call('GET', '/v1/members');
        return reply.status === 200 && reply.items.length === 3 ? reply.items : undefined;
      });
      for (const member of members) uuids.add(member['node']);
    }
    assert.equal(uuids.size, 3, 'all servers tell of the same three');
    await closeServers(cluster);
  });
}

test('four servers that were told to expect three do not form a cluster until one is stopped', async () => {
  const cluster = await Cluster.create({ nats });
  const names = ['s1', 's2', 's3', 's4'];
  const begun = new Map<string, Awaited<ReturnType<Cluster['begin']>>>();
  for (const name of names) begun.set(name, await cluster.begin('server', name));
  // Either three were quicker than the fourth was heard, and it waits to be added; or all four say what is wrong.
  const isFormed = await until('the four have come to an end of it', async () => {
    const logs = names.map((name) => begun.get(name)?.log() ?? '');
    if (logs.every((log) => /4 servers/.test(log))) return false;
    return logs.some((log) => /carillon cluster add s[1-4]/.test(log)) ? true : undefined;
  });

  const spare = isFormed ? names.find((name) => /cluster add/.test(begun.get(name)?.log() ?? '')) : 's4';
  begun.get(spare ?? '')?.kill();
  begun.delete(spare ?? '');
  for (const [name, { up }] of begun) {
    const node = await up.catch(() => undefined);
    if (node !== undefined) cluster.servers.set(name, node);
  }

  assert.equal(cluster.servers.size, 3);
  await cluster.untilMembers(3);
  await closeServers(cluster);
});

test('a server whose disk was wiped waits, and says what to do', async () => {
  const cluster = await Cluster.start({ nats });
  await cluster.stop('s3', 'SIGKILL');
  cluster.wipe('s3');

  const begun = await cluster.begin('server', 's3');
  await until('it says how', async () => (/carillon cluster replace s3/.test(begun.log()) ? true : undefined));

  await cluster.call('POST', '/v1/jobs', {
    body: { name: 'still-there', schedule: '@every 1h', command: 'true' },
    status: 201,
  });
  await closeServers(cluster);
});

test('a second server of a name that lives is refused', async () => {
  const cluster = await Cluster.start({ nats });
  cluster.wipe('s2');

  const ended = await (await cluster.begin('server', 's2')).ended;

  assert.equal(ended.code, 4, ended.error);
  assert.match(ended.error, /s2/);
  await cluster.untilMembers(3);
  await closeServers(cluster);
});

test('a server of another cluster of the same name is refused', async () => {
  const elsewhere = await startNatsServer();
  const name = 'twice';
  const first = await Cluster.start({ nats, name });
  const other = await Cluster.start({ nats: elsewhere, name, servers: 1 });
  await other.stop('s1');

  const moved = await first.begin('server', 'x1', ['--data-dir', (await directoryOf(other)).directory]);
  const ended = await moved.ended;

  assert.notEqual(ended.code, 0);
  assert.match(ended.error, /another cluster|two clusters|of node/i);
  await first.untilMembers(3);
  await closeServers(first);
  await elsewhere.stop();
});

async function directoryOf(cluster: Cluster): Promise<{ readonly directory: string }> {
  const node = await cluster.startServer('s1');
  await cluster.stop('s1');
  return node;
}

async function closeServers(cluster: Cluster): Promise<void> {
  await Promise.all([...cluster.servers.keys()].map((name) => cluster.stop(name, 'SIGKILL')));
}
