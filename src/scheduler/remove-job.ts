/**
 * Deleting a job: its name is free and its schedule ends with the entry; its runs and fires go in the same entry when
 * they are few, else bit by bit, by `purge` commands. Running attempts go on; nobody knows them any more when they
 * finish.
 */
import { type Applying, moveDue, statusRow } from './applying.ts';
import { detachFromParent, leaveChildren } from './children.ts';
import { dropFinishedRun, dropRun } from './drop-runs.ts';
import { type FireRow, type GenerationRow, type JobRow, keys, type PurgeRow, type WaitRow } from './rows.ts';

/** Rows removed by one entry, about. */
const REMOVED_PER_ENTRY = 200;

export function removeJob(applying: Applying, row: JobRow): void {
  const { state, events } = applying;
  const { uid } = row;
  const status = statusRow(state, uid);
  moveDue(applying, uid, status.nextMs, null);
  detachFromParent(applying, row);
  leaveChildren(applying, row.job.name, status.children);
  state.delete(keys.name(row.job.name));
  state.delete(keys.job(uid));
  state.delete(keys.status(uid));
  state.meta = { ...state.meta, jobs: state.meta.jobs - 1, namesIndex: applying.index };
  state.put(keys.purge(uid), {
    type: 'purge',
    openHead: status.openHead,
    finishedFirst: status.finishedFirst,
    finishedNext: status.finishedNext,
    fireHead: status.fireHead,
    generation: status.generation,
  });
  const hasRemains = purge(applying, uid);
  events.push({ type: 'job-deleted', uid, name: row.job.name, hasRemains });
}

/** Removes a bounded number of rows of a deleted job. True: some are left. */
export function purge(applying: Applying, uid: string): boolean {
  const { state, events } = applying;
  let row = state.get<PurgeRow>(keys.purge(uid));
  if (row === undefined) return false;
  for (let removed = 0; removed < REMOVED_PER_ENTRY; ) {
    const purged = purgeOne(applying, uid, row);
    if (purged === null) {
      state.delete(keys.purge(uid));
      return false;
    }
    row = purged.rest;
    removed += purged.removed;
  }
  state.put(keys.purge(uid), row);
  events.push({ type: 'purge-left', uid });
  return true;
}

/** `removed` counts rows, near enough: a run may have a thousand targets. */
function purgeOne(applying: Applying, uid: string, row: PurgeRow): { rest: PurgeRow; removed: number } | null {
  const { state } = applying;
  if (row.openHead !== null) {
    const run = dropRun(state, uid, row.openHead);
    if (run !== undefined) dropWaits(applying, run.id, run.targets);
    return { rest: { ...row, openHead: run?.older ?? null }, removed: 1 + (run?.targets ?? 0) };
  }
  if (row.finishedFirst < row.finishedNext) {
    const run = dropFinishedRun(state, uid, row.finishedFirst);
    return { rest: { ...row, finishedFirst: row.finishedFirst + 1 }, removed: 1 + (run?.targets ?? 0) };
  }
  if (row.fireHead !== null) {
    const fire = state.get<FireRow>(keys.fire(uid, row.fireHead));
    state.delete(keys.fire(uid, row.fireHead));
    return { rest: { ...row, fireHead: fire?.older ?? null }, removed: 1 };
  }
  if (row.generation > 0) {
    const key = keys.generation(uid, row.generation);
    if (state.get<GenerationRow>(key) !== undefined) state.delete(key);
    return { rest: { ...row, generation: row.generation - 1 }, removed: 1 };
  }
  return null;
}

function dropWaits(applying: Applying, run: string, targets: number): void {
  const { state, events } = applying;
  const ordinals: (number | null)[] = [null];
  for (let ordinal = 0; ordinal < targets; ordinal += 1) ordinals.push(ordinal);
  for (const ordinal of ordinals) {
    if (state.get<WaitRow>(keys.wait(run, ordinal)) === undefined) continue;
    state.delete(keys.wait(run, ordinal));
    state.meta = { ...state.meta, waits: state.meta.waits - 1 };
    events.push({ type: 'wait-ended', run, ordinal });
  }
}
