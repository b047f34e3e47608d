/** The executions of a job as a page: their outputs are read for the page only, not for all that are sorted. */
import { pause } from '../base/system-pause.ts';
import { executionView, type RowSource } from '../scheduler/reader.ts';
import { type ExecutionRow, keys, type RunRow } from '../scheduler/rows.ts';
import type { ExecutionView } from '../scheduler/views.ts';
import { type ExecutionOrder, type ExecutionSort, LIST_MAX, type Page } from './backend.ts';

/** Of one execution: where its row lies, and what it is sorted by. */
interface Place {
  readonly run: RunRow;
  readonly key: string;
  readonly sortKey: number;
}

/** Rows that are read at once, before others get their turn. */
const ROWS_PER_TURN = 200;

/** `runs`: those of the job `uid`, newest first. */
export async function listExecutions(
  source: RowSource,
  uid: string,
  runs: AsyncIterable<RunRow>,
  order: ExecutionOrder,
): Promise<Omit<Page<ExecutionView>, 'index'>> {
  const places: Place[] = [];
  let isCut = false;
  let rows = 0;
  for await (const run of runs) {
    for (const place of placesOf(source, uid, run, order.sort)) {
      isCut = places.length === LIST_MAX;
      if (isCut) break;
      places.push(place);
      if (++rows % ROWS_PER_TURN === 0) await pause();
    }
    if (isCut) break;
  }
  const items: ExecutionView[] = [];
  for (const { run, key } of pageOf(places, order, ({ sortKey }) => sortKey)) {
    const row = source.get<ExecutionRow>(key);
    // Its run may have been forgotten meanwhile.
    if (row !== undefined) items.push(executionView(run, row));
    if (++rows % ROWS_PER_TURN === 0) await pause();
  }
  return { items, total: places.length, ...(isCut ? { isCut } : {}) };
}

/** `items` are in the order of their ids, newest first. */
export function pageOf<Item>(
  items: readonly Item[],
  { sort, isDescending, start, end }: ExecutionOrder,
  keyOf: (item: Item) => number,
): readonly Item[] {
  const sign = isDescending ? -1 : 1;
  const byId = isDescending ? items : items.toReversed();
  const sorted = sort === 'id' ? byId : items.toSorted((left, right) => sign * (keyOf(left) - keyOf(right)));
  return sorted.slice(start, end ?? undefined);
}

type Times = Pick<ExecutionView, 'startedMs' | 'assignedMs' | 'finishedMs'>;

export function sortKeyOf(sort: ExecutionSort, attempt: number, times: () => Times): number {
  switch (sort) {
    case 'id':
      return 0;
    case 'attempt':
      return attempt;
    case 'started_at':
      return times().startedMs ?? times().assignedMs;
    case 'finished_at':
      // What is not over yet comes after all that is.
      return times().finishedMs ?? Number.MAX_SAFE_INTEGER;
  }
}

/** Newest first: the last target, its last attempt. */
function placesOf(source: RowSource, uid: string, run: RunRow, sort: ExecutionSort): Place[] {
  const places: Place[] = [];
  const runKey = run.id.slice(run.id.lastIndexOf('-') + 1);
  // The attempts of an only target are known from its run.
  const isRowNeeded = run.targets !== 1 || sort === 'started_at' || sort === 'finished_at';
  for (let ordinal = 0; ordinal < run.targets; ordinal += 1) {
    for (let attempt = 1; attempt <= run.attempts; attempt += 1) {
      const key = keys.execution(uid, runKey, ordinal, attempt);
      const row = isRowNeeded ? source.get<ExecutionRow>(key) : undefined;
      if (isRowNeeded && row === undefined) break;
      places.push({ run, key, sortKey: sortKeyOf(sort, attempt, () => row as ExecutionRow) });
    }
  }
  return places.reverse();
}
