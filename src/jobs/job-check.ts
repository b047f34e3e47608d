/**
 * The rules that see a job as a whole, after the doors' schema has seen its types. All faults come at once, each with
 * the name that the field has in JSON.
 */
import type { Fault } from '../base/errors.ts';
import { isJobName } from './ids.ts';
import type { Job } from './job.ts';
import { nextInstant } from './next.ts';
import { checkOptions, type OptionCheck } from './option-check.ts';
import { matchesTags, type ParsedTags, parseTags, type Tags, wantedTargets } from './placement.ts';
import { parseSchedule, type Schedule } from './schedule.ts';
import { UTC, type Zones, type ZoneTable } from './zone.ts';

export interface JobCheckContext {
  readonly zones: Zones;
  /** The cluster's, for jobs that name none. */
  readonly defaultZone: string;
  /** The executors that this cluster knows. */
  readonly executors: readonly string[];
  /** Live nodes that can execute; null where nobody knows them, and then nothing is said of them. */
  readonly nodes: readonly LiveNode[] | null;
  /** The cluster's `default-targets`, for jobs that say nothing. */
  readonly defaultTargets: number | 'all';
  readonly nowMs: number;
}

export interface LiveNode {
  readonly isServer: boolean;
  /** As jobs select by them. */
  readonly tags: Tags;
}

export interface JobCheck {
  readonly faults: readonly Fault[];
  /** What an operator should not overlook, for `Carillon-Warning`; none where there are faults. */
  readonly warnings: readonly string[];
  /** null where the schedule has a fault, and for a child, which has none. */
  readonly schedule: Schedule | null;
}

export const RETRIES_MAX = 1_000;
export const TARGETS_MAX = 1_000;
export const KEEP_RUNS_MAX = 100_000;

export function checkJob(job: Job, context: JobCheckContext): JobCheck {
  const timing = checkTiming(job, context);
  const tags = parseTags(job.tags);
  const executor = checkExecutor(job, context.executors);
  const faults = [
    ...checkNames(job),
    ...timing.faults,
    ...(tags.type === 'fault' ? [tags.fault] : []),
    ...checkNumbers(job),
    ...executor.faults,
  ];
  if (faults.length > 0 || tags.type === 'fault') return { faults, warnings: [], schedule: timing.schedule };
  const warnings = [
    ...placementWarnings(job, tags, context),
    ...scheduleWarnings(job, timing, context.nowMs),
    ...executor.warnings,
    ...(job.processors === null ? [] : ['processors are stored and not applied: Carillon keeps the outputs itself']),
  ];
  return { faults, warnings, schedule: timing.schedule };
}

/** The zone in which a schedule is read: that of its prefix, else the job's, else the cluster's. */
export function zoneOf(schedule: Schedule, timezone: string, defaultZone: string): string {
  const prefix = schedule.type === 'cron' ? schedule.zone : null;
  if (prefix !== null) return prefix;
  return timezone === '' ? defaultZone : timezone;
}

interface Timing {
  readonly faults: readonly Fault[];
  readonly schedule: Schedule | null;
  readonly zone: ZoneTable;
}

const NAME = 'lower-case letters of any alphabet, digits, _ and -; at most 255 bytes';
const ZONE = 'a name of the IANA time zone database, such as Europe/Berlin';

function checkNames(job: Job): Fault[] {
  const faults: Fault[] = [];
  if (!isJobName(job.name)) {
    faults.push(fault('name', job.name, NAME, job.name === '' ? 'is missing' : 'is not a job name'));
  }
  if (job.parentJob === '') return faults;
  if (!isJobName(job.parentJob)) faults.push(fault('parent_job', job.parentJob, NAME, 'is not a job name'));
  else if (job.parentJob === job.name) {
    faults.push(fault('parent_job', job.parentJob, 'the name of another job', 'a job cannot be its own parent'));
  }
  return faults;
}

