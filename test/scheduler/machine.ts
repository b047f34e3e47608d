import { sha256Hex } from '../../src/base/hash.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { ExecutionOutcome } from '../../src/jobs/execution.ts';
import type { Finish } from '../../src/jobs/finish.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { Job } from '../../src/jobs/job.ts';
import { apply } from '../../src/scheduler/apply.ts';
import { jobRow, statusRow } from '../../src/scheduler/applying.ts';
import { dueItems, Schedules } from '../../src/scheduler/chain.ts';
import { type Command, decodeCommand, encodeCommand, type Target } from '../../src/scheduler/command.ts';
import { complete } from '../../src/scheduler/complete.ts';
import type { StateEvent } from '../../src/scheduler/event.ts';
import type { Intent, Result, Submission } from '../../src/scheduler/intent.ts';
import { Roster } from '../../src/scheduler/roster.ts';
import {
  type ExecutionRow,
  type FireRow,
  type JobRow,
  keys,
  type NameRow,
  type NodeRow,
  type RunRow,
  type StateRow,
  type StatusRow,
} from '../../src/scheduler/rows.ts';
import { HASH_KEY, State } from '../../src/scheduler/state.ts';
import { type CrashMode, MemoryDatabase } from '../../src/store/memory-storage.ts';

export const NOON_MS = Date.UTC(2026, 0, 1, 12);
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;

/** Zones of all tests: building a table takes a while. */
export const schedules = new Schedules(createIntlZones());

export function makeJob(changes: Partial<Job> = {}): Job {
  return {
    name: 'job',
    displayName: '',
    timezone: '',
    schedule: '@manually',
    owner: '',
    ownerEmail: '',
    disabled: false,
    tags: null,
    metadata: null,
    retries: 0,
    parentJob: '',
    processors: null,
    concurrency: 'allow',
    executor: 'shell',
    executorConfig: { command: 'true' },
    ephemeral: false,
    startsAtMs: null,
    expiresAtMs: null,
    targets: null,
    onLost: 'fail',
    startWithinMs: null,
    keepRuns: 100,
    ...changes,
  };
}

export function makeFinish(execution: string, outcome: ExecutionOutcome, changes: Partial<Finish> = {}): Finish {
  return {
    execution,
    outcome,
    reason: '',
    startedAtMs: outcome === 'refused' ? null : NOON_MS,
    finishedAtMs: NOON_MS + SECOND_MS,
    exitCode: outcome === 'succeeded' ? 0 : null,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
    ...changes,
  };
}

export function makeSubmission(intent: Intent, requestId: string, changes: Partial<Submission> = {}): Submission {
  return { requestId, caller: '', bodyHash: sha256Hex(JSON.stringify(intent)), intent, ...changes };
}

/** A state with the log that feeds it: commands go in as bytes, as a server gets them. Time is what `nowMs` says. */
export class Machine {
  readonly clock = new VirtualClock(NOON_MS);
  readonly database: MemoryDatabase;
  readonly log: Uint8Array[] = [];
  readonly roster = new Roster();
  state: State;
  nowMs = NOON_MS;
  /** Of the entry applied last. */
  events: readonly StateEvent[] = [];
  #requests = 0;
  readonly #random: Random;

  constructor(seed = 1) {
    this.#random = seededRandom(seed);
    this.database = new MemoryDatabase({ label: 'state', clock: this.clock });
    this.state = new State(this.database.open());
  }

  apply(command: Command): readonly StateEvent[] {
    this.log[this.state.meta.appliedIndex] = encodeCommand(command);
    return this.replayNext();
  }

  /** Applies the entry after the last applied one. */
  replayNext(): readonly StateEvent[] {
    const index = this.state.meta.appliedIndex + 1;
    this.events = apply(this.state, { index, term: 1 }, decodeCommand(this.log[index - 1] as Uint8Array));
    return this.events;
  }

  /** The process dies and starts again: what was not durable is lost or kept, the log is replayed. */
  crash(random: Random, mode: CrashMode): void {
    this.database.crash(random, mode);
    this.state = new State(this.database.open());
    while (this.state.meta.appliedIndex < this.log.length) this.replayNext();
  }

  /** What the leader would propose for an intent. */
  completed(intent: Intent, requestId = this.nextRequest()) {
    const { state, roster, nowMs } = this;
    const random = this.#random;
    return complete({ state, schedules, roster, random, nowMs, isSettled: true }, makeSubmission(intent, requestId));
  }

