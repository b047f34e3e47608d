/** The real backend: writes go to the submission actor, reads to the state on disk. */

import type { ActorRef } from '../actors/actor.ts';
import { askPromise } from '../actors/ask.ts';
import { CodedError } from '../base/errors.ts';
import { pause } from '../base/system-pause.ts';
import type { MembershipAnswer, MembershipMessage, MembershipRequest } from '../dispatcher/membership-actor.ts';
import type { OutputAnswer, OutputMessage } from '../executors/output-actor.ts';
import { parseExecutionId, parseRunId } from '../jobs/ids.ts';
import type { LiveNode } from '../jobs/job-check.ts';
import { tagsOfNode } from '../jobs/placement.ts';
import type { Schedules } from '../scheduler/chain.ts';
import type { FinishedRun, Submission } from '../scheduler/intent.ts';
import { executionView, finishedRun, jobView, runView } from '../scheduler/reader.ts';
import {
  type ExecutionRow,
  type FinishedRow,
  type JobRow,
  keys,
  type MetaRow,
  type NameRow,
  type NodeRow,
  type OpenRow,
  type RunRow,
  type StatusRow,
} from '../scheduler/rows.ts';
import { DEFAULT_SETTINGS, type Settings } from '../scheduler/settings.ts';
import type { Progress, StateMessage, StoredAnswer } from '../scheduler/state-actor.ts';
import type { SubmissionMessage, SubmitAnswer } from '../scheduler/submission-actor.ts';
import type { ExecutionView, JobView, NodeView, RunView } from '../scheduler/views.ts';
import {
  type Backend,
  type ExecutionOrder,
  type Failed,
  type HealthView,
  type Indexed,
  type JobFilter,
  type KnownServer,
  type KnownServers,
  LIST_MAX,
  type OutputSearch,
  type Page,
  type Submitted,
} from './backend.ts';
import type { DiskReader } from './disk-reader.ts';
import { listExecutions } from './list-executions.ts';
import { listJobs, NameMarks } from './list-jobs.ts';
import { type FireRange, readFires } from './read-fires.ts';

export interface ServerBackendOptions {
  readonly cluster: string;
  readonly reader: DiskReader;
  readonly schedules: Schedules;
  readonly submission: ActorRef<SubmissionMessage, SubmitAnswer>;
  readonly membership: ActorRef<MembershipMessage, MembershipAnswer>;
  /** nodeIds by the configuration in force here. */
  readonly servers: () => readonly string[];
  /** Servers that were heard and belong to no cluster. */
  readonly waitingServers: () => readonly KnownServer[];
  /** The state actor: answers reads once the disk has what is applied. */
  readonly state: ActorRef<StateMessage, StoredAnswer>;
  /** The newest progress heard, for answers that cannot wait. */
  readonly progressNow: () => Progress;
  /** From the output store of this server. */
  readonly readOutput: (execution: string) => Uint8Array | undefined;
  /** The output actor: finds what other servers keep. Null: there are none. */
  readonly outputs: ActorRef<OutputMessage, OutputAnswer> | null;
  readonly checks: () => HealthView['checks'];
  readonly metrics: () => Promise<string>;
}

const SUBMIT_MS = 15_000;
const READ_MS = 5_000;
/** Longer than the membership actor waits for a leader and for its answer. */
const MEMBERSHIP_MS = 15_000;
/** The output actor answers in time; this is for one that does not. */
const FIND_LATE_MS = 200;
/** Rows that a list reads at once, before others get their turn. */
const ROWS_PER_TURN = 200;

export class ServerBackend implements Backend {
  readonly #options: ServerBackendOptions;
  readonly #reader: DiskReader;
  readonly #marks = new NameMarks();

  constructor(options: ServerBackendOptions) {
    this.#options = options;
    this.#reader = options.reader;
  }

