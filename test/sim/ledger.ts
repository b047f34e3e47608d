/**
 * The offline truth about nominal times: for each job, which instants its generations name, recomputed with
 * `src/jobs/next.ts` from what was put, and which of them have an outcome. Fed by the events of the committed log, and
 * compared with the rows of the state.
 */

import { nextDue } from '../../src/jobs/catch-up.ts';
import type { FireOutcome, FireReason } from '../../src/jobs/fire.ts';
import { countInstants, nextInstant } from '../../src/jobs/next.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import { Schedules } from '../../src/scheduler/chain.ts';
import { type FireRow, type JobRow, keys, type StatusRow } from '../../src/scheduler/rows.ts';
import type { State } from '../../src/scheduler/state.ts';
import { check } from './violation.ts';

interface Stretch {
  readonly generation: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
}

export interface FiredEvent {
  readonly uid: string;
  readonly firstMs: number;
  readonly count: number;
  readonly outcome: FireOutcome;
  readonly reason: FireReason;
}

/** One job's, from its put to its deletion. */
class Account {
  row: JobRow;
  /** Every instant up to here has an outcome. */
  cursorMs: number;
  readonly open = new Set<number>();
  /** One per outcome, oldest first. */
  readonly stretches: Stretch[] = [];
  /** Instants that ran, were missed or skipped. */
  decided = 0;

  constructor(row: JobRow) {
    this.row = row;
    this.cursorMs = row.openedMs;
  }
}

export class Ledger {
  readonly #schedules: Schedules;
  readonly #accounts = new Map<string, Account>();

  constructor(zones: Zones) {
    this.#schedules = new Schedules(zones);
  }

  get uids(): Iterable<string> {
    return this.#accounts.keys();
  }

  openCount(uid: string): number {
    return this.#accounts.get(uid)?.open.size ?? 0;
  }

  decidedCount(uid: string): number {
    return this.#accounts.get(uid)?.decided ?? 0;
  }

  hasOpen(uid: string, nominalMs: number): boolean {
    return this.#accounts.get(uid)?.open.has(nominalMs) === true;
  }

  /** A new generation: nothing of the old one may be left without an outcome. */
  put(row: JobRow): void {
    const account = this.#accounts.get(row.uid);
    if (account === undefined) {
      this.#accounts.set(row.uid, new Account(row));
      return;
    }
    check(
      row.generation === account.row.generation + 1,
      () => `${row.job.name}: generation ${row.generation} after ${account.row.generation}`,
    );
    const left = this.#next(account.row, account.cursorMs);
    check(
      left === null || left > row.openedMs,
      () => `${row.job.name}: generation ${account.row.generation} ends at ${row.openedMs} and ${left} has no outcome`,
    );
    account.row = row;
    account.cursorMs = row.openedMs;
  }

  deleted(uid: string): void {
    this.#accounts.delete(uid);
  }

  fired({ uid, firstMs, count, outcome, reason }: FiredEvent, loggedMs: number): void {
    const account = this.#accounts.get(uid);
    check(account !== undefined, () => `a fire of ${uid}, which nobody has put`);
    if (account.open.has(firstMs)) {
      check(count === 1 && (outcome === 'ran' || outcome === 'missed'), () => `${uid}: ${firstMs} ends as ${outcome}`);
      account.open.delete(firstMs);
      account.decided += 1;
      return;
    }
    const { row } = account;
    let lastMs = account.cursorMs;
    for (let position = 0; position < count; position += 1) {
      const instantMs = this.#next(row, lastMs);
      check(instantMs !== null, () => `${row.job.name}: more outcomes than instants at ${firstMs}`);
      check(
        position > 0 || instantMs === firstMs,
        () =>
          `${row.job.name} (${row.job.schedule}): ${firstMs} is ${outcome} after ${account.cursorMs}, but ${instantMs} comes next`,
      );
      lastMs = instantMs;
    }
    check(lastMs <= loggedMs, () => `${row.job.name}: ${lastMs} has an outcome at ${loggedMs}`);
    check(outcome !== 'open' || count === 1, () => `${row.job.name}: ${count} instants are open as one`);
    check(
      !row.job.disabled || (outcome === 'skipped' && reason !== 'overlap'),
      () => `${row.job.name} is disabled, and ${firstMs} is ${outcome} ${reason}`,
    );
    account.cursorMs = lastMs;
    account.stretches.push({ generation: row.generation, firstMs, lastMs, count });
    if (outcome === 'open') account.open.add(firstMs);
    else account.decided += count;
  }

