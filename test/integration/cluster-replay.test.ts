/** Somebody with the password of the nodes, but not their key, records what nodes say and says it again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { Cluster } from '../helpers/cluster.ts';

test('ordinary life repeats no frame; what is recorded and sent again is refused, and changes nothing', async () => {
  const cluster = await Cluster.start({ agents: { a1: 'my_role=web' } });
  const stranger = await connect({ servers: `127.0.0.1:${cluster.nats.port}`, token: cluster.nats.token });
  const recorded: { readonly subject: string; readonly frame: Uint8Array }[] = [];
  const recording = stranger.subscribe(`carillon.${cluster.name}.>`, {
    callback: (_error, { subject, data }) => {
      // Clients' calls have no envelope, and words in the hall no count.
      if (!/\.(api|alive|unheard)\b/.test(subject)) recorded.push({ subject, frame: Uint8Array.from(data) });
    },
  });
  await stranger.flush();
  const leader = await cluster.leader();
  const [follower] = [...cluster.servers].flatMap(([name, server]) => (name === leader ? [] : [server]));
  assert(follower !== undefined);
  const body = { name: 'gone', schedule: '@manually', command: 'echo hello', tags: { my_role: 'web' } };
  assert.equal((await follower.call('POST', '/v1/jobs', { body })).status, 201);
  assert.equal((await follower.call('POST', '/v1/jobs/gone/run')).status, 200);
  assert.equal((await follower.call('DELETE', '/v1/jobs/gone')).status, 200);
  recording.unsubscribe();
  await stranger.flush();
  const forwards = recorded.filter(({ subject }) => subject.includes('.forward.'));
  assert.ok(forwards.length >= 6, `three calls and their answers: ${forwards.length}`);
  assert.equal(await replaysOf(cluster), 0, 'no node takes another frame for one that it has seen');

  for (const { subject, frame } of recorded) stranger.publish(subject, frame);
  await stranger.flush();
  // A call through each server: behind what was sent again, on the connections that carried it.
  for (const server of cluster.servers.values()) {
    assert.equal((await server.call('POST', '/v1/jobs', { body: { ...body, name: 'next' } })).status, 201);
    assert.equal((await server.call('GET', '/v1/jobs/gone')).status, 404);
  }

  assert.ok((await replaysOf(cluster)) >= forwards.length);
  assert.equal(await cluster.leader(), leader, 'nobody was deposed');
  await stranger.close();
  await cluster.close();
});

/** Over both threads of all servers. */
async function replaysOf(cluster: Cluster): Promise<number> {
  let sum = 0;
  for (const server of cluster.servers.values()) {
    const { text } = await server.call('GET', '/metrics');
    for (const [, count] of text.matchAll(/^carillon_invalid_frames_total\{[^}]*reason="replay"[^}]*\} (\d+)$/gm)) {
      sum += Number(count);
    }
  }
  return sum;
}
