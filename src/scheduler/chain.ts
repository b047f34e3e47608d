/**
 * From a job's rows to the next links of its cursor chain. Used by the leader only: `apply` gets the outcome stamped
 * into commands, and never computes an instant.
 */
import { closeFires, type FireSource, nextDue, type PlannedFire, planFires } from '../jobs/catch-up.ts';
import type { Job } from '../jobs/job.ts';
import { zoneOf } from '../jobs/job-check.ts';
import { nextInstant } from '../jobs/next.ts';
import { parseSchedule, type Schedule } from '../jobs/schedule.ts';
import { UTC, type Zones } from '../jobs/zone.ts';
import type { Closing, FireItem, Opening } from './command.ts';
import type { JobRow, StatusRow } from './rows.ts';

/** Each missed instant of the last minute runs on its own; of what is older, at most the newest. */
export const CATCH_UP_WINDOW_MS = 60_000;
/** Runs of one job in one command; the rest follows with the next. */
const RUNS_PER_PLAN = 100;
/** Different texts kept compiled; beyond, the oldest is compiled again when needed. */
const COMPILED_MAX = 50_000;

/** Compiles schedule texts once, however many jobs use them. */
export class Schedules {
  readonly #compiled = new Map<string, Schedule>();
  readonly zones: Zones;

  constructor(zones: Zones) {
    this.zones = zones;
  }

  /** Of a job that passed the doors. A text that this version cannot read never fires. */
  of(job: Job): Schedule {
    if (job.parentJob !== '') return MANUAL;
    const known = this.#compiled.get(job.schedule);
    if (known !== undefined) return known;
    const parsed = parseSchedule(job.schedule);
    const schedule = parsed.type === 'schedule' ? parsed.schedule : MANUAL;
    if (this.#compiled.size >= COMPILED_MAX) {
      const oldest = this.#compiled.keys().next().value;
      if (oldest !== undefined) this.#compiled.delete(oldest);
    }
    this.#compiled.set(job.schedule, schedule);
    return schedule;
  }

  sourceOf(row: Pick<JobRow, 'job' | 'zone' | 'anchorMs'>, cursorMs: number): FireSource {
    return {
      schedule: this.of(row.job),
      context: { zone: this.zones.table(row.zone) ?? UTC, anchorMs: row.anchorMs },
      cursorMs,
      startsAtMs: row.job.startsAtMs,
      expiresAtMs: row.job.expiresAtMs,
    };
  }
}

const MANUAL: Schedule = { type: 'manual' };

/** What is due for a job until now, as links without targets yet. */
export function dueItems(schedules: Schedules, row: JobRow, status: StatusRow, nowMs: number): readonly FireItem[] {
  // Its instants become one stretch when it is enabled again; who asks may not have heard that it was disabled.
  if (row.job.disabled) return [];
  const source = schedules.sourceOf(row, status.cursorMs);
  const plan = planFires({ ...source, nowMs, windowMs: CATCH_UP_WINDOW_MS, max: RUNS_PER_PLAN });
  return link(row, source, plan.items);
}

/** The rest of the present generation up to now; undefined when so much is due that it must fire first. */
export function closeChain(schedules: Schedules, row: JobRow, status: StatusRow, nowMs: number): Closing | undefined {
  const source = schedules.sourceOf(row, status.cursorMs);
  const items = row.job.disabled
    ? link(row, source, closeFires({ ...source, untilMs: nowMs, outcome: 'skipped', reason: 'disabled' }))
    : dueItems(schedules, row, status, nowMs);
  const last = items.at(-1);
  const cursorMs = last?.lastMs ?? status.cursorMs;
  const nextMs = nextInstant(source.schedule, source.context, cursorMs);
  if (nextMs !== null && nextMs <= nowMs) return undefined;
  return { uid: row.uid, generation: row.generation, cursorMs: status.cursorMs, items, nextMs };
}

/** How a job reads its schedule from now on. `anchorMs` stays for the life of a uid. */
export function openChain(
  schedules: Schedules,
  job: Job,
  origin: { readonly nowMs: number; readonly anchorMs: number | null; readonly defaultZone: string },
): Opening {
  const schedule = schedules.of(job);
  const zone = zoneOf(schedule, job.timezone, origin.defaultZone);
  const anchorMs = origin.anchorMs ?? Math.floor(origin.nowMs / 1000) * 1000;
  const source = schedules.sourceOf({ job, zone, anchorMs }, origin.nowMs);
  return {
    zone,
    zoneVersion: schedules.zones.version,
    anchorMs,
    nextMs: job.disabled ? null : nextDue(source),
  };
}

/** Chains planned fires: each names the cursor before it and the first instant after it. */
function link(row: JobRow, source: FireSource, planned: readonly PlannedFire[]): readonly FireItem[] {
  const items: FireItem[] = [];
  let previousMs = source.cursorMs;
  for (const fire of planned) {
    const [firstMs, lastMs, count] =
      fire.type === 'run' ? [fire.nominalMs, fire.nominalMs, 1] : [fire.firstMs, fire.lastMs, fire.count];
    items.push({
      uid: row.uid,
      generation: row.generation,
      previousMs,
      firstMs,
      lastMs,
      count,
      nextMs: row.job.disabled ? null : nextDue({ ...source, cursorMs: lastMs }),
      plan: fire.type === 'run' ? 'run' : fire.outcome,
      reason: fire.type === 'run' ? '' : fire.reason,
      targets: [],
    });
    previousMs = lastMs;
  }
  return items;
}
