import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DevNode, startDevNode, until } from '../helpers/dev-node.ts';

const FIRST_MS_MAX = 2_000;
/** The machine may be busy with something else; a start that is too slow by itself is so each time. */
const STARTS_MAX = 4;

test('the sample job fires, and its output is visible by CLI and HTTP', async () => {
  const node = await startDevNode({ args: ['--sample'] });

  const execution = await sampleExecution(node);
  const health = await node.call('GET', '/health');
  const fires = await node.call('GET', '/v1/jobs/hello/fires');
  const listed = await node.cli('job', 'executions', 'hello', '--output');
  const single = await node.cli('job', 'executions', 'hello', String(execution['id']));
  const healthy = await node.cli('health');
  const ended = await node.stop();

  const output = `hello from hello, due at ${String(execution['scheduled_at']).replace('Z', '.000Z')}\n`;
  assert.equal(execution['output'], output);
  assert.equal(health.body['status'], 'healthy');
  assert.ok((fires.body['items'] as { outcome: string }[]).some(({ outcome }) => outcome === 'ran'));
  assert.match(listed.out, /succeeded[\s\S]*hello from hello, due at /);
  assert.ok(single.out.includes(output), single.out);
  assert.match(healthy.out, /^healthy\n/);
  assert.deepEqual([ended.code, listed.code, single.code, healthy.code], [0, 0, 0, 0]);
});

test('that is so within two seconds of the start of the process', async (t) => {
  const tookMs: number[] = [];
  while (tookMs.length < STARTS_MAX && !tookMs.some((ms) => ms < FIRST_MS_MAX)) {
    const beganMs = performance.now();
    const node = await startDevNode({ args: ['--sample'] });
    await sampleExecution(node);
    tookMs.push(Math.round(performance.now() - beganMs));
    t.diagnostic(`up after ${node.startMs} ms, first output after ${tookMs.at(-1)} ms`);
    await node.stop();
  }

  assert.ok(Math.min(...tookMs) < FIRST_MS_MAX, `the first output was there after ${tookMs.join(', ')} ms`);
});

function sampleExecution(node: DevNode): Promise<Readonly<Record<string, unknown>>> {
  return until('an execution of the sample job with its output', async () => {
    const { items } = await node.call('GET', '/v1/jobs/hello/executions');
    return items.find(({ outcome, output }) => outcome === 'succeeded' && typeof output === 'string');
  });
}
