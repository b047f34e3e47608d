import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWrk } from '../../bench/etcd-wrk.ts';

test("wrk's report is read, and one that tells of errors is refused", () => {
  const report = [
    '  Latency Distribution',
    '     50%  785.00us',
    '     99%    1.20s ',
    '  9432 requests in 8.00s, 2.90MB read',
    'Requests/sec:   1179.25',
  ];

  assert.deepEqual(readWrk(report.join('\n')), { perSecond: 1_179.25, p50Ms: 0.785, p99Ms: 1_200 });
  assert.throws(() => readWrk([...report, '  Non-2xx or 3xx responses: 12'].join('\n')), /Non-2xx/);
  assert.throws(() => readWrk(report.slice(2).join('\n')), /wrk: /);
});
