/** Times as Dkron writes and reads them. */
import { parseInstant, writeInstant } from '../jobs/instant.ts';

/** Go's zero time: "never", and what `finished_at` shows while an execution is open. */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

export function writeInstantOrNull(instantMs: number | null): string | null {
  return instantMs === null ? null : writeInstant(instantMs);
}

export function writeInstantOrZero(instantMs: number | null): string {
  return instantMs === null ? ZERO_TIME : writeInstant(instantMs);
}

/**
 * RFC 3339, or Dkron's short `2006-01-02T15:04` (UTC); digits below the millisecond are cut. null for the zero time,
 * which Go clients send for "unset"; undefined for anything else.
 */
export function readInstant(text: string): number | null | undefined {
  if (text.startsWith('0001-01-01T')) return null;
  return parseInstant(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text) ? `${text}:00Z` : text);
}
