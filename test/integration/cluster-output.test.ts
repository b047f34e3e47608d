/** Outputs above 4 KiB on a cluster: whole from any server, and no burden on a node while a server is away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../helpers/cluster.ts';

const LINES = 5_000;
const WHOLE = Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join('');

test('an output is whole from any server, with one of three dead too, and then an agent stops soon', async (t) => {
  const cluster = await Cluster.start({ agents: { a1: 'my_role=web' } });
  t.after(() => cluster.close());
  const job = { name: 'long', schedule: '@manually', tags: { my_role: 'web:1' }, command: `seq ${LINES}` };
  await cluster.call('POST', '/v1/jobs', { status: 201, body: job });

  await checkRuns(cluster);
  const [victim = ''] = [...cluster.servers.keys()];
  await cluster.stop(victim, 'SIGKILL');
  await cluster.leader();
  await cluster.call('POST', '/v1/jobs/long/run');
  await checkRuns(cluster);

  const sinceMs = performance.now();
  const ended = await cluster.stop('a1');
  assert.equal(ended.code, 0);
  assert.ok(performance.now() - sinceMs < 5_000, 'half of what the drain may take');
});

/** A run asked of each server is shown whole there, and by all others. */
async function checkRuns(cluster: Cluster): Promise<void> {
  for (const server of cluster.servers.values()) {
    const ran = await server.call('POST', '/v1/jobs/long/run');
    assert.equal(ran.status, 200, ran.text);
    const run = ran.body['run'] as { id: string; executions: readonly Readonly<Record<string, unknown>>[] };
    assert.deepEqual([run.executions[0]?.['output'], run.executions[0]?.['output_truncated']], [WHOLE, undefined]);
    for (const other of cluster.servers.values()) {
      const read = await other.call('GET', `/v1/jobs/long/executions/${String(run.executions[0]?.['id'])}`);
      assert.equal(read.body['output'], WHOLE);
    }
  }
}
