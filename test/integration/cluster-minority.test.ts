/** One server of three is left: it decides nothing, and says the same by HTTP and by NATS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../helpers/cluster.ts';
import { carillon, until } from '../helpers/dev-node.ts';

const JOB = { name: 'kept', schedule: '@manually', command: 'true' };

test('a server without a majority reads and refuses writes by NATS as by HTTP, and after a start too', async () => {
  const cluster = await Cluster.start({});
  await cluster.call('POST', '/v1/jobs', { body: JOB, status: 201 });
  await cluster.untilAllAnswerByNats();
  const leader = await cluster.leader();
  const [left = '', ...others] = [...cluster.servers.keys()].sort((name) => (name === leader ? 1 : -1));
  const byNats = (...words: readonly string[]) =>
    carillon([...words, '--cluster', cluster.name, '--url', cluster.nats.url], {}, JSON.stringify(JOB));
  const byHttp = (method: string, path: string, body?: unknown) =>
    cluster.anyServer.call(method, path, { body, timeoutMs: 20_000 });
  const ready = await byHttp('GET', '/readyz?verbose');
  assert.match(ready.text, new RegExp(`^\\[\\+\\] leader ok: ${leader}\n\\[\\+\\] not-draining ok\n`));

  await Promise.all(others.map((name) => cluster.stop(name, 'SIGKILL')));
  await until('the leader is gone', async () => ((await byHttp('GET', '/readyz')).status === 503 ? true : undefined));

  for (const start of ['no start', 'a start']) {
    if (start === 'a start') {
      await cluster.stop(left, 'SIGKILL');
      await cluster.startServer(left);
      await until('it answers by NATS', async () => ((await byNats('job', 'list')).code === 0 ? true : undefined));
    }
    const list = await byNats('job', 'list');
    const members = await byNats('cluster', 'members');
    const [put, refused] = await Promise.all([byNats('job', 'put', '-'), byHttp('POST', '/v1/jobs', JOB)]);

    assert.deepEqual([list.code, members.code], [0, 0], start + list.error + members.error);
    assert.match(list.out, /^kept /m);
    assert.equal(refused.status, 503);
    assert.equal(refused.body['code'], 'no-leader');
    assert.equal(put.code, 125);
    assert.ok(put.error.includes(String(refused.body['detail'])), put.error);
  }
  await Promise.all(others.map((name) => cluster.startServer(name)));
  await until('writes go on', async () => ((await byNats('job', 'put', '-')).code === 0 ? true : undefined));
  await cluster.close();
});
