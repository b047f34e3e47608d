/** A server in memory: jobs and runs as plain maps, and levers for the tests that need it slow or failing. */
import type {
  Backend,
  ExecutionOrder,
  Failed,
  HealthView,
  JobFilter,
  KnownServers,
  OutputSearch,
  Page,
  Submitted,
} from '../../src/api/backend.ts';
import { type ApiContext, WAITING_MAX } from '../../src/api/call.ts';
import { pageOf, sortKeyOf } from '../../src/api/list-executions.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { MembershipAnswer, MembershipRequest } from '../../src/dispatcher/membership-actor.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { LiveNode } from '../../src/jobs/job-check.ts';
import type { FinishedRun, Result, Submission } from '../../src/scheduler/intent.ts';
import type { ExecutionView, FireView, JobView, NodeView, RunView } from '../../src/scheduler/views.ts';

export const NOW_MS = Date.UTC(2026, 10, 25, 12, 0, 0);
export const GROUP = '1795608000000000007';

export class FakeBackend implements Backend {
  readonly stored = new Map<string, JobView>();
  readonly submissions: Submission[] = [];
  readonly finished = new Map<string, FinishedRun>();
  readonly outputs = new Map<string, Uint8Array>();
  readonly searches: OutputSearch[] = [];
  fireItems: FireView[] = [];
  nodeItems: NodeView[] = [
    node('n1', 'alpha', { isLeader: true }),
    node('n2', 'beta', { isServer: false, isAlive: false }),
  ];
  busyItems: ExecutionView[] = [];
  /** What the next submissions come to, instead of being carried out. */
  answer: Result | Failed | undefined;
  /** How executions of runs by hand look. */
  shape: Partial<ExecutionView> = {};
  /** Of runs by hand. */
  targets = 1;
  /** How a wait ends other than with the run: a failed one was over first. */
  waitAnswer: Failed | 'gone' | undefined;
  /** While it is set, waiting for a run lasts until it is resolved. */
  gate: Promise<void> | undefined;
  filter: JobFilter | undefined;
  fireRange: Parameters<Backend['fires']>[1] | undefined;
  liveNodes: readonly LiveNode[] = [
    { isServer: true, tags: { my_role: 'web', a: 'b' } },
    { isServer: false, tags: { my_role: 'web', a: 'b' } },
  ];
  knownServers: KnownServers = { known: [], waiting: [] };
  readonly membershipRequests: MembershipRequest[] = [];
  membershipAnswer: MembershipAnswer = { type: 'failed', code: 'no-leader', message: 'no server leads' };
  catchUps = 0;
  catchUpFailure: Error | undefined;
  isHealthy = true;
  isLeader = true;
  index = 41;
  failure: Error | undefined;

  async servers(): Promise<KnownServers> {
    return this.knownServers;
  }

  async membership(request: MembershipRequest): Promise<MembershipAnswer> {
    this.membershipRequests.push(request);
    return this.membershipAnswer;
  }

  async catchUp(): Promise<void> {
    this.catchUps += 1;
    if (this.catchUpFailure !== undefined) throw this.catchUpFailure;
  }

  async submit(submission: Submission, waitMs?: number): Promise<Submitted | Failed> {
    if (this.failure !== undefined) throw this.failure;
    this.submissions.push(submission);
    if (this.answer !== undefined) return this.answer;
    const { intent } = submission;
    this.index += 1;
    switch (intent.type) {
      case 'put-job': {
        const isNew = !this.stored.has(intent.job.name);
        const job: JobView = { ...jobView(intent.job.name), job: intent.job, modifiedIndex: this.index };
        this.stored.set(intent.job.name, job);
        return { type: 'job', job, isNew };
      }
      case 'set-settings':
        return { type: 'refused', code: 'invalid', message: 'not here' };
      default: {
        const job = this.stored.get(intent.name);
        if (job === undefined)
          return { type: 'refused', code: 'not-found', message: `there is no job '${intent.name}'` };
        if (intent.type === 'delete-job') this.stored.delete(intent.name);
        if (intent.type === 'run-job') {
          const run = this.#run(job);
          if (waitMs === undefined) return { type: 'run', job, run };
          await this.gate;
          if (this.waitAnswer !== undefined && this.waitAnswer !== 'gone') return { type: 'run', job, run };
          const finished = this.waitAnswer === 'gone' ? null : (this.finished.get(run.id) ?? null);
          return { type: 'run', job, run, finished };
        }
        const toggled = { ...job, job: { ...job.job, disabled: !job.job.disabled } };
        if (intent.type === 'toggle-job') this.stored.set(intent.name, toggled);
        return { type: 'job', job: intent.type === 'toggle-job' ? toggled : job, isNew: false };
      }
    }
  }

  async job(name: string) {
    if (this.failure !== undefined) throw this.failure;
    const job = this.stored.get(name);
    return job === undefined ? undefined : { job, index: this.index };
  }

  async jobs(filter: JobFilter): Promise<Page<JobView>> {
    this.filter = filter;
    const items = [...this.stored.values()];
    return { items: items.slice(filter.start, filter.end ?? undefined), total: items.length, index: this.index };
  }

  async run(_job: string, run: string) {
    const ended = this.finished.get(run);
    return ended && { ...ended, index: this.index };
  }

  async executions(job: string, order: ExecutionOrder) {
    if (!this.stored.has(job)) return undefined;
    const views = [...this.finished.values()].flatMap((ended) => ended.executions);
    const items = pageOf(views, order, (view) => sortKeyOf(order.sort, view.attempt, () => view));
    return { items, total: views.length, index: this.index };
  }