  submit(intent: Intent, requestId = this.nextRequest()): Result {
    const completed = this.completed(intent, requestId);
    if (completed.type === 'result') return completed.result;
    if (completed.type === 'later') throw new Error('the leader would try again later');
    this.apply(completed.command);
    const answered = this.events.find((event) => event.type === 'answered');
    if (answered === undefined) throw new Error('a client command was not answered');
    return answered.result;
  }

  nextRequest(): string {
    this.#requests += 1;
    return `request-${this.#requests}`;
  }

  put(changes: Partial<Job> = {}, runOnCreate = false): string {
    const result = this.submit({ type: 'put-job', job: makeJob(changes), runOnCreate });
    if (result.type !== 'job') throw new Error(JSON.stringify(result));
    return result.job.uid;
  }

  /** A node in an open session that is heard of. */
  node(node: string, changes: Partial<NodeRow> = {}): Target {
    const { boot = 1, name = node, isServer = false, tags = {}, slots = 8 } = changes;
    const { nowMs } = this;
    this.apply({ type: 'open-session', nowMs, node, boot, name, isServer, tags, slots, version: '', address: '' });
    const row = this.state.get<NodeRow>(keys.node(node)) as NodeRow;
    this.roster.register(row);
    this.roster.setLive(node, true);
    return { node, session: row.session };
  }

  /** Fires what is due for a job now, each run with these targets. */
  fire(uid: string, targets: readonly Target[] = []): void {
    const items = dueItems(schedules, this.job(uid), this.status(uid), this.nowMs).map((item) =>
      item.plan === 'run' ? { ...item, targets } : item,
    );
    this.apply({ type: 'fire', nowMs: this.nowMs, items });
  }

  finish(execution: string, outcome: ExecutionOutcome, changes: Partial<Finish> = {}): void {
    const finishes = [makeFinish(execution, outcome, { finishedAtMs: this.nowMs, ...changes })];
    this.apply({ type: 'finish', nowMs: this.nowMs, finishes });
  }

  uid(name: string): string | undefined {
    return this.state.get<NameRow>(keys.name(name))?.uid;
  }

  job(uid: string): JobRow {
    return jobRow(this.state, uid) as JobRow;
  }

  status(uid: string): StatusRow {
    return statusRow(this.state, uid);
  }

  run(id: string): RunRow | undefined {
    const cut = id.lastIndexOf('-');
    return this.state.get<RunRow>(keys.run(id.slice(0, cut), id.slice(cut + 1)));
  }

  execution(run: string, ordinal: number, attempt: number): ExecutionRow | undefined {
    const cut = run.lastIndexOf('-');
    return this.state.get<ExecutionRow>(keys.execution(run.slice(0, cut), run.slice(cut + 1), ordinal, attempt));
  }

  /** Oldest first. */
  fires(uid: string): FireRow[] {
    const rows: FireRow[] = [];
    for (let at = this.status(uid).fireHead; at !== null; ) {
      const row = this.state.get<FireRow>(keys.fire(uid, at)) as FireRow;
      rows.unshift(row);
      at = row.older;
    }
    return rows;
  }

  /** `ran 1 12:00:00` and so on, oldest first: what the ledger says, for people. */
  ledger(uid: string): string[] {
    return this.fires(uid).map(({ outcome, reason, count, firstMs, lastMs }) => {
      const stretch = firstMs === lastMs ? clockText(firstMs) : `${clockText(firstMs)}-${clockText(lastMs)}`;
      return `${outcome}${reason === '' ? '' : `:${reason}`} ${count} ${stretch}`;
    });
  }

  /** Runs of a job that are open, newest first. */
  openRuns(uid: string): RunRow[] {
    const runs: RunRow[] = [];
    for (let key = this.status(uid).openHead; key !== null; ) {
      const run = this.state.get<RunRow>(keys.run(uid, key)) as RunRow;
      runs.push(run);
      key = run.older;
    }
    return runs;
  }

  /** All rows but meta and hash, disk and overlay together. */
  rows(): Map<string, StateRow> {
    const found = new Map<string, StateRow>();
    // The hash is no row.
    for (const [from, to] of [
      ['', HASH_KEY],
      [`${HASH_KEY}\0`, '\x7f'],
    ] as const) {
      this.state.scan({ from, to, limit: 10_000_000 }, (_, rows) => {
        for (const { key, row } of rows) found.set(key, row);
      });
    }
    this.clock.advance(0);
    found.delete(keys.meta);
    return found;
  }

  flush(): void {
    this.state.flush((error) => {
      if (error !== null) throw error;
    });
    this.clock.advance(0);
  }
}

function clockText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}
