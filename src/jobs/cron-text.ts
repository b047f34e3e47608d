/**
 * The reader for cron lines: 5 or 6 fields, told apart by their count, to sets of numbers. What it accepts is what
 * Dkron's engine accepts, plus 5 fields, 7 as Sunday and `fri-sun`; and empty list items, which Dkron drops, are
 * refused. It never throws and looks at each character a bounded number of times.
 */
import type { Fault } from '../base/errors.ts';
import { bitsBelow, type Sixty } from './bits.ts';

/** What a line means on a wall clock. */
export interface CronLine {
  /** Six fields, lists merged, names and `?` resolved: the same line for every way to write it. */
  readonly text: string;
  readonly seconds: Sixty;
  readonly minutes: Sixty;
  /** Bit n: hour n. */
  readonly hours: number;
  /** Bit n: day n + 1. */
  readonly daysOfMonth: number;
  /** Bit n: month n, January is 1. */
  readonly months: number;
  /** Bit n: Sunday is 0. */
  readonly weekdays: number;
  /**
   * Whether a day fits if either its day of month or its weekday does. That is so when both fields are restricted;
   * where one is a star, both must fit (and the star always does).
   */
  readonly eitherDay: boolean;
}

export type ParsedCronLine =
  | { readonly type: 'line'; readonly line: CronLine }
  | { readonly type: 'fault'; readonly fault: Fault };

export const SCHEDULE_LENGTH_MAX = 1_024;

export function parseCronLine(text: string): ParsedCronLine {
  if (text.length > SCHEDULE_LENGTH_MAX) {
    return refuse(text, `a line of at most ${SCHEDULE_LENGTH_MAX} characters`, `it has ${text.length} characters`);
  }
  const parts = text.trim().split(/\s+/);
  if (parts.length === 7) return refuse(text, SIX_FIELDS, 'a seventh field, for the year, is not yet supported');
  if (parts.length !== 5 && parts.length !== 6) {
    const count = text.trim() === '' ? 0 : parts.length;
    return refuse(text, SIX_FIELDS, `a cron line has 5 or 6 fields, this one has ${count}`);
  }

  const sets: FieldSet[] = [];
  const isShort = parts.length === 5;
  if (isShort) parts.unshift('0');
  for (const [index, field] of FIELDS.entries()) {
    const read = readField(parts[index] as string, field);
    if (read.type === 'refused') {
      const position = isShort ? index : index + 1;
      return refuse(text, read.allowed, `${field.name}: ${read.message} (field ${position} of ${isShort ? 5 : 6})`);
    }
    sets.push(read);
  }
  return { type: 'line', line: lineOf(sets as unknown as SixSets) };
}

interface Field {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly names: readonly string[];
}

interface FieldSet {
  readonly type: 'set';
  /** Ascending. */
  readonly values: readonly number[];
  /** Whether an item was `*`, `?`, or one of them by 1. */
  readonly isStar: boolean;
}

type SixSets = readonly [FieldSet, FieldSet, FieldSet, FieldSet, FieldSet, FieldSet];

interface Refused {
  readonly type: 'refused';
  readonly allowed: string;
  readonly message: string;
}