  async submit(submission: Submission, waitMs?: number): Promise<Submitted | Failed> {
    const message = { type: 'submit', submission, ...(waitMs === undefined ? {} : { waitMs }) } as const;
    const outcome = await askPromise(this.#options.submission, message, SUBMIT_MS + (waitMs ?? 0));
    if (outcome.type === 'failed') return unknown('the call was taken and not answered');
    const { answer } = outcome;
    if (answer.type === 'failed') return { ...answer, ...(answer.code === 'no-leader' ? { retryAfterMs: 1_000 } : {}) };
    return answer.finished === undefined ? answer.result : { ...answer.result, finished: answer.finished };
  }

  async job(name: string): Promise<{ readonly job: JobView; readonly index: number } | undefined> {
    const index = await this.#stored();
    const row = this.#job(name);
    return row === undefined ? undefined : { job: jobView(this.#reader, row), index };
  }

  async jobs(filter: JobFilter): Promise<Page<JobView>> {
    const index = await this.#stored();
    return { ...(await listJobs(this.#reader, this.#marks, filter)), index };
  }

  async run(job: string, run: string): Promise<(FinishedRun & Indexed) | undefined> {
    const index = await this.#stored();
    const row = this.#job(job);
    const parts = parseRunId(run);
    if (row === undefined || parts?.uid !== row.uid) return undefined;
    const found = this.#reader.get<RunRow>(keys.run(row.uid, `${parts.cause}${parts.key}`));
    return found && { ...finishedRun(this.#reader, row.uid, found), index };
  }

  async runs(job: string): Promise<Page<RunView> | undefined> {
    const index = await this.#stored();
    const row = this.#job(job);
    if (row === undefined) return undefined;
    const items: RunView[] = [];
    for await (const run of this.#runsOf(row.uid)) {
      if (items.length === LIST_MAX) return { items, total: LIST_MAX, index, isCut: true };
      items.push(runView(run));
    }
    return { items, total: items.length, index };
  }

  async executions(job: string, order: ExecutionOrder): Promise<Page<ExecutionView> | undefined> {
    const index = await this.#stored();
    const row = this.#job(job);
    if (row === undefined) return undefined;
    return { ...(await listExecutions(this.#reader, row.uid, this.#runsOf(row.uid), order)), index };
  }

  async execution(job: string, execution: string): Promise<(ExecutionView & Indexed) | undefined> {
    const index = await this.#stored();
    const row = this.#job(job);
    const view = this.#execution(execution);
    return row !== undefined && view?.job === job ? { ...view, index } : undefined;
  }

  async output(execution: string, bytesMax: number, { forMs, waitMs }: OutputSearch): Promise<Uint8Array | undefined> {
    const { readOutput, outputs } = this.#options;
    let bytes = readOutput(execution);
    if (bytes === undefined && outputs !== null && forMs > 0) {
      const outcome = await askPromise(outputs, { type: 'find', execution, waitMs, forMs }, forMs + FIND_LATE_MS);
      if (outcome.type === 'answer') bytes = outcome.answer.bytes ?? undefined;
    }
    return bytes?.subarray(Math.max(0, bytes.length - bytesMax));
  }

  async fires(job: string, range: FireRange): ReturnType<Backend['fires']> {
    const index = await this.#stored();
    const row = this.#job(job);
    if (row === undefined) return undefined;
    const { items, next } = await readFires(this.#reader, this.#options.schedules, row, range);
    return { items, next, total: items.length, index };
  }

  async busy(): Promise<Page<ExecutionView>> {
    const index = await this.#stored();
    const items: ExecutionView[] = [];
    await this.#reader.each<OpenRow>('open/', 'open0', (_row, key) => {
      const view = this.#execution(key.slice('open/'.length));
      if (view !== undefined) items.push(view);
    });
    items.sort((left, right) => left.assignedMs - right.assignedMs);
    return { items, total: items.length, index };
  }

  async members(): Promise<Page<NodeView>> {
    const index = await this.#stored();
    const used = new Map<string, number>();
    await this.#reader.each<OpenRow>('open/', 'open0', ({ node }) => {
      used.set(node, (used.get(node) ?? 0) + 1);
    });
    const { leader } = this.#options.progressNow();
    const items: NodeView[] = [];
    await this.#reader.each<NodeRow>('node/', 'node0', (row) => {
      const { node, name, boot, isServer, session, tags, slots, version, address, isOpen, hasLeft } = row;
      const slotsUsed = used.get(node) ?? 0;
      const view = { node, name, boot, isServer, session, tags, slots, slotsUsed, version, address };
      items.push({ ...view, isAlive: isOpen, hasLeft, isLeader: node === leader });
    });
    items.sort((left, right) => (left.name < right.name ? -1 : 1));
    return { items, total: items.length, index };
  }

  servers(): Promise<KnownServers> {
    const { servers, waitingServers } = this.#options;
    const known = servers().map((node) => ({ node, name: this.#reader.get<NodeRow>(keys.node(node))?.name ?? '' }));
    return Promise.resolve({ known, waiting: waitingServers() });
  }

  async membership(request: MembershipRequest): Promise<MembershipAnswer> {
    const outcome = await askPromise(this.#options.membership, { type: 'request', request }, MEMBERSHIP_MS);
    if (outcome.type === 'answer') return outcome.answer;
    return { type: 'failed', code: 'outcome-unknown', message: `the request was not answered: ${outcome.message}` };
  }

  async catchUp(): Promise<void> {
    await this.#stored(true);
  }

  health(): Promise<HealthView> {
    const { leader, term, appliedIndex, commitIndex, role, isReady } = this.#options.progressNow();
    const row = leader === null ? undefined : this.#reader.get<NodeRow>(keys.node(leader));
    return Promise.resolve({
      isLeader: role === 'leader' && isReady,
      leader: leader === null ? null : { node: leader, name: row?.name ?? leader },
      term,
      appliedIndex,
      commitIndex,
      checks: this.#options.checks(),
    });
  }

  metrics(): Promise<string> {
    return this.#options.metrics();
  }

  facts(): ReturnType<Backend['facts']> {
    const { nodes, settings } = this.#facts;
    const { defaultZone, defaultTargets } = settings;
    return { cluster: this.#options.cluster, defaultZone, defaultTargets, nodes };
  }

  /** For checks and warnings at the door, so those of a moment ago are good enough. */
  #facts: { readonly nodes: readonly LiveNode[] | null; readonly settings: Settings } = {
    nodes: null,
    settings: DEFAULT_SETTINGS,
  };

  async refreshFacts(): Promise<void> {
    const nodes: LiveNode[] = [];
    await this.#reader.each<NodeRow>('node/', 'node0', (row) => {
      if (row.isOpen && row.slots > 0) nodes.push({ isServer: row.isServer, tags: tagsOfNode(row) });
    });
    const { settings } = this.#reader.get<MetaRow>(keys.meta) ?? { settings: DEFAULT_SETTINGS };
    this.#facts = { nodes, settings };
  }

  /** Throws where the disk does not follow in time. */
  async #stored(isLinearizable = false): Promise<number> {
    const outcome = await askPromise(this.#options.state, { type: 'await-stored', isLinearizable }, READ_MS);
    if (outcome.type === 'answer') return indexOf(outcome.answer);
    // What the disk has may be older than what this server has answered already.
    const { code, message } = outcome;
    throw new CodedError(code, `the disk does not have yet what this server has applied: try again (${message})`);
  }

  #job(name: string): JobRow | undefined {
    const uid = this.#reader.get<NameRow>(keys.name(name))?.uid;
    return uid === undefined ? undefined : this.#reader.get<JobRow>(keys.job(uid));
  }

  /** Open runs first, then the finished ones, each newest first. */
  async *#runsOf(uid: string): AsyncIterable<RunRow> {
    const status = this.#reader.get<StatusRow>(keys.status(uid));
    if (status === undefined) return;
    let rows = 0;
    for (let key = status.openHead; key !== null; ) {
      if (++rows % ROWS_PER_TURN === 0) await pause();
      const run: RunRow | undefined = this.#reader.get<RunRow>(keys.run(uid, key));
      if (run === undefined) break;
      yield run;
      key = run.older;
    }
    for (let number = status.finishedNext - 1; number >= status.finishedFirst; number -= 1) {
      if (++rows % ROWS_PER_TURN === 0) await pause();
      const key = this.#reader.get<FinishedRow>(keys.finished(uid, number))?.run;
      const run = key === undefined ? undefined : this.#reader.get<RunRow>(keys.run(uid, key));
      if (run !== undefined) yield run;
    }
  }

  #execution(id: string): ExecutionView | undefined {
    const parts = parseExecutionId(id);
    const place = parts && parseRunId(parts.run);
    if (parts === undefined || place === undefined) return undefined;
    const key = `${place.cause}${place.key}`;
    const run = this.#reader.get<RunRow>(keys.run(place.uid, key));
    const row = this.#reader.get<ExecutionRow>(keys.execution(place.uid, key, parts.ordinal, parts.attempt));
    return run && row && executionView(run, row);
  }
}

function indexOf(answer: StoredAnswer): number {
  if (answer.type === 'stored') return answer.index;
  const why = answer.code === 'overloaded' ? 'too many reads wait' : 'no leader confirms it';
  throw new CodedError(answer.code, `nobody can say now what the newest state is (${why}): try again in a moment`);
}

function unknown(message: string): Failed {
  return { type: 'failed', code: 'outcome-unknown', message: `${message}: repeat it with the same request id` };
}
