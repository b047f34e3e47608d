/**
 * Which jobs are whose children. A job names its parent; the parent's status row lists its children. An ephemeral parent
 * goes with its first success while its children stay: then the list waits under its name for the next job of that name.
 */
import { type Applying, patchStatus, statusRow } from './applying.ts';
import { type JobRow, keys, type NameRow, type OrphansRow } from './rows.ts';

export function attachToParent(applying: Applying, row: Pick<JobRow, 'uid' | 'job'>): void {
  const { parentJob } = row.job;
  if (parentJob === '') return;
  const children = childrenOf(applying, parentJob);
  if (!children.includes(row.uid)) keepChildren(applying, parentJob, [...children, row.uid]);
}

export function detachFromParent(applying: Applying, row: Pick<JobRow, 'uid' | 'job'>): void {
  const { parentJob } = row.job;
  if (parentJob === '') return;
  const children = childrenOf(applying, parentJob).filter((child) => child !== row.uid);
  keepChildren(applying, parentJob, children);
}

/** A job of this name is new: what was left by the last one is taken out. */
export function adoptOrphans({ state }: Applying, name: string): readonly string[] {
  const orphans = state.get<OrphansRow>(keys.orphans(name));
  if (orphans === undefined) return [];
  state.delete(keys.orphans(name));
  return orphans.children;
}

/** The job of this name goes. */
export function leaveChildren({ state }: Applying, name: string, children: readonly string[]): void {
  if (children.length > 0) state.put(keys.orphans(name), { type: 'orphans', children });
}

function childrenOf({ state }: Applying, parent: string): readonly string[] {
  const name = state.get<NameRow>(keys.name(parent));
  if (name !== undefined) return statusRow(state, name.uid).children;
  return state.get<OrphansRow>(keys.orphans(parent))?.children ?? [];
}

function keepChildren({ state }: Applying, parent: string, children: readonly string[]): void {
  const name = state.get<NameRow>(keys.name(parent));
  if (name !== undefined) patchStatus(state, name.uid, { children });
  else if (children.length > 0) state.put(keys.orphans(parent), { type: 'orphans', children });
  else if (state.get<OrphansRow>(keys.orphans(parent)) !== undefined) state.delete(keys.orphans(parent));
}
