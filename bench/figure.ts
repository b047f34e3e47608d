/** What a question answers with, and the floors that the project has set itself. */

/** Columns of the report, in this order. Names end in their unit. */
export const MEASURES = [
  'perSecond',
  'p50Ms',
  'p90Ms',
  'p99Ms',
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

/** On two cores, jobs with `my_role=web:1`. */
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

export interface Judged {
  readonly floor: Floor;
  readonly value: number | null;
  readonly verdict: 'met' | 'not met' | 'not measured';
}

export function judge(figures: readonly Figure[]): readonly Judged[] {
  return FLOORS.map((asked) => {
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