  async execution(_job: string, execution: string) {
    const views = [...this.finished.values()].flatMap((ended) => ended.executions);
    const found = views.find((view) => view.id === execution);
    return found && { ...found, index: this.index };
  }

  async output(execution: string, bytesMax: number, search: OutputSearch) {
    this.searches.push(search);
    const bytes = this.outputs.get(execution);
    return bytes?.subarray(Math.max(0, bytes.byteLength - bytesMax));
  }

  async fires(job: string, range: Parameters<Backend['fires']>[1]) {
    this.fireRange = range;
    return this.stored.has(job) ? { ...this.#page(this.fireItems), next: 'c2' } : undefined;
  }

  async runs(job: string) {
    return this.stored.has(job) ? this.#page([...this.finished.values()].map((ended) => ended.run)) : undefined;
  }

  async busy() {
    return this.#page(this.busyItems);
  }

  async members() {
    return this.#page(this.nodeItems);
  }

  async health(): Promise<HealthView> {
    const isOk = this.isHealthy;
    return {
      isLeader: this.isLeader,
      leader: isOk ? { node: 'n1', name: 'alpha' } : null,
      term: 3,
      appliedIndex: this.index,
      commitIndex: this.index,
      checks: [
        { name: 'leader', isOk, detail: isOk ? '' : 'no leader for 6 s' },
        { name: 'storage', isOk: true, detail: '' },
      ],
    };
  }

  async metrics() {
    return '# HELP carillon_jobs Jobs.\n# TYPE carillon_jobs gauge\ncarillon_jobs 1\n';
  }

  facts() {
    return { cluster: 'dev', defaultZone: 'UTC', defaultTargets: 'all', nodes: this.liveNodes } as const;
  }

  #run(job: JobView): RunView {
    const ordinal = this.finished.size;
    const id = `${job.uid}-hrun${ordinal}`;
    const executions = Array.from({ length: this.targets }, (_, target) =>
      executionView(`${id}-${target}-1`, { run: id, job: job.job.name, nodeName: `node${target}`, ...this.shape }),
    );
    const state = executions.every((view) => view.state === 'succeeded') ? 'succeeded' : 'failed';
    const run = runView(id, { job: job.job.name, state });
    this.finished.set(id, { run, executions });
    return { ...run, state: 'running', finishedMs: null };
  }

  #page<Item>(items: readonly Item[]): Page<Item> {
    return { items, total: items.length, index: this.index };
  }
}

export function fakeContext(backend: FakeBackend, changes: Partial<ApiContext> = {}): ApiContext {
  let requests = 0;
  return {
    backend,
    clock: new VirtualClock(NOW_MS),
    zones: createIntlZones(),
    executors: ['shell', 'http', 'function'],
    log: silentLog,
    metrics: noMetrics,
    makeRequestId: () => `made-${++requests}`,
    waiting: { count: 0, countMax: WAITING_MAX },
    ...changes,
  };
}

export function jobView(name: string): JobView {
  return {
    uid: '0-2a',
    job: {
      name,
      displayName: '',
      timezone: '',
      schedule: '@every 2m',
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
      executorConfig: { command: '/bin/true', shell: 'true' },
      ephemeral: false,
      startsAtMs: null,
      expiresAtMs: null,
      targets: null,
      onLost: 'fail',
      startWithinMs: null,
      keepRuns: 100,
    },
    successCount: 0,
    errorCount: 0,
    lastSuccessMs: null,
    lastErrorMs: null,
    status: '',
    nextMs: NOW_MS + 120_000,
    dependentJobs: [],
    zone: 'UTC',
    createdMs: NOW_MS,
    modifiedIndex: 42,
  };
}

export function runView(id: string, changes: Partial<RunView> = {}): RunView {
  return {
    id,
    job: 'a',
    cause: 'h',
    state: 'succeeded',
    reason: '',
    scheduledAtMs: null,
    createdMs: NOW_MS,
    finishedMs: NOW_MS + 1_500,
    group: GROUP,
    targets: 1,
    ...changes,
  };
}

export function executionView(id: string, changes: Partial<ExecutionView> = {}): ExecutionView {
  const outputTail = changes.outputTail ?? 'hello\n';
  const sizeBytes = Buffer.byteLength(outputTail);
  return {
    id,
    run: id.replace(/-[0-9]+-[0-9]+$/, ''),
    job: 'a',
    attempt: 1,
    group: GROUP,
    node: 'n1',
    nodeName: 'alpha',
    state: 'succeeded',
    reason: '',
    scheduledAtMs: null,
    assignedMs: NOW_MS,
    startedMs: NOW_MS + 20,
    finishedMs: NOW_MS + 1_500,
    exitCode: 0,
    signal: null,
    result: null,
    outputTail,
    outputBytes: sizeBytes,
    storedBytes: sizeBytes,
    ...changes,
  };
}

export function node(id: string, name: string, changes: Partial<NodeView> = {}): NodeView {
  return {
    node: id,
    name,
    boot: 1,
    isServer: true,
    isLeader: false,
    isAlive: true,
    hasLeft: false,
    session: 5,
    tags: { my_role: 'web' },
    slots: 16,
    slotsUsed: 1,
    version: '0.1.0',
    address: '10.0.0.1:8080',
    ...changes,
  };
}
