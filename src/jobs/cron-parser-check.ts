/** The second opinion on a line that `cron-text.ts` has read: cron-parser must read its normalised text alike. */
import { type CronExpression, CronExpressionParser } from 'cron-parser';
import type { Fault } from '../base/errors.ts';
import type { CronLine } from './cron-text.ts';

/**
 * Called at the door only. That cron-parser throws on dates which the calendar does not have is no refusal: such a
 * line is kept and never fires.
 */
export function checkCronLine(line: CronLine): Fault | undefined {
  let read: CronExpression;
  try {
    // A fixed date keeps the answer independent of the clock.
    read = CronExpressionParser.parse(line.text, { tz: 'UTC', currentDate: 0 });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes('Invalid explicit day of month definition')) return undefined;
    return disagreement(line, `cron-parser refuses '${line.text}': ${message}`);
  }
  const differing = differingFields(line, read.fields);
  if (differing.length === 0) return undefined;
  return disagreement(line, `cron-parser reads '${line.text}' otherwise than Carillon: ${differing.join(', ')}`);
}

function differingFields(line: CronLine, read: CronExpression['fields']): string[] {
  const differing: string[] = [];
  const { second, minute, hour, dayOfMonth, month, dayOfWeek } = read;
  if (!isSame(second.values, (value) => bitOfSixty(line.seconds, value), 0, 59)) differing.push('second');
  if (!isSame(minute.values, (value) => bitOfSixty(line.minutes, value), 0, 59)) differing.push('minute');
  if (!isSame(hour.values, (value) => bit(line.hours, value), 0, 23)) differing.push('hour');
  if (!isSame(month.values, (value) => bit(line.months, value), 1, 12)) differing.push('month');
  // In a line of one month it leaves out the days that this month does not have.
  const longest = month.values.length === 1 ? (LONGEST[(month.values[0] as number) - 1] as number) : 31;
  if (!isSame(dayOfMonth.values, (value) => bit(line.daysOfMonth, value - 1), 1, longest))
    differing.push('day of month');
  const weekdays = dayOfWeek.values.map((value) => Number(value) % 7);
  if (!isSame(weekdays, (value) => bit(line.weekdays, value), 0, 6)) differing.push('day of week');
  const eitherDay = !dayOfMonth.isWildcard && !dayOfWeek.isWildcard;
  if (eitherDay !== line.eitherDay) differing.push('how the two day fields combine');
  return differing;
}

const LONGEST: readonly number[] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isSame(
  values: readonly (number | string)[],
  isMember: (value: number) => boolean,
  low: number,
  high: number,
): boolean {
  for (let value = low; value <= high; value += 1) {
    if (values.includes(value) !== isMember(value)) return false;
  }
  return true;
}

function bit(bits: number, position: number): boolean {
  return ((bits >>> position) & 1) === 1;
}

function bitOfSixty(set: CronLine['seconds'], value: number): boolean {
  return value < 30 ? bit(set.low, value) : bit(set.high, value - 30);
}

function disagreement(line: CronLine, message: string): Fault {
  return { field: 'schedule', value: line.text, allowed: 'a line that both readers understand alike', message };
}
