import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRICS } from '../../src/base/metrics.ts';
import { createPromMetrics, mergePromTexts } from '../../src/base/prom-metrics.ts';

test('each name of the table can be used by its kind with its labels', async () => {
  const metrics = createPromMetrics();

  for (const [name, row] of Object.entries(METRICS)) {
    const labels = Object.fromEntries(row.labels.map((label) => [label, 'x']));
    if (row.kind === 'counter') metrics.count(name, labels);
    if (row.kind === 'gauge') metrics.gauge(name, 1, labels);
    if (row.kind === 'histogram') metrics.observe(name, 0.01, labels);
  }

  const text = await metrics.text();
  for (const [name, row] of Object.entries(METRICS)) {
    assert.match(text, new RegExp(`^# TYPE ${name} ${row.kind}$`, 'm'));
    assert.ok(row.help.endsWith('.'), name);
  }
});

test('an unknown name, a wrong kind and a wrong label throw', () => {
  const metrics = createPromMetrics();

  assert.throws(() => metrics.count('carillon_typo_total'), /unknown metric carillon_typo_total/);
  assert.throws(() => metrics.gauge('carillon_fires_total', 1), /is a counter, not a gauge/);
  assert.throws(() => metrics.count('carillon_fires_total', { job: 'a' }), /job/);
});

test('counters add up, gauges are set, histograms keep to their buckets', async () => {
  const metrics = createPromMetrics();

  metrics.count('carillon_executions_total', { outcome: 'failed' });
  metrics.count('carillon_executions_total', { outcome: 'failed' }, 2);
  metrics.gauge('carillon_jobs', 5);
  metrics.gauge('carillon_jobs', 4);
  metrics.observe('carillon_raft_fsync_seconds', 0.0004);

  const text = await metrics.text();
  assert.match(text, /^carillon_executions_total\{outcome="failed"\} 3$/m);
  assert.match(text, /^carillon_jobs 4$/m);
  assert.match(text, /^carillon_raft_fsync_seconds_bucket\{le="0.0005"\} 1$/m);
});

test('the figures of the process are shown by the thread that is asked to', async () => {
  const text = await createPromMetrics({ process: true }).text();

  const rss = /^process_resident_memory_bytes (\d+)$/m.exec(text);
  assert.ok(Number(rss?.[1]) > 10_000_000);
  assert.match(text, /^process_cpu_seconds_total [\d.]+$/m);
  assert.doesNotMatch(await createPromMetrics().text(), /process_/);
});

test('threads are put together: one head a family, and a label where a family repeats', async () => {
  const main = createPromMetrics();
  const consensus = createPromMetrics();
  main.count('carillon_dead_letters_total', { actor: 'raft' });
  consensus.count('carillon_dead_letters_total', { actor: 'raft' });
  consensus.gauge('carillon_raft_term', 3);
  main.gauge('carillon_jobs', 1);
  consensus.gauge('carillon_jobs', 2);
  main.gauge('carillon_thread_up', 1, { thread: 'main' });
  consensus.gauge('carillon_thread_up', 1, { thread: 'consensus' });

  const text = mergePromTexts(
    new Map([
      ['main', await main.text()],
      ['consensus', await consensus.text()],
    ]),
  );

  const lines = text.split('\n').filter((line) => !line.startsWith('# HELP'));
  assert.deepEqual(lines, [
    '# TYPE carillon_dead_letters_total counter',
    'carillon_dead_letters_total{thread="main",actor="raft"} 1',
    'carillon_dead_letters_total{thread="consensus",actor="raft"} 1',
    '# TYPE carillon_jobs gauge',
    'carillon_jobs{thread="main"} 1',
    'carillon_jobs{thread="consensus"} 2',
    '# TYPE carillon_thread_up gauge',
    'carillon_thread_up{thread="main"} 1',
    'carillon_thread_up{thread="consensus"} 1',
    '# TYPE carillon_raft_term gauge',
    'carillon_raft_term 3',
    '',
  ]);
});
