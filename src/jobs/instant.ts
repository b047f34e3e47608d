/** Times with an offset as RFC 3339 writes them. */

/** In ms, what is below is cut; undefined for anything else, and for days that the calendar does not have. */
export function parseInstant(text: string): number | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as Six;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const localMs = utcMs(year, month, day) + (hour * 3_600 + minute * 60 + second) * 1_000;
  const date = new Date(localMs);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const fractionMs = Number((match[7] ?? '.').slice(1, 4).padEnd(3, '0'));
  const [, , , , , , , , sign, offsetHours = '0', offsetMinutes = '0'] = match;
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined;
  const offsetMs = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000;
  return localMs + fractionMs - (sign === '-' ? -offsetMs : offsetMs);
}

/** RFC 3339 in UTC, without trailing zeros of the fraction, as Go. */
export function writeInstant(instantMs: number): string {
  const text = new Date(instantMs).toISOString();
  return text.endsWith('.000Z') ? `${text.slice(0, -5)}Z` : text.replace(/0+Z$/, 'Z');
}

type Six = [number, number, number, number, number, number];

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** `Date.UTC` reads the years 0 to 99 as 1900 to 1999. */
function utcMs(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month - 1, day);
}