const SIX_FIELDS = '[second] minute hour day-of-month month day-of-week';
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_OF_WEEK: Field = { name: 'day of week', low: 0, high: 6, names: WEEKDAYS };
const FIELDS: readonly Field[] = [
  { name: 'second', low: 0, high: 59, names: [] },
  { name: 'minute', low: 0, high: 59, names: [] },
  { name: 'hour', low: 0, high: 23, names: [] },
  { name: 'day of month', low: 1, high: 31, names: [] },
  { name: 'month', low: 1, high: 12, names: MONTHS },
  DAY_OF_WEEK,
];
/** What later versions will read: it deserves another answer than a typing mistake. */
const NOT_YET: readonly (readonly [RegExp, string])[] = [
  [/~/, "'~'"],
  [/#/, "'#'"],
  [/^(?:[0-9]{1,2}|[a-z]{3})?L(?:-[0-9]{1,2})?$/i, "'L'"],
  [/^(?:[0-9]{1,2}|L)W$/i, "'W'"],
  [/^H(?:\(.*\))?(?:\/.*)?$/i, "'H'"],
];

function readField(text: string, field: Field): FieldSet | Refused {
  const isMember = new Array<boolean>(field.high + 1).fill(false);
  let isStar = false;
  for (const item of text.split(',')) {
    const range = readItem(item, field);
    if (range.type === 'refused') return range;
    isStar ||= range.isStar;
    for (let value = range.first; value <= range.last; value += range.step) {
      isMember[field === DAY_OF_WEEK ? value % 7 : value] = true;
    }
  }
  const values: number[] = [];
  for (const [value, isIn] of isMember.entries()) if (isIn) values.push(value);
  return { type: 'set', values, isStar };
}

interface Range {
  readonly type: 'range';
  readonly first: number;
  readonly last: number;
  readonly step: number;
  readonly isStar: boolean;
}

function readItem(item: string, field: Field): Range | Refused {
  const notYet = NOT_YET.find(([form]) => form.test(item));
  if (notYet !== undefined) return refused(field, `'${cut(item)}': ${notYet[1]} is not yet supported`);
  if (item === '') return refused(field, 'an item of the list is empty');

  const [span = '', stepText, ...surplus] = item.split('/');
  if (surplus.length > 0) return refused(field, `'${cut(item)}' has more than one step`);
  const step = stepText === undefined ? 1 : digits(stepText);
  if (step === undefined || step < 1) {
    return refused(field, `the step of '${cut(item)}' must be a number of at least 1`);
  }
  if (span === '*' || span === '?') {
    return { type: 'range', first: field.low, last: field.high, step, isStar: step === 1 };
  }

  const [firstText = '', lastText, ...more] = span.split('-');
  if (more.length > 0) return refused(field, `'${cut(item)}' is not a range`);
  const first = readValue(firstText, field);
  if (first === undefined) return refused(field, `'${cut(firstText)}' must be ${allowedIn(field)}`);
  if (lastText === undefined) {
    if (stepText === undefined) return { type: 'range', first, last: first, step, isStar: false };
    if (first > field.high) return refused(field, `'${cut(item)}' begins after the last day, write 0 for Sunday`);
    return { type: 'range', first, last: field.high, step, isStar: false };
  }
  let last = readValue(lastText, field);
  if (last === undefined) return refused(field, `'${cut(lastText)}' must be ${allowedIn(field)}`);
  // Sunday begins a range as 0 and ends one as 7.
  if (field === DAY_OF_WEEK && first > 0 && lastText.toLowerCase() === 'sun') last = 7;
  if (first > last) return refused(field, `the range '${cut(span)}' ends before it begins`);
  return { type: 'range', first, last, step, isStar: false };
}

function readValue(text: string, field: Field): number | undefined {
  const named = field.names.indexOf(text.toLowerCase());
  if (named >= 0) return field.low + named;
  const value = digits(text);
  const high = field === DAY_OF_WEEK ? 7 : field.high;
  return value !== undefined && value >= field.low && value <= high ? value : undefined;
}

function digits(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

function lineOf(sets: SixSets): CronLine {
  const [seconds, minutes, hours, daysOfMonth, months, weekdays] = sets;
  return {
    text: sets.map((set, index) => textOf(set, FIELDS[index] as Field)).join(' '),
    seconds: sixty(seconds.values),
    minutes: sixty(minutes.values),
    hours: bitsOf(hours.values, 0),
    daysOfMonth: bitsOf(daysOfMonth.values, 1),
    months: bitsOf(months.values, 0),
    weekdays: bitsOf(weekdays.values, 0),
    eitherDay: !daysOfMonth.isStar && !weekdays.isStar,
  };
}

/** In the day fields a full list is not a star: whether a field is restricted decides how the two combine. */
function textOf(set: FieldSet, field: Field): string {
  const isFull = set.values.length === field.high - field.low + 1;
  const isDay = field === DAY_OF_WEEK || field.name === 'day of month';
  if (isDay ? set.isStar : isFull) return '*';
  const spans: string[] = [];
  let index = 0;
  while (index < set.values.length) {
    const first = set.values[index] as number;
    let last = first;
    while (set.values[index + 1] === last + 1) {
      last += 1;
      index += 1;
    }
    spans.push(first === last ? `${first}` : `${first}-${last}`);
    index += 1;
  }
  return spans.join(',');
}

function sixty(values: readonly number[]): Sixty {
  return {
    low: bitsOf(
      values.filter((value) => value < 30),
      0,
    ),
    high: bitsOf(
      values.filter((value) => value >= 30),
      30,
    ),
  };
}

function bitsOf(values: readonly number[], low: number): number {
  let bits = 0;
  for (const value of values) bits |= 1 << (value - low);
  return bitsBelow(bits, 31);
}

function allowedIn(field: Field): string {
  const high = field === DAY_OF_WEEK ? 7 : field.high;
  const names = field.names.length === 0 ? '' : ` or ${field.names[0]}-${field.names[field.names.length - 1]}`;
  return `${field.low}-${high}${names}`;
}

function refused(field: Field, message: string): Refused {
  return { type: 'refused', allowed: `${field.name}: ${allowedIn(field)}, *, ?, a-b, a/n, */n and lists`, message };
}

function refuse(text: string, allowed: string, message: string): ParsedCronLine {
  return { type: 'fault', fault: { field: 'schedule', value: cut(text, 200), allowed, message } };
}

/** Keeps a message readable whatever was sent. */
function cut(text: string, length = 40): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
