/** One link of a job's cursor chain: refused unless it continues what is committed, so no instant is lost or doubled. */

import { createRun } from './apply-runs.ts';
import { type Applying, jobRow, moveDue, patchStatus, statusRow } from './applying.ts';
import type { FireItem } from './command.ts';
import { appendFire, type NewFire } from './fires.ts';
import type { StatusRow } from './rows.ts';

export function applyFireItem(applying: Applying, item: FireItem): void {
  const { state, events } = applying;
  const row = jobRow(state, item.uid);
  if (row === undefined) return;
  const status = statusRow(state, item.uid);
  if (!continuesChain(item, status)) {
    events.push({ type: 'due-moved', uid: item.uid, nextMs: status.nextMs });
    return;
  }
  patchStatus(state, item.uid, { cursorMs: item.lastMs, nextMs: item.nextMs });
  moveDue(applying, item.uid, status.nextMs, item.nextMs);

  const fire = decideFire(applying, item, row.job.concurrency === 'forbid' && status.openRuns > 0);
  appendFire(applying, item.uid, row.generation, fire);
  if (fire.outcome === 'open') {
    createRun(applying, row, { cause: 's', key: item.firstMs, scheduledAtMs: item.firstMs }, item.targets);
  }
  events.push({
    type: 'fired',
    uid: item.uid,
    firstMs: fire.firstMs,
    count: fire.count,
    outcome: fire.outcome,
    reason: fire.reason,
  });
}

function continuesChain(item: FireItem, status: StatusRow): boolean {
  return (
    item.generation === status.generation &&
    item.previousMs === status.cursorMs &&
    item.firstMs > item.previousMs &&
    item.lastMs >= item.firstMs &&
    item.count >= 1 &&
    (item.plan !== 'run' || item.firstMs === item.lastMs) &&
    (item.nextMs === null || item.nextMs > item.lastMs)
  );
}

/** The leader plans; what only the committed state knows (overlap, room to wait) is decided here. */
function decideFire(applying: Applying, item: FireItem, isOverlap: boolean): NewFire {
  const { firstMs, lastMs, count } = item;
  const at = { firstMs, lastMs, count };
  if (item.plan !== 'run') return { ...at, outcome: item.plan, reason: item.reason };
  if (isOverlap) return { ...at, outcome: 'skipped', reason: 'overlap' };
  const { waits, settings } = applying.state.meta;
  if (item.targets.length === 0 && waits >= settings.pendingRunsMax)
    return { ...at, outcome: 'missed', reason: 'shed' };
  return { ...at, outcome: 'open', reason: '' };
}
