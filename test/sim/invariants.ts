/**
 * What must hold after every event, checked as the log is applied: agreement (one leader a term, committed entries
 * never change, equal states), the ledger of nominal times, and that work is started as it was decided.
 */
import { crc32Of } from '../../src/base/hash.ts';
import type { Task } from '../../src/executors/executor.ts';
import type { ExecutionOutcome } from '../../src/jobs/execution.ts';
import { parseRunId } from '../../src/jobs/ids.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import type { Entry } from '../../src/raft/raft-protocol.ts';
import type { EntryId } from '../../src/raft/types.ts';
import { AGREE_MS } from '../../src/scheduler/cluster-time.ts';
import type { StateEvent } from '../../src/scheduler/event.ts';
import type { Result } from '../../src/scheduler/intent.ts';
import { type JobRow, keys, type NameRow } from '../../src/scheduler/rows.ts';
import type { State } from '../../src/scheduler/state.ts';
import { Ledger } from './ledger.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import { Voters } from './voters.ts';
import type { World } from './world.ts';

interface Committed {
  readonly term: number;
  readonly crc: number;
  readonly hash: string;
}

/** What became of a client's request, by the committed log. */
export interface Effect {
  readonly index: number;
  readonly result: Result;
  readonly loggedMs: number;
  /** Entries that changed something for it. */
  count: number;
}

interface Start {
  readonly node: string;
  readonly life: number;
}

const CHECK_ROWS_EVERY = 500;
/** What one leader's clock may be ahead by before the others count, and what right clocks are off by. */
const TIME_MS_MAX = AGREE_MS + 1_000;
const CHECK_ORDER_EVERY = 25;
/** As long as answers to requests are kept. */
const KEPT_MS = 600_000;

export class Invariants {
  readonly ledger: Ledger;
  /** By index; the first server to apply an entry writes it down. */
  readonly history: Committed[] = [];
  readonly effects = new Map<string, Effect>();
  /** Who has a name by the committed log, and the entry that gave or took it last. */
  readonly names = new Map<string, { readonly uid: string | null; readonly index: number }>();
  readonly starts = new Map<string, Start>();
  readonly finished = new Map<string, { readonly outcome: ExecutionOutcome; readonly index: number }>();
  readonly lateFinishes = new Set<string>();
  readonly deletedJobs = new Set<string>();
  readonly voters = new Voters();
  readonly #leaders = new Map<number, string>();
  readonly #assigned = new Map<string, { readonly node: string; readonly index: number }>();
  readonly #endedRuns = new Set<string>();
  /** By server: how far it has ever stored. */
  readonly #stored = new Map<string, number>();
  /** The text of objects in meta rows. */
  readonly #nested = new WeakMap<object, string>();
  readonly #nameOf: (id: string) => string;
  #events = 0;

  constructor({ zones, nameOf }: { readonly zones: Zones; readonly nameOf: (id: string) => string }) {
    this.ledger = new Ledger(zones);
    this.#nameOf = nameOf;
  }

  get lastIndex(): number {
    return this.history.length;
  }

  /** The last that any server has applied. */
  get lastCommitted(): EntryId | null {
    const last = this.history[this.history.length - 1];
    return last === undefined ? null : { index: this.history.length, term: last.term };
  }

  get elections(): number {
    return this.#leaders.size;
  }

  /** One leader a term, and one life of it: its next life does not know what it appended (I1). */
  elected({ name, lives }: SimNode, term: number): void {
    const leader = `${name} in life ${lives}`;
    const other = this.#leaders.get(term);
    check(other === undefined || other === leader, () => `${other} and ${leader} both lead term ${term}`);
    this.#leaders.set(term, leader);
  }