function checkTiming(job: Job, context: JobCheckContext): Timing {
  const faults: Fault[] = [];
  let zone: ZoneTable = UTC;
  let schedule: Schedule | null = null;

  if (job.timezone !== '' && context.zones.table(job.timezone) === undefined) {
    faults.push(fault('timezone', job.timezone, ZONE, 'is not a known time zone'));
  }
  // A child may carry a schedule, which then has no effect, as in Dkron; but not one that cannot be read.
  if (job.schedule !== '' || job.parentJob === '') {
    const parsed = parseSchedule(job.schedule);
    if (parsed.type === 'fault') faults.push(parsed.fault);
    else {
      const name = zoneOf(parsed.schedule, job.timezone, context.defaultZone);
      const table = context.zones.table(name);
      if (table !== undefined) zone = table;
      else if (name !== job.timezone) {
        faults.push(fault('schedule', job.schedule, ZONE, `'${name.slice(0, 64)}' is not a known time zone`));
      }
      if (job.parentJob === '') schedule = parsed.schedule;
    }
  }
  if (job.startsAtMs !== null && job.expiresAtMs !== null && job.startsAtMs >= job.expiresAtMs) {
    const expiresAt = new Date(job.expiresAtMs).toISOString();
    faults.push(fault('expires_at', expiresAt, 'a time after starts_at', 'the job would expire before it starts'));
  }
  return { faults, schedule, zone };
}

function checkNumbers(job: Job): Fault[] {
  const faults: Fault[] = [];
  const check = (field: string, value: number, low: number, high: number): void => {
    if (Number.isInteger(value) && value >= low && value <= high) return;
    faults.push(fault(field, value, `a whole number from ${low} to ${high}`, 'is out of range'));
  };
  check('retries', job.retries, 0, RETRIES_MAX);
  check('keep_runs', job.keepRuns, 1, KEEP_RUNS_MAX);
  if (typeof job.targets === 'number') check('targets', job.targets, 1, TARGETS_MAX);
  if (job.startWithinMs !== null && !(Number.isSafeInteger(job.startWithinMs) && job.startWithinMs >= 0)) {
    faults.push(fault('start_within', job.startWithinMs, 'a duration of at least 0s', 'is out of range'));
  }
  return faults;
}

function checkExecutor(job: Job, executors: readonly string[]): OptionCheck {
  if (executors.includes(job.executor)) return checkOptions(job.executor, job.executorConfig ?? {});
  const message = job.executor === '' ? 'an executor must be named' : 'is not a known executor';
  return { faults: [fault('executor', job.executor, executors.join(', '), message)], warnings: [] };
}

function placementWarnings(job: Job, { conditions }: ParsedTags, { nodes, defaultTargets }: JobCheckContext): string[] {
  if (nodes === null) return [];
  const wanted = Object.entries(conditions);
  if (!nodes.some((node) => matchesTags(node, conditions))) {
    const lack = wanted.length === 0 ? 'has slots' : `matches the tags ${shown(wanted)}`;
    return [`no node that is alive now ${lack}: fires are missed (no-target) unless one comes within start_within`];
  }
  // With one node there is nothing to overlook.
  if (nodes.length < 2 || wanted.length > 0 || wantedTargets(null, job.targets, defaultTargets) !== 'all') return [];
  const servers = nodes.filter(({ isServer }) => isServer).length;
  return [`no tags: runs on all ${nodes.length} nodes, ${servers} of them servers`];
}

function scheduleWarnings(job: Job, { schedule, zone }: Timing, nowMs: number): string[] {
  // An interval always comes, `@manually` never means to.
  if (schedule?.type !== 'cron' && schedule?.type !== 'at') return [];
  const afterMs = Math.max(nowMs, (job.startsAtMs ?? nowMs) - 1);
  const nextMs = nextInstant(schedule, { zone, anchorMs: 0 }, afterMs);
  if (nextMs !== null && nextMs <= (job.expiresAtMs ?? nextMs)) return [];
  return [`the schedule '${job.schedule}' never fires${nextMs === null ? '' : ' before expires_at'}`];
}

const SHOWN_MAX = 200;

function shown(tags: readonly (readonly [string, string])[]): string {
  const text = tags.map(([key, value]) => `${key}=${value}`).join(', ');
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

function fault(field: string, value: unknown, allowed: string, message: string): Fault {
  return { field, value, allowed, message };
}
