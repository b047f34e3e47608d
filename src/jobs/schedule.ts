/**
 * A schedule text and what it means. `parseSchedule` reads everything CONTRACT.md accepts; `nextInstant` (in
 * `next.ts`) says which instants it names.
 */
import type { Fault } from '../base/errors.ts';
import { type CronLine, parseCronLine, SCHEDULE_LENGTH_MAX } from './cron-text.ts';
import { parseDuration } from './duration.ts';
import { parseInstant } from './instant.ts';

export type Schedule =
  | { readonly type: 'manual' }
  /** From the anchor, which the state keeps; whole seconds, at least 1,000 ms. */
  | { readonly type: 'every'; readonly intervalMs: number }
  | { readonly type: 'at'; readonly atMs: number }
  /** `zone` is that of a `TZ=`/`CRON_TZ=` prefix as written, else null. Descriptors (`@hourly` …) are cron lines. */
  | { readonly type: 'cron'; readonly line: CronLine; readonly zone: string | null };

export type ParsedSchedule =
  | { readonly type: 'schedule'; readonly schedule: Schedule }
  | { readonly type: 'fault'; readonly fault: Fault };

/** Never throws. Whether the zone of a prefix exists is for the caller to check. */
export function parseSchedule(text: string): ParsedSchedule {
  if (text.length > SCHEDULE_LENGTH_MAX) {
    const allowed = `at most ${SCHEDULE_LENGTH_MAX} characters`;
    return refuse(`${text.slice(0, 200)}…`, allowed, `the text has ${text.length} characters`);
  }
  const trimmed = text.trim();
  if (trimmed === '') return refuse(text, FORMS, 'a schedule must not be empty');

  const prefix = /^(TZ|CRON_TZ)=(\S*)(?:\s+(.*))?$/is.exec(trimmed);
  if (prefix === null) return parseBare(text, trimmed, null);
  const [, name, zone, rest] = prefix as unknown as [string, string, string, string | undefined];
  if (zone === '') return refuse(text, 'a zone, such as TZ=Europe/Berlin', `no zone follows ${name}=`);
  if (rest === undefined || rest.trim() === '') {
    return refuse(text, 'a cron line or descriptor after the zone', `nothing follows ${name}=${zone}`);
  }
  return parseBare(text, rest.trim(), zone);
}

const FORMS =
  'a cron line of 5 or 6 fields, @every <duration>, @at <RFC 3339>, @yearly, @monthly, @weekly, @daily, @hourly, ' +
  '@minutely or @manually';

const DESCRIPTORS: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 0 1 1 *'],
  ['@annually', '0 0 0 1 1 *'],
  ['@monthly', '0 0 0 1 * *'],
  ['@weekly', '0 0 0 * * 0'],
  ['@daily', '0 0 0 * * *'],
  ['@midnight', '0 0 0 * * *'],
  ['@hourly', '0 0 * * * *'],
  ['@minutely', '0 * * * * *'],
]);

function parseBare(whole: string, text: string, zone: string | null): ParsedSchedule {
  if (!text.startsWith('@')) return parseLine(whole, text, zone);
  const space = text.search(/\s/);
  const name = (space < 0 ? text : text.slice(0, space)).toLowerCase();
  const argument = space < 0 ? '' : text.slice(space).trim();

  const line = DESCRIPTORS.get(name);
  if (line !== undefined) {
    if (argument !== '') return refuse(whole, `${name} alone`, `nothing may follow ${name}`);
    return parseLine(whole, line, zone);
  }
  if (name === '@after' || name === '@reboot') return refuse(whole, FORMS, `${name} is not yet supported`);
  if (zone !== null && ZONELESS.has(name)) {
    return refuse(whole, 'a zone before a cron line or descriptor only', `a zone means nothing before ${name}`);
  }
  switch (name) {
    case '@manually':
      if (argument !== '') return refuse(whole, '@manually alone', 'nothing may follow @manually');
      return { type: 'schedule', schedule: { type: 'manual' } };
    case '@every':
      return parseEvery(whole, argument);
    case '@at':
      return parseAt(whole, argument);
    default:
      return refuse(whole, FORMS, `'${name.slice(0, 40)}' is no schedule`);
  }
}

/** `@every` may follow a zone, as in Dkron, though it means nothing there. */
const ZONELESS: ReadonlySet<string> = new Set(['@at', '@manually']);

function parseLine(whole: string, text: string, zone: string | null): ParsedSchedule {
  const parsed = parseCronLine(text);
  if (parsed.type === 'fault') return { type: 'fault', fault: { ...parsed.fault, value: shown(whole) } };
  return { type: 'schedule', schedule: { type: 'cron', line: parsed.line, zone } };
}

function parseEvery(whole: string, argument: string): ParsedSchedule {
  const allowed = '@every with a duration of at least 1s in whole seconds, such as 90s, 2m or 1h30m';
  const intervalMs = parseDuration(argument);
  if (intervalMs === undefined) return refuse(whole, allowed, `'${argument.slice(0, 40)}' is no duration`);
  if (intervalMs < 1_000) return refuse(whole, allowed, 'the interval must be at least 1s');
  if (intervalMs % 1_000 !== 0) return refuse(whole, allowed, 'the interval must be whole seconds');
  return { type: 'schedule', schedule: { type: 'every', intervalMs } };
}

function parseAt(whole: string, argument: string): ParsedSchedule {
  const atMs = parseInstant(argument);
  if (atMs === undefined) {
    const allowed = '@at with a time and its offset, such as 2030-01-31T09:30:00Z or 2030-01-31T09:30:00+01:00';
    return refuse(whole, allowed, `'${argument.slice(0, 40)}' is no time of RFC 3339`);
  }
  return { type: 'schedule', schedule: { type: 'at', atMs } };
}

function refuse(value: string, allowed: string, message: string): ParsedSchedule {
  return { type: 'fault', fault: { field: 'schedule', value: shown(value), allowed, message } };
}

/** A fault is read by people and goes into logs: it does not carry a kilobyte. */
function shown(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
