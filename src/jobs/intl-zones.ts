/**
 * Zones from the data that Node carries (ICU). `Intl` answers only what the offset is at one instant, so a table is
 * found by asking every few days and bisecting where the answer changed: some 40 ms once for each zone.
 */
import assert from 'node:assert/strict';
import { UTC, type Zones, type ZoneTable } from './zone.ts';

export function createIntlZones(): Zones {
  // Filled by what jobs name; when it is full the oldest goes, and is built again when it is asked for.
  const tables = new Map<string, ZoneTable>();
  return {
    version: process.versions['tz'] ?? `icu-${process.versions['icu'] ?? 'unknown'}`,
    table(zone) {
      const known = tables.get(zone);
      if (known !== undefined) return known;
      const canonical = canonicalZone(zone);
      if (canonical === undefined) return undefined;
      const table = tables.get(canonical) ?? buildTable(canonical);
      keep(tables, canonical, table);
      if (zone !== canonical) keep(tables, zone, table);
      return table;
    },
  };
}

const ZONES_MAX = 1_024;
const ZONE_LENGTH_MAX = 64;
/** Later Nodes keep some of these names apart. */
const UTC_NAMES = /^(?:Etc\/)?(?:UTC|UCT|GMT|Zulu|Universal|Greenwich)$/i;
const SECOND_MS = 1_000;
/** Shorter than any stretch of constant offset in the data: the shortest is 7 days (Recife 2000, Gaza 2040). */
const PROBE_MS = 6 * 86_400 * SECOND_MS;
const FROM_MS = Date.UTC(1970, 0, 1);
const TO_MS = Date.UTC(2101, 0, 1);

function keep(tables: Map<string, ZoneTable>, zone: string, table: ZoneTable): void {
  if (tables.size >= ZONES_MAX) {
    for (const oldest of tables.keys()) {
      tables.delete(oldest);
      break;
    }
  }
  tables.set(zone, table);
}

function canonicalZone(zone: string): string | undefined {
  // Later Nodes take offsets such as `+01:00` as well; a zone here is a name, on every Node.
  if (UTC_NAMES.test(zone)) return 'UTC';
  if (zone.length > ZONE_LENGTH_MAX || !/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(zone)) return undefined;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function buildTable(zone: string): ZoneTable {
  if (zone === 'UTC') return UTC;
  const offsetMs = offsetReader(zone);
  const transitionsMs: number[] = [];
  const offsetsMs = [offsetMs(FROM_MS)];
  let offset = offsetsMs[0] as number;
  for (let atMs = FROM_MS; atMs < TO_MS; atMs += PROBE_MS) {
    const nextOffset = offsetMs(atMs + PROBE_MS);
    if (nextOffset === offset) continue;
    transitionsMs.push(firstInstantOf(nextOffset, atMs, atMs + PROBE_MS, offsetMs));
    offsetsMs.push(nextOffset);
    offset = nextOffset;
  }
  return { zone, transitionsMs, offsetsMs };
}

/** The first whole second in (`beforeMs`, `sinceMs`] at which the offset is the new one. */
function firstInstantOf(
  offset: number,
  beforeMs: number,
  sinceMs: number,
  offsetMs: (instantMs: number) => number,
): number {
  let before = beforeMs / SECOND_MS;
  let since = sinceMs / SECOND_MS;
  while (since - before > 1) {
    const middle = Math.floor((before + since) / 2);
    if (offsetMs(middle * SECOND_MS) === offset) since = middle;
    else before = middle;
  }
  return since * SECOND_MS;
}

function offsetReader(zone: string): (instantMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, year: 'numeric', timeZoneName: 'longOffset' });
  return (instantMs) => {
    const text = format.format(instantMs);
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text);
    assert(match !== null, `not an offset: ${text}`);
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = match;
    const offset = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * SECOND_MS;
    return sign === '-' ? -offset : offset;
  };
}
