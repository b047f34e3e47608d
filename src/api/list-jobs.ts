/** The list of jobs: by name it reads only the page; filters and other orders read all jobs. */

import { jobView } from '../scheduler/reader.ts';
import { type JobRow, keys, type MetaRow, type NameRow, type StatusRow } from '../scheduler/rows.ts';
import type { JobView } from '../scheduler/views.ts';
import type { JobFilter } from './backend.ts';
import type { DiskReader } from './disk-reader.ts';

export async function listJobs(
  reader: DiskReader,
  filter: JobFilter,
): Promise<{ readonly items: readonly JobView[]; readonly total: number }> {
  if (isPlain(filter)) return listByName(reader, filter);
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

async function listByName(
  reader: DiskReader,
  { start, end }: JobFilter,
): Promise<{ readonly items: readonly JobView[]; readonly total: number }> {
  const total = reader.get<MetaRow>(keys.meta)?.jobs ?? 0;
  const items: JobView[] = [];
  const until = Math.min(end ?? total, total);
  let position = 0;
  for (let from = 'name/'; position < until; ) {
    const limit = Math.min(1_000, until - position);
    const rows = await reader.page(from, 'name0', limit);
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
