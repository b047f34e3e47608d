import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDevNode, until } from '../helpers/dev-node.ts';

const FIRST_MS_MAX = 2_000;

test('within two seconds of the start the API answers, the sample job has fired and its output is there', async (t) => {
  const beganMs = performance.now();
  const node = await startDevNode({ args: ['--sample'] });

  const health = await node.call('GET', '/health');
  const answeredMs = Math.round(performance.now() - beganMs);
  const execution = await until('an execution of the sample job with its output', async () => {
    const { items } = await node.call('GET', '/v1/jobs/hello/executions');
    return items.find(({ outcome, output }) => outcome === 'succeeded' && typeof output === 'string');
  });
  const firstMs = Math.round(performance.now() - beganMs);
  const shown = await node.cli('job', 'executions', 'hello', '--output');
  const alone = await node.cli('job', 'executions', 'hello', String(execution['id']));
  const fires = await node.call('GET', '/v1/jobs/hello/fires');
  const ended = await node.stop();

  t.diagnostic(`up after ${node.startMs} ms, answered after ${answeredMs} ms, first output after ${firstMs} ms`);
  assert.equal(health.body['status'], 'healthy');
  assert.equal(
    execution['output'],
    `hello from hello, due at ${String(execution['scheduled_at']).replace('Z', '.000Z')}\n`,
  );
  assert.match(shown.out, /succeeded[\s\S]*hello from hello, due at /);
  assert.ok(alone.out.includes(String(execution['output'])), alone.out);
  assert.ok((fires.body['items'] as { outcome: string }[]).some(({ outcome }) => outcome === 'ran'));
  assert.deepEqual([ended.code, shown.code, alone.code], [0, 0, 0]);
  assert.ok(firstMs < FIRST_MS_MAX, `the first output was there after ${firstMs} ms`);
});
