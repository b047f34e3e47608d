/** The list of jobs: by name it reads only the page; filters and other orders read all jobs. */

import { jobView } from '../scheduler/reader.ts';
import { type JobRow, keys, type MetaRow, type NameRow, type StatusRow } from '../scheduler/rows.ts';
import type { JobView } from '../scheduler/views.ts';
import type { JobFilter } from './backend.ts';
import type { DiskReader } from './disk-reader.ts';

export async function listJobs(
  reader: DiskReader,
  marks: NameMarks,
  filter: JobFilter,
): Promise<{ readonly items: readonly JobView[]; readonly total: number }> {
  if (isPlain(filter)) return listByName(reader, marks, filter);
  const views: JobView[] = [];
  await reader.each<JobRow>('job/', 'job0', (row) => {
    if (reader.get<StatusRow>(keys.status(row.uid)) === undefined) return;
    const view = jobView(reader, row);
    if (matches(view, filter)) views.push(view);
  });
  views.sort(comparator(filter));
  return { items: views.slice(filter.start, filter.end ?? undefined), total: views.length };
}

function isPlain(filter: JobFilter): boolean {
  return (
    filter.sort === 'name' &&
    !filter.isDescending &&
    filter.text === '' &&
    filter.status === null &&
    filter.disabled === null &&
    Object.keys(filter.metadata).length === 0
  );
}

/** Every so many names a key is remembered, so that a page far behind the start is found without reading up to it. */
const NAMES_PER_MARK = 200;

/** Where in the order of names every 200th stands, as long as no name comes or goes. One for each reader. */
export class NameMarks {
  #namesIndex = -1;
  #marks: readonly string[] = [];

  /** The last marked key at or before a position, and its own position. */
  async before(reader: DiskReader, start: number): Promise<{ readonly from: string; readonly position: number }> {
    if (start < NAMES_PER_MARK) return { from: FIRST_NAME, position: 0 };
    const namesIndex = reader.get<MetaRow>(keys.meta)?.namesIndex ?? 0;
    if (namesIndex !== this.#namesIndex) {
      const marks: string[] = [];
      let position = 0;
      await reader.each<NameRow>(FIRST_NAME, NAMES_END, (_row, key) => {
        if (position % NAMES_PER_MARK === 0) marks.push(key);
        position += 1;
      });
      this.#marks = marks;
      this.#namesIndex = namesIndex;
    }
    const mark = Math.min(Math.floor(start / NAMES_PER_MARK), this.#marks.length - 1);
    return mark <= 0
      ? { from: FIRST_NAME, position: 0 }
      : { from: this.#marks[mark] ?? FIRST_NAME, position: mark * NAMES_PER_MARK };
  }
}

const FIRST_NAME = 'name/';
const NAMES_END = 'name0';

async function listByName(
  reader: DiskReader,
  marks: NameMarks,
  { start, end }: JobFilter,
): Promise<{ readonly items: readonly JobView[]; readonly total: number }> {
  const total = reader.get<MetaRow>(keys.meta)?.jobs ?? 0;
  const items: JobView[] = [];
  const until = Math.min(end ?? total, total);
  let { from, position } = await marks.before(reader, start);
  while (position < until) {
    const limit = Math.min(1_000, until - position);
    const rows = await reader.page(from, NAMES_END, limit);
    for (const { key } of rows) {
      position += 1;
      if (position <= start) continue;
      const uid = reader.get<NameRow>(key)?.uid;
      const row = uid === undefined ? undefined : reader.get<JobRow>(keys.job(uid));
      if (row !== undefined) items.push(jobView(reader, row));
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) break;
    from = `${last.key}\0`;
  }
  return { items, total };
}

function matches({ job, status }: JobView, filter: JobFilter): boolean {
  if (filter.disabled !== null && job.disabled !== filter.disabled) return false;
  if (filter.status !== null && status !== (filter.status === 'untriggered' ? '' : filter.status)) return false;
  if (filter.text !== '' && !job.name.includes(filter.text) && !job.displayName.includes(filter.text)) return false;
  return Object.entries(filter.metadata).every(([key, value]) => job.metadata?.[key] === value);
}

/** "Never" sorts after every time. Ties are in the order of names. */
function comparator({ sort, isDescending }: JobFilter): (left: JobView, right: JobView) => number {
  const value = (view: JobView): string | number => {
    switch (sort) {
      case 'name':
        return view.job.name;
      case 'displayname':
        return view.job.displayName;
      case 'schedule':
        return view.job.schedule;
      case 'success_count':
        return view.successCount;
      case 'error_count':
        return view.errorCount;
      case 'last_success':
        return view.lastSuccessMs ?? Number.POSITIVE_INFINITY;
      case 'last_error':
        return view.lastErrorMs ?? Number.POSITIVE_INFINITY;
      case 'next':
        return view.nextMs ?? Number.POSITIVE_INFINITY;
    }
  };
  const sign = isDescending ? -1 : 1;
  return (left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a !== b) return a < b ? -sign : sign;
    return left.job.name < right.job.name ? -1 : 1;
  };
}
