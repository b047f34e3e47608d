/**
 * Which instants a schedule names. A cron line names an instant if, and only if, the wall clock of its zone then fits
 * the line: what lies in a gap does not exist, what lies in a repeated hour comes twice. So a zone is walked stretch
 * by stretch; within one, local time is the instant plus a constant.
 *
 * Everything is a function of schedule and context: where the asking starts makes no difference.
 */
import { unreachable } from '../base/errors.ts';
import type { CronLine } from './cron-text.ts';
import type { Schedule } from './schedule.ts';
import { countWallSeconds, nextWallSecond, previousWallSecond } from './wall-clock.ts';
import { stretchAt, stretchEndMs, stretchOffsetMs, stretchStartMs, type ZoneTable } from './zone.ts';

export interface ScheduleContext {
  /** Of the schedule's prefix, else of the job, else of the cluster. */
  readonly zone: ZoneTable;
  /** Where `@every` counts from, a whole second. */
  readonly anchorMs: number;
}

export interface InstantCount {
  readonly count: number;
  /** null when there are none. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
}

/**
 * The first instant strictly after one; null when there is none, or none within the next 100 years (a line that fits
 * any date at all fits one at least every 8 years).
 */
export function nextInstant(schedule: Schedule, context: ScheduleContext, afterMs: number): number | null {
  switch (schedule.type) {
    case 'manual':
      return null;
    case 'at':
      return schedule.atMs > afterMs ? schedule.atMs : null;
    case 'every': {
      const passed = Math.max(0, Math.floor((afterMs - context.anchorMs) / schedule.intervalMs));
      return context.anchorMs + (passed + 1) * schedule.intervalMs;
    }
    case 'cron':
      return nextOfLine(schedule.line, context.zone, afterMs);
    default:
      return unreachable(schedule);
  }
}

/** The last instant at or before one; null when there is none, or none within the 100 years before. */
export function previousInstant(schedule: Schedule, context: ScheduleContext, untilMs: number): number | null {
  switch (schedule.type) {
    case 'manual':
      return null;
    case 'at':
      return schedule.atMs <= untilMs ? schedule.atMs : null;
    case 'every': {
      const passed = Math.floor((untilMs - context.anchorMs) / schedule.intervalMs);
      return passed >= 1 ? context.anchorMs + passed * schedule.intervalMs : null;
    }
    case 'cron':
      return previousOfLine(schedule.line, context.zone, untilMs);
    default:
      return unreachable(schedule);
  }
}

/**
 * The instants in (from, to]. Costs a step for each month and each change of offset, however many instants there are,
 * so no limit is needed.
 */
export function countInstants(
  schedule: Schedule,
  context: ScheduleContext,
  fromMs: number,
  toMs: number,
): InstantCount {
  const firstMs = toMs > fromMs ? nextInstant(schedule, context, fromMs) : null;
  if (firstMs === null || firstMs > toMs) return { count: 0, firstMs: null, lastMs: null };
  const lastMs = previousInstant(schedule, context, toMs);
  switch (schedule.type) {
    case 'every':
      return { count: ((lastMs ?? firstMs) - firstMs) / schedule.intervalMs + 1, firstMs, lastMs };
    case 'cron':
      return { count: countOfLine(schedule.line, context.zone, fromMs, toMs), firstMs, lastMs };
    case 'at':
    case 'manual':
      return { count: 1, firstMs, lastMs };
    default:
      return unreachable(schedule);
  }
}

const SEARCH_MS = 100 * 366 * 86_400_000;

function nextOfLine(line: CronLine, zone: ZoneTable, afterMs: number): number | null {
  const horizonMs = afterMs + SEARCH_MS;
  let fromMs = secondAfter(afterMs);
  for (let stretch = stretchAt(zone, fromMs); fromMs < horizonMs; stretch += 1) {
    const offsetMs = stretchOffsetMs(zone, stretch);
    const endMs = stretchEndMs(zone, stretch);
    const limitMs = Math.min(endMs, horizonMs);
    const second = nextWallSecond(line, (fromMs + offsetMs) / 1_000, (limitMs + offsetMs) / 1_000);
    if (second !== null) return second * 1_000 - offsetMs;
    fromMs = endMs;
  }
  return null;
}

function previousOfLine(line: CronLine, zone: ZoneTable, untilMs: number): number | null {
  const horizonMs = untilMs - SEARCH_MS;
  let toMs = secondAfter(untilMs) - 1_000;
  for (let stretch = stretchAt(zone, toMs); toMs > horizonMs; stretch -= 1) {
    const offsetMs = stretchOffsetMs(zone, stretch);
    const startMs = stretchStartMs(zone, stretch);
    const limitMs = Math.max(startMs, horizonMs);
    const second = previousWallSecond(line, (toMs + offsetMs) / 1_000, (limitMs + offsetMs) / 1_000);
    if (second !== null) return second * 1_000 - offsetMs;
    toMs = startMs - 1_000;
  }
  return null;
}

function countOfLine(line: CronLine, zone: ZoneTable, fromMs: number, toMs: number): number {
  const behindMs = secondAfter(toMs);
  let startMs = secondAfter(fromMs);
  let count = 0;
  for (let stretch = stretchAt(zone, startMs); startMs < behindMs; stretch += 1) {
    const offsetMs = stretchOffsetMs(zone, stretch);
    const endMs = Math.min(stretchEndMs(zone, stretch), behindMs);
    count += countWallSeconds(line, (startMs + offsetMs) / 1_000, (endMs + offsetMs) / 1_000);
    startMs = endMs;
  }
  return count;
}

/** The first whole second strictly after an instant. */
function secondAfter(instantMs: number): number {
  return Math.floor(instantMs / 1_000) * 1_000 + 1_000;
}
