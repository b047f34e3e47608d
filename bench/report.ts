/** The report, for people as Markdown and for programs as JSON. */
import { type Figure, FLOORS, type Floor, type Judged, judge, MEASURES, type Measure } from './figure.ts';
import type { Scale } from './harness.ts';
import type { Machine, SyncFacts } from './machine.ts';

export interface Section {
  readonly question: string;
  /** Measured right before the question. */
  readonly sync: SyncFacts;
  readonly figures: readonly Figure[];
  /** Why it has no figures. */
  readonly error?: string;
}

export interface Report {
  readonly machine: Machine;
  readonly scale: Scale;
  readonly sections: readonly Section[];
  readonly floors: readonly Judged[];
}

export function makeReport(
  machine: Machine,
  scale: Scale,
  sections: readonly Section[],
  asked: readonly Floor[] = FLOORS,
): Report {
  const floors = judge(
    sections.flatMap(({ figures }) => figures),
    asked,
  );
  return { machine, scale, sections, floors };
}

export function writeMarkdown({ machine, scale, sections, floors }: Report): string {
  const best = scale.bestOf === 1 ? 'measured once' : `the best of ${scale.bestOf}`;
  const lines = [
    '# Carillon: what was measured',
    '',
    `- ${machine.date}; carillon ${machine.carillon}, commit ${machine.commit}; Node ${machine.node}`,
    `- ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes.toFixed(1)} GiB, Linux ${machine.kernel}; load ${machine.load.toFixed(2)} before the first question`,
    `- ${scale.seconds} s a figure, ${best}, after a warm-up of ${writeNumber(scale.warmUpCalls)} calls or ${scale.warmUpSeconds} s; load and node on the same cores`,
    '',
    '## Floors',
    '',
    ...table(
      ['Question', 'What', 'Floor', 'Measured', ''],
      floors.map(({ floor, value, verdict }) => [
        floor.question,
        floor.label,
        `${TITLES[floor.measure]} ${floor.bound} ${writeNumber(floor.value)}`,
        value === null ? '' : writeNumber(value),
        verdict === 'not met' ? '**not met**' : verdict,
      ]),
    ),
  ];
  for (const section of sections) lines.push('', ...writeSection(section));
  return `${lines.join('\n')}\n`;
}

function writeSection({ question, sync, figures, error }: Section): string[] {
  const columns = MEASURES.filter((measure) => figures.some(({ measures }) => measures[measure] !== undefined));
  const rows = figures.map(({ label, measures }) => [
    label,
    ...columns.map((measure) => {
      const value = measures[measure];
      return value === undefined ? '' : writeNumber(value);
    }),
  ]);
  const lines = [
    `## ${question}`,
    '',
    `Append of 256 B with fdatasync just before: ${writeNumber(sync.perSecond)}/s, p50 ${writeNumber(sync.p50Ms)} ms, p99 ${writeNumber(sync.p99Ms)} ms.`,
    '',
  ];
  if (error !== undefined) lines.push(`**Not measured**: ${error}`, '');
  if (figures.length > 0) lines.push(...table(['', ...columns.map((measure) => TITLES[measure])], rows));
  const notes = new Map(figures.map(({ label, note }) => [label, note]));
  const said = [...notes].filter(([, note]) => note !== undefined);
  if (said.length > 0) lines.push('', ...said.map(([label, note]) => `- ${label}: ${note}`));
  return lines;
}

const TITLES: Readonly<Record<Measure, string>> = {
  perSecond: 'per second',
  p50Ms: 'p50 ms',
  p90Ms: 'p90 ms',
  p99Ms: 'p99 ms',
  p999Ms: 'p99.9 ms',
  maxMs: 'max ms',
  sharePercent: 'share %',
  count: 'count',
  megabytes: 'MB',
  nodeCpuUs: 'node CPU µs each',
  clientCpuUs: 'client CPU µs each',
  othersCpuPercent: 'other programs CPU %',
};

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Three digits that mean something, no more. */
function writeNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
