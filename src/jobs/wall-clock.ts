/**
 * A cron line on a wall clock that never jumps: which local seconds fit it. Local time is counted in seconds since
 * 1970-01-01T00:00 of that clock. `next.ts` lays it over a zone's stretches of constant offset.
 *
 * Nothing here walks seconds or days: a month's fitting days are one integer, so a search costs at most one step a
 * month, and a count as well.
 */
import { bitsBelow, countBits, countOfSixty, nextBit, nextOfSixty, previousBit, previousOfSixty } from './bits.ts';
import type { CronLine } from './cron-text.ts';

/** The first fitting second in [from, limit), or null. */
export function nextWallSecond(line: CronLine, from: number, limit: number): number | null {
  const fromDay = Math.floor(from / DAY_SECONDS);
  let date = dateOf(fromDay);
  const days = fittingDays(line, date.year, date.month);
  if ((days >>> (date.day - 1)) & 1) {
    const time = nextTimeOfDay(line, from - fromDay * DAY_SECONDS);
    if (time >= 0) return below(fromDay * DAY_SECONDS + time, limit);
  }
  let monthStart = fromDay - (date.day - 1);
  let bit = nextBit(days, date.day);
  while (bit < 0) {
    monthStart += daysInMonth(date.year, date.month);
    if (monthStart * DAY_SECONDS >= limit) return null;
    date = monthAfter(date);
    bit = nextBit(fittingDays(line, date.year, date.month), 0);
  }
  return below((monthStart + bit) * DAY_SECONDS + nextTimeOfDay(line, 0), limit);
}

/** The last fitting second in [limit, to], or null. */
export function previousWallSecond(line: CronLine, to: number, limit: number): number | null {
  const toDay = Math.floor(to / DAY_SECONDS);
  let date = dateOf(toDay);
  const days = fittingDays(line, date.year, date.month);
  if ((days >>> (date.day - 1)) & 1) {
    const time = previousTimeOfDay(line, to - toDay * DAY_SECONDS);
    if (time >= 0) return atLeast(toDay * DAY_SECONDS + time, limit);
  }
  let monthStart = toDay - (date.day - 1);
  let bit = previousBit(days, date.day - 2);
  while (bit < 0) {
    if (monthStart * DAY_SECONDS <= limit) return null;
    date = monthBefore(date);
    monthStart -= daysInMonth(date.year, date.month);
    bit = previousBit(fittingDays(line, date.year, date.month), 30);
  }
  return atLeast((monthStart + bit) * DAY_SECONDS + previousTimeOfDay(line, DAY_SECONDS - 1), limit);
}

/** How many fitting seconds there are in [from, limit). */
export function countWallSeconds(line: CronLine, from: number, limit: number): number {
  if (limit <= from) return 0;
  const fromDay = Math.floor(from / DAY_SECONDS);
  const limitDay = Math.floor(limit / DAY_SECONDS);
  const before = doesDayFit(line, fromDay) ? timesBefore(line, from - fromDay * DAY_SECONDS) : 0;
  const behind = doesDayFit(line, limitDay) ? timesBefore(line, limit - limitDay * DAY_SECONDS) : 0;
  return countDays(line, fromDay, limitDay) * timesBefore(line, DAY_SECONDS) - before + behind;
}

const DAY_SECONDS = 86_400;

interface CivilDate {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
}

function below(second: number, limit: number): number | null {
  return second < limit ? second : null;
}

function atLeast(second: number, limit: number): number | null {
  return second >= limit ? second : null;
}

/** The days of a month that fit, bit n for day n + 1. */
function fittingDays(line: CronLine, year: number, month: number): number {
  if (((line.months >>> month) & 1) === 0) return 0;
  const firstWeekday = weekdayOf(dayNumberOf(year, month));
  const weekdays = line.weekdays;
  // The week as it lies from the first of the month on, then five times over.
  const week = ((weekdays >>> firstWeekday) | (weekdays << (7 - firstWeekday))) & 0x7f;
  const byWeekday = week | (week << 7) | (week << 14) | (week << 21) | (week << 28);
  const days = line.eitherDay ? line.daysOfMonth | byWeekday : line.daysOfMonth & byWeekday;
  return bitsBelow(days & 0x7fffffff, daysInMonth(year, month));
}

