/** What a server's state on disk says: as old as the last flush, and there without asking another thread. */
import { parseUid } from '../jobs/ids.ts';
import { type JobRow, keys, type MetaRow, type NodeRow } from '../scheduler/rows.ts';
import type { HealthView } from './backend.ts';
import type { DiskReader } from './disk-reader.ts';

type Check = HealthView['checks'][number];

export function leaderCheck(reader: DiskReader, leader: string | null): Check {
  if (leader === null) return { name: 'leader', isOk: false, detail: 'no leader is known' };
  return { name: 'leader', isOk: true, detail: reader.get<NodeRow>(keys.node(leader))?.name ?? leader };
}

/** A run that is asked for before the session of this boot is open may find no node at all. */
export function sessionCheck(
  reader: DiskReader,
  { node, boot }: { readonly node: string; readonly boot: number },
  slots: number,
): Check {
  const name = 'session';
  if (slots === 0) return { name, isOk: true, detail: 'not needed: the node has no slots' };
  const row = reader.get<NodeRow>(keys.node(node));
  const isOk = row?.isOpen === true && row.boot === boot;
  return { name, isOk, detail: isOk ? '' : 'the leader has not opened the session of this start yet' };
}

/** A uid carries the index of the entry that made it, so one that is still to come is told from one that was. */
export function isJobGone(reader: DiskReader, uid: string): boolean {
  const { appliedIndex } = reader.get<MetaRow>(keys.meta) ?? { appliedIndex: 0 };
  const index = parseUid(uid)?.index ?? Number.POSITIVE_INFINITY;
  return index <= appliedIndex && reader.get<JobRow>(keys.job(uid)) === undefined;
}
