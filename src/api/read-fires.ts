/** The fires of a job as clients see them: stretches that ran are shown instant by instant, the others as they are. */

import { runIdOf } from '../jobs/ids.ts';
import { previousInstant, type ScheduleContext } from '../jobs/next.ts';
import { isFinished } from '../jobs/run.ts';
import type { Schedule } from '../jobs/schedule.ts';
import type { Schedules } from '../scheduler/chain.ts';
import {
  type ExecutionRow,
  type FireRow,
  type GenerationRow,
  type JobRow,
  keys,
  type RunRow,
} from '../scheduler/rows.ts';
import type { FireView } from '../scheduler/views.ts';
import type { DiskReader } from './disk-reader.ts';

export interface FireRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly limit: number;
  /** The first instant of the last item of the page before. */
  readonly cursor: string | null;
}

export async function readFires(
  reader: DiskReader,
  schedules: Schedules,
  row: JobRow,
  range: FireRange,
): Promise<{ readonly items: readonly FireView[]; readonly next: string | null }> {
  const beforeMs = range.cursor === null ? Number.POSITIVE_INFINITY : Number(range.cursor);
  const untilMs = Math.min(range.toMs, beforeMs - 1);
  const items: FireView[] = [];
  for await (const fire of newestFirst(reader, row.uid, untilMs)) {
    if (fire.lastMs < range.fromMs) break;
    for (const item of itemsOf(reader, schedules, row, fire, range.fromMs, untilMs)) {
      if (items.length === range.limit) return { items, next: String((items.at(-1) as FireView).firstMs) };
      items.push(item);
    }
  }
  return { items, next: null };
}

const ROWS_PER_PAGE = 100;

async function* newestFirst(reader: DiskReader, uid: string, untilMs: number): AsyncIterable<FireRow> {
  const from = keys.fire(uid, 0);
  let to = keys.fire(uid, Math.min(untilMs + 1, 999_999_999_999_999));
  for (;;) {
    const rows = await reader.page(from, to, ROWS_PER_PAGE, true);
    for (const { key } of rows) {
      const fire = reader.get<FireRow>(key);
      if (fire !== undefined) yield fire;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_PAGE) return;
    to = last.key;
  }
}

function* itemsOf(
  reader: DiskReader,
  schedules: Schedules,
  row: JobRow,
  fire: FireRow,
  fromMs: number,
  untilMs: number,
): Iterable<FireView> {
  if (fire.outcome !== 'ran' && fire.outcome !== 'open') {
    yield viewOf(fire, fire.firstMs, fire.lastMs, fire.count, null, null);
    return;
  }
  const reading = readingOf(reader, schedules, row, fire.generation);
  let instantMs: number | null =
    fire.count === 1
      ? fire.firstMs
      : previousInstant(reading.schedule, reading.context, Math.min(fire.lastMs, untilMs));
  while (instantMs !== null && instantMs >= Math.max(fire.firstMs, fromMs)) {
    const run = runIdOf(row.uid, 's', instantMs);
    yield viewOf(fire, instantMs, instantMs, 1, run, latenessOf(reader, row.uid, instantMs));
    instantMs = fire.count === 1 ? null : previousInstant(reading.schedule, reading.context, instantMs - 1);
  }
}

function viewOf(
  fire: FireRow,
  firstMs: number,
  lastMs: number,
  count: number,
  run: string | null,
  latenessMs: number | null,
): FireView {
  const { outcome, reason, lastIndex } = fire;
  return { firstMs, lastMs, count, outcome, reason, run, latenessMs, merged: 1, index: lastIndex };
}

/** Start of the first attempt after the nominal time; null once the run is no longer kept. */
function latenessOf(reader: DiskReader, uid: string, nominalMs: number): number | null {
  const key = `s${nominalMs}`;
  const run = reader.get<RunRow>(keys.run(uid, key));
  if (run === undefined || !(isFinished(run.state) || run.hasStarted)) return null;
  const execution = reader.get<ExecutionRow>(keys.execution(uid, key, 0, 1));
  return execution?.startedMs == null ? null : Math.max(0, execution.startedMs - nominalMs);
}

function readingOf(
  reader: DiskReader,
  schedules: Schedules,
  row: JobRow,
  generation: number,
): { readonly schedule: Schedule; readonly context: ScheduleContext } {
  const old = reader.get<GenerationRow>(keys.generation(row.uid, generation));
  const job = old === undefined ? row.job : { ...row.job, schedule: old.schedule, parentJob: '' };
  return schedules.sourceOf({ job, zone: old?.zone ?? row.zone, anchorMs: old?.anchorMs ?? row.anchorMs }, 0);
}