  /** Gives the hash of the state, for the trace. `nowMs`: what time it really is. */
  applied(node: SimNode, state: State, entry: Entry, events: readonly StateEvent[], nowMs: number): string {
    const { index, term } = entry;
    const { meta } = state;
    const hash = `${state.rowHash().toString(16)}-${crc32Of(Buffer.from(this.#textOf(meta))).toString(16)}`;
    const crc = crc32Of(entry.data);
    check(
      meta.loggedMs <= nowMs + TIME_MS_MAX,
      () => `${node.name}: entry ${index} takes logged time ${meta.loggedMs - nowMs} ms ahead of the real one`,
    );
    const known = this.history[index - 1];
    if (known !== undefined) {
      check(
        known.term === term && known.crc === crc,
        () => `${node.name}: committed entry ${index} of term ${known.term} has become one of term ${term}`,
      );
      check(
        known.hash === hash,
        () => `${node.name}: the state after entry ${index} is ${hash}, elsewhere ${known.hash}`,
      );
      return hash;
    }
    check(
      index === this.history.length + 1,
      () => `${node.name}: applies ${index} when ${this.history.length} is the last`,
    );
    this.history.push({ term, crc, hash });
    this.voters.applied(entry);
    for (const event of events) this.#record(state, entry, event);
    return hash;
  }

