/** Each question is asked for a moment on a real node. What matters here is that it answers, not what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bulk } from '../../bench/bulk.ts';
import { type Figure, FLOORS, judge } from '../../bench/figure.ts';
import { type BenchContext, FULL_SCALE, type Question, startNode } from '../../bench/harness.ts';
import { herd } from '../../bench/herd.ts';
import { idle } from '../../bench/idle.ts';
import { Latencies } from '../../bench/latencies.ts';
import { list } from '../../bench/list.ts';
import { describeMachine, measureSync } from '../../bench/machine.ts';
import { silentProgress } from '../../bench/progress.ts';
import { put } from '../../bench/put.ts';
import { makeReport, writeMarkdown } from '../../bench/report.ts';
import { runAndWait } from '../../bench/run-and-wait.ts';

const QUESTIONS: readonly (readonly [string, Question])[] = [
  ['idle', idle],
  ['run-and-wait', runAndWait],
  ['bulk', bulk],
  ['put', put],
  ['list', list],
  ['herd', herd],
];

const SMALL: BenchContext = {
  scale: {
    ...FULL_SCALE,
    seconds: 0.3,
    warmUpCalls: 20,
    warmUpSeconds: 0.2,
    clientCounts: [1, 32],
    bulkInFlight: 50,
    herdJobs: 5,
    herdEverySeconds: 1,
    herdSeconds: 2,
    listJobs: 60,
    idleSettleMs: 100,
  },
  progress: silentProgress,
  open: () => startNode(),
  startNode,
};

for (const [question, ask] of QUESTIONS) {
  test(`the bench measures every floor of ${question}`, { timeout: 120_000 }, async () => {
    const floors = FLOORS.filter((floor) => floor.question === question);

    const figures = await ask(SMALL);

    assert.ok(figures.every((figure) => figure.question === question));
    for (const { measures, label } of figures) {
      const values = Object.entries(measures);
      assert.ok(values.length > 0, label);
      for (const [name, value] of values) assert.ok(Number.isFinite(value) && value >= 0, `${label}: ${name} ${value}`);
    }
    const judged = judge(figures).filter(({ floor }) => floor.question === question);
    assert.equal(judged.length, floors.length);
    assert.deepEqual(
      judged.filter(({ verdict }) => verdict === 'not measured'),
      [],
    );
  });
}

test('the report says for every floor whether it is met, and on what machine', () => {
  const figures: readonly Figure[] = [
    { question: 'put', label: 'put a new job, 32 clients', measures: { perSecond: 3_000, p50Ms: 1.23456 } },
    { question: 'list', label: 'a page of 25, 1 client', measures: { p50Ms: 5.1 }, note: 'a note' },
  ];
  const sync = { perSecond: 1_000, p50Ms: 1, p99Ms: 2 };
  const sections = [
    { question: 'put', sync, figures: figures.slice(0, 1) },
    { question: 'list', sync, figures: figures.slice(1) },
    { question: 'bulk', sync, figures: [], error: 'the node did not start' },
  ];
  const machine = describeMachine();

  const report = makeReport(machine, FULL_SCALE, sections);
  const text = writeMarkdown(report);

  assert.match(text, /\| put \| put a new job, 32 clients \| per second at least 3,000 \| 3,000 \| met \|/);
  assert.match(text, /\| list \| a page of 25, 1 client \| p50 ms at most 5 \| 5\.1 \| \*\*not met\*\* \|/);
  assert.match(text, /\| bulk \| no-op function runs \| .* \|\s+\| not measured \|/);
  assert.match(text, /Not measured\*\*: the node did not start/);
  assert.match(text, /- a page of 25, 1 client: a note/);
  assert.ok(text.includes(machine.node) && text.includes(machine.kernel) && text.includes(machine.carillon));
});

test('a histogram tells percentiles to about one percent and the greatest exactly', () => {
  const latencies = new Latencies();

  for (let ms = 1; ms <= 1_000; ms += 1) latencies.add(ms);

  const { p50Ms, p90Ms, p99Ms, maxMs } = latencies.measures();
  for (const [value, wanted] of [
    [p50Ms, 500],
    [p90Ms, 900],
    [p99Ms, 990],
  ] as const) {
    assert.ok(value >= wanted && value <= wanted * 1.012, `${value} for ${wanted}`);
  }
  assert.equal(maxMs, 1_000);
});

test('the disk is measured by appends that it has confirmed', () => {
  const { perSecond, p50Ms, p99Ms } = measureSync(20);

  assert.ok(perSecond > 0 && p50Ms > 0 && p99Ms >= p50Ms);
});
