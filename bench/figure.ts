/** What a question answers with, and the floors that the project has set itself. */

/** Columns of the report, in this order. Names end in their unit. */
export const MEASURES = [
  'perSecond',
  'p50Ms',
  'p90Ms',
  'p99Ms',
  'p999Ms',
  'maxMs',
  'sharePercent',
  'count',
  'megabytes',
  'nodeCpuUs',
  'clientCpuUs',
  'othersCpuPercent',
] as const;

export type Measure = (typeof MEASURES)[number];

/** One line of the report. */
export interface Figure {
  readonly question: string;
  /** What was done, with how many clients: `shell echo, 8 clients`. */
  readonly label: string;
  readonly measures: Readonly<Partial<Record<Measure, number>>>;
  /** What a reader must know to judge the line; a failure to measure is said here too. */
  readonly note?: string;
}

export interface Floor {
  readonly question: string;
  readonly label: string;
  readonly measure: Measure;
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

/** One node on two cores, jobs with `my_role=web:1`. */
export const FLOORS: readonly Floor[] = [
  floor('run-and-wait', 'shell echo, 1 client', 'p50Ms', 'at most', 5),
  floor('run-and-wait', 'shell echo, 32 clients', 'perSecond', 'at least', 500),
  floor('run-and-wait', 'no-op function, 1 client', 'p50Ms', 'at most', 2),
  floor('run-and-wait', 'no-op function, 32 clients', 'perSecond', 'at least', 2_000),
  floor('bulk', 'no-op function runs', 'perSecond', 'at least', 3_000),
  floor('herd', 'no-op function, nominal to start', 'sharePercent', 'at least', 100),
  floor('put', 'put a new job, 32 clients', 'perSecond', 'at least', 3_000),
  floor('list', 'a page of 25, 1 client', 'p50Ms', 'at most', 5),
  floor('idle', 'resident, node process', 'megabytes', 'at most', 150),
  floor('idle', 'start to the first finished run of the sample', 'maxMs', 'at most', 2_000),
];

/** Three servers, two agents and their NATS, all on two cores. */
export const CLUSTER_FLOORS: readonly Floor[] = [
  floor('run-and-wait', 'shell echo, 1 client', 'p50Ms', 'at most', 8),
  floor('run-and-wait', 'shell echo, 32 clients', 'perSecond', 'at least', 400),
  floor('run-and-wait', 'no-op function, 1 client', 'p50Ms', 'at most', 4),
  floor('bulk', 'no-op function runs', 'perSecond', 'at least', 2_000),
  floor('herd', 'no-op function, nominal to start', 'sharePercent', 'at least', 100),
  floor('herd', 'no-op function, nominal to start', 'p99Ms', 'at most', 2_500),
  ...['s1', 's2', 's3'].map((name) => floor('herd', `resident at most, ${name}`, 'megabytes', 'at most', 300)),
  floor('put', 'put a new job, 32 clients', 'perSecond', 'at least', 2_000),
  ...['s1', 's2', 's3'].map((name) => floor('idle', `resident, ${name}`, 'megabytes', 'at most', 150)),
  ...['a1', 'a2'].map((name) => floor('idle', `resident, ${name}`, 'megabytes', 'at most', 100)),
];

/** Three Raft hosts or servers with their nats-server, and the load, on two cores. */
export const RAFT_FLOORS: readonly Floor[] = [
  floor('raft', 'commit 256 B, 1 client', 'p50Ms', 'at most', 1.2),
  floor('raft', 'commit 256 B, 256 in flight', 'perSecond', 'at least', 20_000),
  floor('raft', 'commit 256 B, 256 in flight', 'p99Ms', 'at most', 40),
  floor('raft', 'event loop delay of the leading consensus thread, 256 in flight', 'p999Ms', 'at most', 60),
  floor('raft-slow-disk', 'elections meanwhile', 'count', 'at most', 0),
  floor('job-put', 'job.put over NATS, 256 in flight', 'perSecond', 'at least', 5_000),
  floor('failover', 'kill -9 of the leader to the first acknowledged write', 'p50Ms', 'at most', 300),
  floor('failover', 'kill -9 of the leader to the first acknowledged write', 'p99Ms', 'at most', 1_500),
  floor('failover', 'SIGSTOP of the leader to the first acknowledged write', 'p50Ms', 'at most', 1_200),
];

export interface Judged {
  readonly floor: Floor;
  readonly value: number | null;
  readonly verdict: 'met' | 'not met' | 'not measured';
}

export function judge(figures: readonly Figure[], floors = FLOORS): readonly Judged[] {
  return floors.map((asked) => {
    const figure = figures.find(({ question, label }) => question === asked.question && label === asked.label);
    const value = figure?.measures[asked.measure];
    if (value === undefined) return { floor: asked, value: null, verdict: 'not measured' };
    const isMet = asked.bound === 'at least' ? value >= asked.value : value <= asked.value;
    return { floor: asked, value, verdict: isMet ? 'met' : 'not met' };
  });
}

function floor(question: string, label: string, measure: Measure, bound: Floor['bound'], value: number): Floor {
  return { question, label, measure, bound, value };
}