function doesDayFit(line: CronLine, dayNumber: number): boolean {
  const date = dateOf(dayNumber);
  return ((fittingDays(line, date.year, date.month) >>> (date.day - 1)) & 1) === 1;
}

/** How many days in [fromDay, limitDay) fit. */
function countDays(line: CronLine, fromDay: number, limitDay: number): number {
  let date = dateOf(fromDay);
  let monthStart = fromDay - (date.day - 1);
  let count = -countBits(bitsBelow(fittingDays(line, date.year, date.month), date.day - 1));
  for (;;) {
    const days = fittingDays(line, date.year, date.month);
    const length = daysInMonth(date.year, date.month);
    if (monthStart + length > limitDay) return count + countBits(bitsBelow(days, limitDay - monthStart));
    count += countBits(days);
    monthStart += length;
    date = monthAfter(date);
  }
}

/** The first fitting second of a day at or after `from`, or -1. */
function nextTimeOfDay(line: CronLine, from: number): number {
  const fromHour = Math.floor(from / 3_600);
  let hour = nextBit(line.hours, fromHour);
  if (hour === fromHour) {
    const fromMinute = Math.floor(from / 60) % 60;
    let minute = nextOfSixty(line.minutes, fromMinute);
    if (minute === fromMinute) {
      const second = nextOfSixty(line.seconds, from % 60);
      if (second >= 0) return hour * 3_600 + minute * 60 + second;
      minute = nextOfSixty(line.minutes, fromMinute + 1);
    }
    if (minute >= 0) return hour * 3_600 + minute * 60 + nextOfSixty(line.seconds, 0);
    hour = nextBit(line.hours, fromHour + 1);
  }
  if (hour < 0) return -1;
  return hour * 3_600 + nextOfSixty(line.minutes, 0) * 60 + nextOfSixty(line.seconds, 0);
}

/** The last fitting second of a day at or before `to`, or -1. */
function previousTimeOfDay(line: CronLine, to: number): number {
  const toHour = Math.floor(to / 3_600);
  let hour = previousBit(line.hours, toHour);
  if (hour === toHour) {
    const toMinute = Math.floor(to / 60) % 60;
    let minute = previousOfSixty(line.minutes, toMinute);
    if (minute === toMinute) {
      const second = previousOfSixty(line.seconds, to % 60);
      if (second >= 0) return hour * 3_600 + minute * 60 + second;
      minute = previousOfSixty(line.minutes, toMinute - 1);
    }
    if (minute >= 0) return hour * 3_600 + minute * 60 + previousOfSixty(line.seconds, 59);
    hour = previousBit(line.hours, toHour - 1);
  }
  if (hour < 0) return -1;
  return hour * 3_600 + previousOfSixty(line.minutes, 59) * 60 + previousOfSixty(line.seconds, 59);
}

/** How many fitting seconds a fitting day has before `limit`, a second of the day. */
function timesBefore(line: CronLine, limit: number): number {
  const hour = Math.floor(limit / 3_600);
  const minute = Math.floor(limit / 60) % 60;
  const secondsInMinute = countOfSixty(line.seconds, 60);
  let count = countBits(bitsBelow(line.hours, hour)) * countOfSixty(line.minutes, 60) * secondsInMinute;
  if (nextBit(line.hours, hour) !== hour) return count;
  count += countOfSixty(line.minutes, minute) * secondsInMinute;
  return nextOfSixty(line.minutes, minute) === minute ? count + countOfSixty(line.seconds, limit % 60) : count;
}

function monthAfter(date: CivilDate): CivilDate {
  return date.month === 12
    ? { year: date.year + 1, month: 1, day: 1 }
    : { year: date.year, month: date.month + 1, day: 1 };
}

function monthBefore(date: CivilDate): CivilDate {
  return date.month === 1
    ? { year: date.year - 1, month: 12, day: 1 }
    : { year: date.year, month: date.month - 1, day: 1 };
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** 1970-01-01 was a Thursday. */
function weekdayOf(dayNumber: number): number {
  return (((dayNumber + 4) % 7) + 7) % 7;
}

/**
 * Days since 1970-01-01 to the first of a month. Years are counted from March, so that the leap day comes last, and
 * in eras of 400 years, each of 146,097 days.
 */
function dayNumberOf(year: number, month: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5);
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function dateOf(dayNumber: number): CivilDate {
  const days = dayNumber + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month > 2 ? 0 : 1),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}
