/**
 * A time zone as stretches of constant offset, and the port through which tables of real zones come
 * (`intl-zones.ts`). All arithmetic of schedules walks such stretches: gaps, repeated hours and skipped days then
 * need no case of their own.
 *
 *   offsetsMs[0] │ offsetsMs[1] │ … │ offsetsMs[n]
 *        transitionsMs[0]  transitionsMs[1]  …        (an instant of change belongs to the stretch after it)
 */
export interface ZoneTable {
  /** In canonical case. Of two names for one zone, Nodes differ in which is canonical: not for replicated state. */
  readonly zone: string;
  /** Ascending, whole seconds. */
  readonly transitionsMs: readonly number[];
  /** Local time minus UTC, whole seconds; one more than there are transitions. */
  readonly offsetsMs: readonly number[];
}

export interface Zones {
  /** Of the zone data, such as `2025c`. Tables of one version are equal everywhere. */
  readonly version: string;
  /** Undefined for a zone that the data do not know. */
  table(zone: string): ZoneTable | undefined;
}

export const UTC: ZoneTable = { zone: 'UTC', transitionsMs: [], offsetsMs: [0] };

/** The index of the stretch that holds an instant. */
export function stretchAt(table: ZoneTable, instantMs: number): number {
  let low = 0;
  let high = table.transitionsMs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((table.transitionsMs[middle] as number) <= instantMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function stretchOffsetMs(table: ZoneTable, stretch: number): number {
  return table.offsetsMs[stretch] as number;
}

/** The first instant of a stretch; -Infinity for the first stretch. */
export function stretchStartMs(table: ZoneTable, stretch: number): number {
  return table.transitionsMs[stretch - 1] ?? Number.NEGATIVE_INFINITY;
}

/** The first instant after a stretch; Infinity for the last one. */
export function stretchEndMs(table: ZoneTable, stretch: number): number {
  return table.transitionsMs[stretch] ?? Number.POSITIVE_INFINITY;
}

/** Local time minus UTC at an instant. */
export function offsetAt(table: ZoneTable, instantMs: number): number {
  return stretchOffsetMs(table, stretchAt(table, instantMs));
}
