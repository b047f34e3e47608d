/** The promise about nominal times: each has exactly one outcome, and nothing was started that no outcome tells of. */
import type { Fire } from '../helpers/fires.ts';
import type { ScheduledJob, Start } from './schedules.ts';

export interface FiresOfJob {
  readonly job: ScheduledJob;
  /** Oldest first. */
  readonly fires: readonly Fire[];
  readonly starts: readonly Start[];
  /** Nominal times up to here must be there. */
  readonly untilMs: number;
}

/** One text for each thing that cannot be. */
export function judgeFires({ job, fires, starts, untilMs }: FiresOfJob): readonly string[] {
  const violations: string[] = [];
  const tell = (text: string): void => {
    violations.push(`${job.name}: ${text}`);
  };
  const ran = new Set<number>();
  let dueMs = job.firstMs;
  for (const fire of fires) {
    const { outcome, scheduled_at: scheduledAt, first = scheduledAt, last = scheduledAt, count = 1 } = fire;
    const [firstMs, lastMs] = [Date.parse(String(first)), Date.parse(String(last))];
    if (!OUTCOMES.has(outcome)) tell(`a nominal time without an outcome: ${JSON.stringify(fire)}`);
    if (firstMs > dueMs) tell(`nothing is said of ${iso(dueMs)} to ${iso(firstMs - job.everyMs)}`);
    if (firstMs < dueMs) tell(`told twice, or out of order: ${JSON.stringify(fire)} where ${iso(dueMs)} is due`);
    if (lastMs !== firstMs + (count - 1) * job.everyMs) tell(`a stretch that does not count: ${JSON.stringify(fire)}`);
    if (outcome === 'ran') ran.add(firstMs);
    dueMs = lastMs + job.everyMs;
  }
  if (dueMs <= untilMs) tell(`nothing is said of ${iso(dueMs)} to ${iso(untilMs)}`);
  const started = new Map<number, Start>();
  for (const start of starts) {
    if (!ran.has(start.scheduledAtMs)) tell(`${start.execution} was started, and no fire says that it ran`);
    const other = started.get(start.scheduledAtMs);
    if (other !== undefined) tell(`${iso(start.scheduledAtMs)} was run twice: ${other.execution}, ${start.execution}`);
    started.set(start.scheduledAtMs, start);
  }
  return violations;
}

/** An attempt is started at most once. */
export function judgeStarts(starts: readonly Start[]): readonly string[] {
  const seen = new Set<string>();
  const violations: string[] = [];
  for (const { execution } of starts) {
    if (seen.has(execution)) violations.push(`execution ${execution} was started twice`);
    seen.add(execution);
  }
  return violations;
}

const OUTCOMES = new Set(['ran', 'skipped', 'missed']);

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
