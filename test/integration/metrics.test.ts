import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDevNode, until } from '../helpers/dev-node.ts';

const NAMES = [
  'carillon_lateness_seconds',
  'carillon_fires_total',
  'carillon_executions_total',
  'carillon_raft_leader',
  'carillon_raft_term',
  'carillon_raft_fsync_seconds',
  'carillon_nats_connected',
  'carillon_slots',
  'carillon_outbox_entries',
];

test('after a run by schedule all metrics have values, and none names a job', async () => {
  const node = await startDevNode();

  await node.call('POST', '/v1/jobs', { body: { name: 'each-second', command: 'true', schedule: '* * * * * *' } });
  const text = await until('a run by schedule has been counted', async () => {
    const answer = await node.call('GET', '/metrics');
    const isCounted = /^carillon_executions_total\{[^}]*outcome="succeeded"[^}]*\} [1-9]/m.test(answer.text);
    return isCounted && /^carillon_fires_total\{[^}]*outcome="ran"[^}]*\} [1-9]/m.test(answer.text)
      ? answer.text
      : undefined;
  });
  await node.stop();

  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const name of NAMES) {
    assert.match(text, new RegExp(`^# TYPE ${name} (gauge|counter|histogram)$`, 'm'));
    assert.ok(
      series.some((line) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(line)),
      `${name} has no value`,
    );
  }
  assert.match(text, /^carillon_fires_total\{[^}]*reason="[^}]*\} [1-9]/m);
  assert.match(text, /^carillon_slots\{[^}]*state="free"[^}]*\} [1-9]/m);
  assert.match(text, /^carillon_raft_leader(\{[^}]*\})? 1$/m);
  assert.match(text, /^carillon_raft_fsync_seconds_count(\{[^}]*\})? [1-9]/m);
  assert.match(text, /^carillon_lateness_seconds_count(\{[^}]*\})? [1-9]/m);
  assert.deepEqual(
    series.filter((line) => /[{,]job(_name)?="|each-second/.test(line)),
    [],
  );
});
