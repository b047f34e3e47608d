/**
 * The ledger: a job's nominal times and their outcomes, as a list of rows linked from newest to oldest. A row is a
 * stretch of neighbouring instants with equal outcome, reason and generation; open fires stand alone until they are
 * resolved, and fold into their neighbours then.
 *
 *   status.fireHead ─► [open 12:03] ─older─► [ran 11:00…12:02, 63] ─older─► [missed 10:58…10:59, 2] ◄─ status.fireTail
 */
import type { FireOutcome, FireReason } from '../jobs/fire.ts';
import { type Applying, patchStatus, statusRow } from './applying.ts';
import { type FireRow, type GenerationRow, keys } from './rows.ts';
import type { State } from './state.ts';

export interface NewFire {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly outcome: FireOutcome;
  readonly reason: FireReason;
}

/** Rows dropped at most with each new fire once they are older than `keep-fires`. */
const EXPIRED_ROWS_PER_FIRE = 2;

/** Adds what comes after the newest row; folds it in where it can. */
export function appendFire(applying: Applying, uid: string, generation: number, fire: NewFire): void {
  const { state, index } = applying;
  const { fireHead } = statusRow(state, uid);
  const head = fireHead === null ? undefined : fireRow(state, uid, fireHead);
  if (head !== undefined && fire.outcome !== 'open' && isAlike(head, { ...fire, generation })) {
    state.put(keys.fire(uid, head.firstMs), {
      ...head,
      lastMs: fire.lastMs,
      count: head.count + fire.count,
      lastIndex: index,
    });
  } else {
    if (head !== undefined) state.put(keys.fire(uid, head.firstMs), { ...head, newer: fire.firstMs });
    state.create(keys.fire(uid, fire.firstMs), {
      type: 'fire',
      generation,
      ...fire,
      firstIndex: index,
      lastIndex: index,
      latenessMs: null,
      newer: null,
      older: fireHead,
    });
    patchStatus(state, uid, {
      fireHead: fire.firstMs,
      ...(head === undefined ? { fireTail: fire.firstMs } : {}),
    });
  }
  dropExpired(applying, uid);
}

/** Closes an open fire with what became of it. One that is not open (any more) is left alone. */
export function resolveFire(
  applying: Applying,
  uid: string,
  nominalMs: number,
  end: { readonly outcome: 'ran' | 'missed'; readonly reason: FireReason; readonly latenessMs: number | null },
): void {
  const { state, index, events } = applying;
  const open = state.get<FireRow>(keys.fire(uid, nominalMs));
  if (open === undefined || open.outcome !== 'open') return;
  events.push({ type: 'fired', uid, firstMs: nominalMs, count: 1, outcome: end.outcome, reason: end.reason });
  let row: FireRow = { ...open, ...end, lastIndex: index };

  const older = row.older === null ? undefined : fireRow(state, uid, row.older);
  if (older !== undefined && isAlike(older, row)) row = join(state, uid, older, row);
  const newer = row.newer === null ? undefined : fireRow(state, uid, row.newer);
  if (newer !== undefined && isAlike(row, newer)) row = join(state, uid, row, newer);
  state.put(keys.fire(uid, row.firstMs), row);
}

/** Makes one row of two neighbours, under the older one's key. The caller puts it. */
function join(state: State, uid: string, older: FireRow, newer: FireRow): FireRow {
  state.delete(keys.fire(uid, newer.firstMs));
  const after = newer.newer === null ? undefined : fireRow(state, uid, newer.newer);
  if (after !== undefined) state.put(keys.fire(uid, after.firstMs), { ...after, older: older.firstMs });
  else patchStatus(state, uid, { fireHead: older.firstMs });
  return {
    ...older,
    lastMs: newer.lastMs,
    count: older.count + newer.count,
    lastIndex: Math.max(older.lastIndex, newer.lastIndex),
    latenessMs: greatest(older.latenessMs, newer.latenessMs),
    newer: newer.newer,
  };
}

function dropExpired(applying: Applying, uid: string): void {
  const { state, loggedMs } = applying;
  for (let dropped = 0; dropped < EXPIRED_ROWS_PER_FIRE; dropped += 1) {
    const { fireHead, fireTail } = statusRow(state, uid);
    if (fireTail === null || fireTail === fireHead) return;
    const tail = fireRow(state, uid, fireTail);
    if (tail.outcome === 'open' || tail.lastMs >= loggedMs - state.meta.settings.keepFiresMs) return;
    state.delete(keys.fire(uid, tail.firstMs));
    const next = fireRow(state, uid, tail.newer as number);
    state.put(keys.fire(uid, next.firstMs), { ...next, older: null });
    patchStatus(state, uid, { fireTail: next.firstMs });
    // A closed generation is kept as long as its fires.
    for (let old = tail.generation; old < next.generation; old += 1) {
      if (state.get<GenerationRow>(keys.generation(uid, old)) !== undefined) state.delete(keys.generation(uid, old));
    }
  }
}

function isAlike(
  left: Pick<FireRow, 'outcome' | 'reason' | 'generation'>,
  right: Pick<FireRow, 'outcome' | 'reason' | 'generation'>,
): boolean {
  return (
    left.outcome !== 'open' &&
    left.outcome === right.outcome &&
    left.reason === right.reason &&
    left.generation === right.generation
  );
}

function fireRow(state: State, uid: string, firstMs: number): FireRow {
  const row = state.get<FireRow>(keys.fire(uid, firstMs));
  if (row === undefined) throw new Error(`job ${uid} has no fire row ${firstMs}`);
  return row;
}

function greatest(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.max(left, right);
}
