/**
 * The definition of reference for instants, as slow as it is plain: ask `Intl` for the wall clock of every minute, and
 * compare each of its fields with the line's. It shares nothing with `next.ts` but the normalised text.
 */
const MINUTE_MS = 60_000;

interface WallMinute {
  readonly atMs: number;
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
}

/** Offsets of the years 1973 and later change at whole minutes only, so a minute has one wall clock. */
export function wallMinutes(zone: string, fromMs: number, toMs: number): readonly WallMinute[] {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  });
  const minutes: WallMinute[] = [];
  for (let atMs = Math.ceil(fromMs / MINUTE_MS) * MINUTE_MS; atMs < toMs; atMs += MINUTE_MS) {
    const parts = format.format(atMs).match(/\d+/g) as string[];
    const [month, day, year, hour, minute] = parts.map(Number) as [number, number, number, number, number];
    const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay();
    minutes.push({ atMs, month, day, weekday, hour, minute });
  }
  return minutes;
}

/** All instants of these minutes whose wall clock fits the line. */
export function fittingInstants(normalised: string, minutes: readonly WallMinute[]): number[] {
  const fields = normalised.split(' ');
  const [seconds, minute, hour, day, month, weekday] = fields.map(membersOf) as Six;
  const eitherDay = fields[3] !== '*' && fields[5] !== '*';
  const instants: number[] = [];
  for (const wall of minutes) {
    if (!minute(wall.minute) || !hour(wall.hour) || !month(wall.month)) continue;
    const [dayFits, weekdayFits] = [day(wall.day), weekday(wall.weekday)];
    if (eitherDay ? !dayFits && !weekdayFits : !dayFits || !weekdayFits) continue;
    for (let second = 0; second < 60; second += 1) if (seconds(second)) instants.push(wall.atMs + second * 1_000);
  }
  return instants;
}

type Member = (value: number) => boolean;
type Six = [Member, Member, Member, Member, Member, Member];

function membersOf(field: string): Member {
  if (field === '*') return () => true;
  const members = new Set<number>();
  for (const span of field.split(',')) {
    const [first = 0, last = first] = span.split('-').map(Number);
    for (let value = first; value <= last; value += 1) members.add(value);
  }
  return (value) => members.has(value);
}
