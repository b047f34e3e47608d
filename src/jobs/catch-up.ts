/**
 * What becomes of the instants that have come due, be it one or a million after a long night. Each instant between the
 * committed cursor and now is in exactly one item, and the items are in order:
 *
 *        before starts_at  │  older than the window  │  in the window  │  after expires_at
 *       skipped: not-yet   │  missed: window-passed  │   a run each    │  skipped: expired
 *
 * If nothing in the window runs, the newest of the older ones does, and the missed stretch ends before it.
 */
import type { FireReason } from './fire.ts';
import { countInstants, nextInstant, type ScheduleContext } from './next.ts';
import type { Schedule } from './schedule.ts';

/** What must be known of a job to say which of its instants come next. */
export interface FireSource {
  readonly schedule: Schedule;
  readonly context: ScheduleContext;
  /** The last instant that has an outcome, or when this generation began. */
  readonly cursorMs: number;
  /** Instants before it are not-yet; one at it runs. */
  readonly startsAtMs: number | null;
  /** Instants after it are expired; one at it runs. */
  readonly expiresAtMs: number | null;
}

export type PlannedFire =
  | { readonly type: 'run'; readonly nominalMs: number }
  | {
      readonly type: 'stretch';
      readonly firstMs: number;
      readonly lastMs: number;
      readonly count: number;
      readonly outcome: 'missed' | 'skipped';
      readonly reason: FireReason;
    };

export interface FirePlan {
  readonly items: readonly PlannedFire[];
  /** The last instant in `items`; the old cursor when there are none. */
  readonly cursorMs: number;
  /** As `nextDue` after that. Not after now when `max` cut the plan: plan again. */
  readonly nextMs: number | null;
}

/**
 * Decides all instants in (cursor, now + ahead]. `max` bounds the runs of one plan, at least 1. A run that was missed
 * while the job had not expired is caught up even when it has expired since.
 */
export function planFires(
  request: FireSource & {
    readonly nowMs: number;
    /** How far ahead of now instants may be decided, 0 by default. */
    readonly aheadMs?: number;
    /** How far back each instant runs on its own. */
    readonly windowMs: number;
    readonly max: number;
  },
): FirePlan {
  const { schedule, context, nowMs, aheadMs = 0, windowMs, max } = request;
  const spans = spansOf(request, nowMs + aheadMs);
  const items = stretch(request, spans.notYet, 'skipped', 'not-yet');

  const { fromMs, toMs } = spans.active;
  const olderToMs = Math.max(fromMs, Math.min(toMs, nowMs - windowMs - 1));
  let instantMs = nextInstant(schedule, context, olderToMs);
  const isAnyYounger = instantMs !== null && instantMs <= toMs;
  const older = countInstants(schedule, context, fromMs, olderToMs);
  if (isAnyYounger || older.lastMs === null) {
    items.push(...stretch(request, { fromMs, toMs: olderToMs }, 'missed', 'window-passed'));
  } else {
    items.push(...stretch(request, { fromMs, toMs: older.lastMs - 1 }, 'missed', 'window-passed'));
    items.push({ type: 'run', nominalMs: older.lastMs });
  }

  let runs = 0;
  while (instantMs !== null && instantMs <= toMs) {
    if (runs === max) return finish(request, items);
    items.push({ type: 'run', nominalMs: instantMs });
    runs += 1;
    instantMs = nextInstant(schedule, context, instantMs);
  }
  items.push(...stretch(request, spans.expired, 'skipped', 'expired'));
  return finish(request, items);
}

/**
 * What becomes of the instants in (cursor, until] when a generation ends there, or a pause: those within `starts_at`
 * and `expires_at` get the one outcome given.
 */
export function closeFires(
  request: FireSource & {
    readonly untilMs: number;
    readonly outcome: 'missed' | 'skipped';
    readonly reason: FireReason;
  },
): readonly PlannedFire[] {
  const spans = spansOf(request, request.untilMs);
  return [
    ...stretch(request, spans.notYet, 'skipped', 'not-yet'),
    ...stretch(request, spans.active, request.outcome, request.reason),
    ...stretch(request, spans.expired, 'skipped', 'expired'),
  ];
}

/**
 * The next instant that may run: the first after the cursor that `starts_at` and `expires_at` allow. What is skipped
 * before it is decided along with it. After `expires_at` it is null: such instants become a stretch in the plan or the
 * closing that comes next, and none is planned for their sake, so an expired job costs nothing.
 */
export function nextDue(source: FireSource): number | null {
  const { schedule, context, cursorMs, startsAtMs, expiresAtMs } = source;
  const nextMs = nextInstant(schedule, context, Math.max(cursorMs, beforeStart(startsAtMs)));
  return nextMs === null || nextMs > afterwards(expiresAtMs) ? null : nextMs;
}

/** The instants in (from, to]. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** (cursor, until] in three, each of which may be empty. Instants are whole ms. */
function spansOf(source: FireSource, untilMs: number): { notYet: Span; active: Span; expired: Span } {
  const { cursorMs } = source;
  const startMs = Math.max(cursorMs, Math.min(untilMs, beforeStart(source.startsAtMs)));
  const endMs = Math.max(startMs, Math.min(untilMs, afterwards(source.expiresAtMs)));
  return {
    notYet: { fromMs: cursorMs, toMs: startMs },
    active: { fromMs: startMs, toMs: endMs },
    expired: { fromMs: endMs, toMs: Math.max(endMs, untilMs) },
  };
}

function beforeStart(startsAtMs: number | null): number {
  return startsAtMs === null ? Number.NEGATIVE_INFINITY : startsAtMs - 1;
}

function afterwards(expiresAtMs: number | null): number {
  return expiresAtMs ?? Number.POSITIVE_INFINITY;
}

function stretch(source: FireSource, span: Span, outcome: 'missed' | 'skipped', reason: FireReason): PlannedFire[] {
  const { count, firstMs, lastMs } = countInstants(source.schedule, source.context, span.fromMs, span.toMs);
  if (firstMs === null || lastMs === null) return [];
  return [{ type: 'stretch', firstMs, lastMs, count, outcome, reason }];
}

function finish(source: FireSource, items: readonly PlannedFire[]): FirePlan {
  const last = items[items.length - 1];
  const cursorMs = last === undefined ? source.cursorMs : last.type === 'run' ? last.nominalMs : last.lastMs;
  return { items, cursorMs, nextMs: nextDue({ ...source, cursorMs }) };
}