  /** The rows say the same: each instant in exactly one row, none too many. Works on a state at the same index. */
  compare(state: State): void {
    for (const [uid, account] of this.#accounts) this.#compareJob(state, uid, account);
  }

  #compareJob(state: State, uid: string, account: Account): void {
    const { row } = account;
    const { name } = row.job;
    const status = state.get<StatusRow>(keys.status(uid));
    check(status !== undefined, () => `${name}: no status row`);
    const isQuiet = row.job.disabled || row.job.parentJob !== '';
    check(
      status.cursorMs === account.cursorMs,
      () => `${name}: cursor ${status.cursorMs}, and its fires end at ${account.cursorMs}`,
    );
    const nextMs = isQuiet ? null : nextDue(this.#schedules.sourceOf(row, account.cursorMs));
    check(status.nextMs === nextMs, () => `${name}: next is ${status.nextMs} instead of ${nextMs}`);
    check(
      nextMs === null || state.get(keys.due(nextMs, uid)) !== undefined,
      () => `${name}: due at ${nextMs} and not in the due index`,
    );
    this.#compareFires(state, uid, status, account);
  }

  #compareFires(state: State, uid: string, status: StatusRow, account: Account): void {
    const { name } = account.row.job;
    let at = account.stretches.length - 1;
    let openRows = 0;
    let newer: number | null = null;
    for (let key = status.fireHead; key !== null; ) {
      const fire = state.get<FireRow>(keys.fire(uid, key));
      check(fire !== undefined, () => `${name}: fire row ${key} is missing`);
      check(fire.newer === newer && fire.firstMs === key, () => `${name}: fire row ${key} is linked wrongly`);
      if (fire.outcome === 'open') openRows += 1;
      check(
        (fire.outcome === 'open') === account.open.has(fire.firstMs),
        () => `${name}: ${fire.firstMs} is ${fire.outcome}`,
      );
      // A row covers whole stretches of the ledger, newest first.
      let count = 0;
      let lastMs = 0;
      let firstMs = Number.POSITIVE_INFINITY;
      while (count < fire.count && at >= 0) {
        const stretch = account.stretches[at] as Stretch;
        check(stretch.generation === fire.generation, () => `${name}: fire row ${key} mixes generations`);
        lastMs = Math.max(lastMs, stretch.lastMs);
        firstMs = stretch.firstMs;
        count += stretch.count;
        at -= 1;
      }
      check(
        count === fire.count && firstMs === fire.firstMs && lastMs === fire.lastMs,
        () =>
          `${name}: row ${fire.firstMs}…${fire.lastMs} of ${fire.count} where ${firstMs}…${lastMs} of ${count} were decided`,
      );
      newer = fire.firstMs;
      key = fire.older;
    }
    check(at === -1, () => `${name}: ${at + 1} stretches have no row`);
    check(
      openRows === account.open.size,
      () => `${name}: ${openRows} open rows for ${account.open.size} open instants`,
    );
    check(status.fireTail === newer, () => `${name}: the oldest fire row is ${newer}, not ${status.fireTail}`);
  }

  /** Recounts what a job's present generation has decided, in one go. */
  recount(uid: string): void {
    const account = this.#accounts.get(uid);
    if (account === undefined) return;
    const { row } = account;
    const { schedule, context } = this.#schedules.sourceOf(row, row.openedMs);
    const { count } = countInstants(schedule, context, row.openedMs, account.cursorMs);
    const found = account.stretches
      .filter((stretch) => stretch.generation === row.generation)
      .reduce((sum, stretch) => sum + stretch.count, 0);
    check(count === found, () => `${row.job.name}: ${count} instants since ${row.openedMs}, ${found} outcomes`);
  }

  #next(row: JobRow, afterMs: number): number | null {
    const { schedule, context } = this.#schedules.sourceOf(row, afterMs);
    return nextInstant(schedule, context, afterMs);
  }
}