  /** As good as JSON, and cheap: most entries leave what is nested as it is. */
  #textOf(meta: State['meta']): string {
    let text = '';
    for (const value of Object.values(meta)) {
      if (typeof value !== 'object' || value === null) {
        text += `${value} `;
        continue;
      }
      let nested = this.#nested.get(value);
      if (nested === undefined) {
        nested = JSON.stringify(value);
        this.#nested.set(value, nested);
      }
      text += `${nested} `;
    }
    return text;
  }

  started({ name, lives }: SimNode, { execution, fence, run }: Task, nowMs: number): void {
    const before = this.starts.get(execution);
    check(
      before === undefined,
      () => `${name} (life ${lives}) starts ${execution}, started before by ${before?.node} (life ${before?.life})`,
    );
    this.starts.set(execution, { node: name, life: lives });
    const assigned = this.#assigned.get(execution);
    check(
      assigned !== undefined,
      () => `${name} starts ${execution} at ${nowMs}, which no committed entry has assigned`,
    );
    check(
      assigned.index === fence && assigned.node === name,
      () => `${name} starts ${execution} with fence ${fence}; it was assigned to ${assigned.node} by ${assigned.index}`,
    );
    const end = this.finished.get(execution);
    check(
      end === undefined,
      () => `${name} starts ${execution}, which entry ${end?.index} has recorded as ${end?.outcome}`,
    );
    check(!this.#endedRuns.has(run), () => `${name} starts ${execution} of a run that has ended`);
  }

  afterEvent(world: World): void {
    this.#events += 1;
    if (this.#events % CHECK_ORDER_EVERY === 0) for (const node of world.servers) this.#checkOrder(node);
    if (this.#events % CHECK_ROWS_EVERY === 0) this.checkRows(world);
  }

  /** All rows of a server that is as far as anybody: names, ledger. */
  checkRows(world: World): void {
    for (const node of world.servers) {
      const state = node.running?.consensus?.state;
      if (state == null || state.meta.appliedIndex !== this.history.length) continue;
      this.ledger.compare(state);
      for (const uid of this.ledger.uids) this.ledger.recount(uid);
      for (const [name, { uid, index }] of this.names) {
        const found = state.get<NameRow>(keys.name(name))?.uid ?? null;
        check(found === uid, () => `${node.name}: '${name}' is ${found}, and entry ${index} made it ${uid}`);
      }
      return;
    }
  }

  #checkOrder(node: SimNode): void {
    const { running } = node;
    const progress = running?.progress();
    if (running === undefined || progress == null) return;
    const { appliedIndex, storedIndex } = progress;
    check(storedIndex <= appliedIndex, () => `${node.name}: stored ${storedIndex}, applied ${appliedIndex}`);
    check(appliedIndex <= this.history.length, () => `${node.name}: applied ${appliedIndex} of ${this.history.length}`);
    const before = this.#stored.get(node.name) ?? 0;
    check(storedIndex >= before, () => `${node.name}: had stored ${before}, now ${storedIndex}`);
    this.#stored.set(node.name, storedIndex);
    // One whose process is about to end takes no more turns.
    if (node.isHeldUp || node.isDoomed) return;
    for (const system of node.systems) {
      for (const { name, depth } of system.inspect()) {
        check(depth === 0, () => `${node.name}: ${name} has ${depth} messages after all turns`);
      }
    }
  }

  #record(state: State, entry: Entry, event: StateEvent): void {
    const { index } = entry;
    switch (event.type) {
      case 'fired':
        return this.ledger.fired(event, state.meta.loggedMs);
      case 'answered':
        if (!event.isStale) this.#recordAnswer(state, index, event.scope, event.result);
        return;
      case 'job-deleted':
        this.ledger.deleted(event.uid);
        this.deletedJobs.add(event.uid);
        this.names.set(event.name, { uid: null, index });
        return;
      case 'assigned': {
        const { execution } = event;
        check(!this.#assigned.has(execution), () => `${execution} is assigned a second time, by entry ${index}`);
        this.#assigned.set(execution, { node: this.#nameOf(event.node), index });
        const run = parseRunId(execution.slice(0, execution.lastIndexOf('-', execution.lastIndexOf('-') - 1)));
        check(run !== undefined, () => `no execution id: ${execution}`);
        check(
          run.nominalMs === null || this.#isFired(state, run.uid, run.nominalMs),
          () => `${execution} is assigned by entry ${index} before its fire is committed`,
        );
        return;
      }
      case 'finished': {
        const { execution, outcome } = event;
        const before = this.finished.get(execution);
        check(before === undefined, () => `${execution} ends as ${before?.outcome}, then as ${outcome}`);
        check(this.#assigned.has(execution), () => `${execution} ends and was never assigned`);
        check(
          outcome !== 'refused' || !this.starts.has(execution),
          () => `${execution} is recorded as refused, and was started`,
        );
        this.finished.set(execution, { outcome, index });
        return;
      }
      case 'late-finish':
        this.lateFinishes.add(event.execution);
        return;
      case 'run-ended':
        check(!this.#endedRuns.has(event.run), () => `${event.run} ends twice`);
        this.#endedRuns.add(event.run);
        return;
      default:
        return;
    }
  }

  /** A retry's fire may have ended as ran already. */
  #isFired(state: State, uid: string, nominalMs: number): boolean {
    if (this.ledger.hasOpen(uid, nominalMs)) return true;
    return state.get(keys.run(uid, `s${nominalMs}`)) !== undefined;
  }

  #recordAnswer(state: State, index: number, scope: string, result: Result): void {
    const { loggedMs } = state.meta;
    // A refusal is not kept: a repeat may find what was missing. Nor is an answer for ever, by logged time: that may
    // leap where a new cluster first went by a clock that was days behind.
    const before = this.effects.get(scope);
    const isKept = before !== undefined && before.result.type !== 'refused' && loggedMs - before.loggedMs < KEPT_MS;
    const known = isKept ? before : undefined;
    const isJobChange = result.type === 'job' && result.job.modifiedIndex === index;
    if (result.type === 'job' && isJobChange) {
      const row = state.get<JobRow>(keys.job(result.job.uid));
      if (row !== undefined) {
        this.ledger.put(row);
        this.names.set(row.job.name, { uid: row.uid, index });
      }
    }
    const isEffect = isJobChange || (result.type === 'run' && known === undefined);
    if (known === undefined) {
      this.effects.set(scope, { index, result, loggedMs, count: isEffect ? 1 : 0 });
      return;
    }
    if (isEffect) known.count += 1;
    check(known.count <= 1, () => `request ${scope} had an effect by entry ${known.index} and again by ${index}`);
  }
}
