/**
 * Operators: they put, change, pause, delete and run jobs by hand on any server, repeat requests, and write down what
 * was acknowledged. An acknowledged call must stand in the committed log when its answer comes.
 */

import { sha256Hex } from '../../src/base/hash.ts';
import { type Random, randomInteger } from '../../src/base/random.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Intent, Result, Submission } from '../../src/scheduler/intent.ts';
import { requestKey } from '../../src/scheduler/requests.ts';
import type { SubmitAnswer } from '../../src/scheduler/submission-actor.ts';
import { chance, pick, SOURCES, sourceFor } from './draw.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import type { World } from './world.ts';

/** Longer than a submission may take. */
const ASK_MS = 15_000;
/** Answers are kept for ten minutes of logged time; later a repeat is a new call. */
const REPEATABLE_MS = 500_000;
const REPEATABLE_MAX = 20;
const NAMES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'] as const;
const CHILDREN = ['kid-one', 'kid-two'] as const;

export interface WorkloadCounts {
  asked: number;
  acknowledged: number;
  refused: number;
  failed: number;
  repeated: number;
}

export class Workload {
  readonly counts: WorkloadCounts = { asked: 0, acknowledged: 0, refused: 0, failed: 0, repeated: 0 };
  isStopped = false;
  readonly #world: World;
  readonly #random: Random;
  /** First answers by scope and entry, to be compared with those to repeats. */
  readonly #answers = new Map<string, string>();
  #recent: { readonly submission: Submission; readonly atMs: number }[] = [];
  #requests = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.workload);
  }

  start(): void {
    const everyMs = this.#world.plan.operateEveryMs;
    this.#world.clock.after(this.#random() * 2 * everyMs, () => {
      if (this.isStopped) return;
      this.#operate();
      this.start();
    });
  }

  /** Hands a call to a server; `done` hears the answer, unless the server dies before. */
  submit(server: SimNode, submission: Submission, done: (answer: SubmitAnswer | null) => void = () => {}): void {
    const consensus = server.running?.consensus;
    if (consensus == null) return;
    const { intent, requestId } = submission;
    this.counts.asked += 1;
    this.#world.trace.add(
      server.name,
      `is asked ${requestId}: ${intent.type} ${'name' in intent ? intent.name : 'job' in intent ? intent.job.name : ''}`,
    );
    consensus.submission.ask({ type: 'submit', submission }, ASK_MS, (outcome) => {
      const answer = outcome.type === 'answer' ? outcome.answer : null;
      this.#world.guard(() => this.#answered(server, submission, answer));
      done(answer);
    });
  }

  make(intent: Intent): Submission {
    this.#requests += 1;
    return { requestId: `r${this.#requests}`, caller: 'sim', bodyHash: sha256Hex(JSON.stringify(intent)), intent };
  }

  #operate(): void {
    const servers = this.#world.servers.filter((node) => node.running !== undefined);
    if (servers.length === 0) return;
    const server = pick(this.#random, servers);
    const nowMs = this.#world.clock.monotonic();
    this.#recent = this.#recent.filter(({ atMs }) => nowMs - atMs < REPEATABLE_MS).slice(-REPEATABLE_MAX);
    if (this.#recent.length > 0 && chance(this.#random, 0.2)) {
      this.counts.repeated += 1;
      this.submit(server, pick(this.#random, this.#recent).submission);
      return;
    }
    const submission = this.make(this.#drawIntent());
    this.#recent.push({ submission, atMs: nowMs });
    this.submit(server, submission);
    // An impatient client, or a proxy: the same call reaches another server at the same time.
    if (chance(this.#random, 0.1)) this.submit(pick(this.#random, servers), submission);
  }

  #answered(server: SimNode, submission: Submission, answer: SubmitAnswer | null): void {
    const { requestId, intent } = submission;
    const what =
      answer === null
        ? 'nothing'
        : answer.type === 'done'
          ? resultText(answer.result)
          : answer.type === 'failed'
            ? answer.code
            : '';
    this.#world.trace.add(server.name, `answers ${requestId}: ${what}`);
    if (answer === null || answer.type !== 'done') {
      this.counts.failed += 1;
      return;
    }
    const { result, index } = answer;
    if (result.type === 'refused') {
      this.counts.refused += 1;
      check(result.code !== 'request-id-reused', () => `${requestId}: its repeat is taken for another call`);
      return;
    }
    this.counts.acknowledged += 1;
    const { scope } = requestKey(submission);
    const { invariants } = this.#world;
    const effect = invariants.effects.get(scope);
    check(
      effect !== undefined,
      () => `${server.name} acknowledges ${requestId} (${intent.type}), and no committed entry has it`,
    );
    check(
      index <= invariants.lastIndex && effect.index <= index,
      () => `${server.name} acknowledges ${requestId} at ${index}, entry ${effect.index} has it`,
    );
    check(
      resultText(effect.result) === resultText(result),
      () => `${requestId}: answered ${resultText(result)}, the log says ${resultText(effect.result)}`,
    );
    const answered = `${scope}/${effect.index}`;
    const first = this.#answers.get(answered);
    check(
      first === undefined || first === resultText(result),
      () => `${requestId}: answered ${first}, then ${resultText(result)}`,
    );
    this.#answers.set(answered, resultText(result));
  }

  #drawIntent(): Intent {
    const random = this.#random;
    const draw = random();
    const name = chance(random, 0.2) ? pick(random, CHILDREN) : pick(random, NAMES);
    if (draw < 0.5) return { type: 'put-job', job: this.drawJob(name), runOnCreate: chance(random, 0.1) };
    if (draw < 0.65) return { type: 'toggle-job', name };
    if (draw < 0.75) return { type: 'delete-job', name };
    return { type: 'run-job', name };
  }

  drawJob(name: string): Job {
    const random = this.#random;
    const isChild = (CHILDREN as readonly string[]).includes(name);
    return {
      ...PLAIN_JOB,
      name,
      schedule: isChild ? '' : this.#drawSchedule(),
      parentJob: isChild ? pick(random, NAMES) : '',
      timezone: chance(random, 0.2) ? pick(random, ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) : '',
      metadata: { put: String(this.#requests) },
      disabled: chance(random, 0.1),
      tags: pick(random, [
        null,
        { my_role: 'web:1' },
        { my_role: 'web:1' },
        { my_role: 'web:2' },
        { zone: 'far' },
        { my_role: 'db' },
      ]),
      targets: chance(random, 0.2) ? randomInteger(random, 1, 3) : null,
      retries: chance(random, 0.3) ? randomInteger(random, 1, 3) : 0,
      concurrency: chance(random, 0.4) ? 'forbid' : 'allow',
      ephemeral: chance(random, 0.1),
      onLost: chance(random, 0.5) ? 'retry' : 'fail',
      startWithinMs: chance(random, 0.6) ? randomInteger(random, 200, 20_000) : null,
      keepRuns: chance(random, 0.3) ? randomInteger(random, 1, 5) : 100,
      ...this.#drawSpan(),
    };
  }

  #drawSchedule(): string {
    const random = this.#random;
    const draw = random();
    if (draw < 0.5) return `@every ${randomInteger(random, 1, 7)}s`;
    if (draw < 0.9) return pick(random, CRON_LINES);
    return '@manually';
  }

  #drawSpan(): Pick<Job, 'startsAtMs' | 'expiresAtMs'> {
    const random = this.#random;
    const nowMs = this.#world.clock.now();
    const startsAtMs = chance(random, 0.1) ? nowMs + randomInteger(random, -5_000, 20_000) : null;
    const expiresAtMs = chance(random, 0.1) ? (startsAtMs ?? nowMs) + randomInteger(random, 1_000, 60_000) : null;
    return { startsAtMs, expiresAtMs };
  }
}

export const PLAIN_JOB: Job = {
  name: '',
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
  executor: 'sim',
  executorConfig: null,
  ephemeral: false,
  startsAtMs: null,
  expiresAtMs: null,
  targets: null,
  onLost: 'fail',
  startWithinMs: 10_000,
  keepRuns: 100,
};

const CRON_LINES = [
  '* * * * * *',
  '*/2 * * * * *',
  '*/5 * * * * *',
  '0-29/3 * * * * *',
  '30 * * * * *',
  '* 2 * * *',
  '*/10 59 1 * * *',
  'TZ=Asia/Tokyo */4 * * * * *',
] as const;

/** What must be the same in each answer to one call: which thing, not how it stands by now. */
function resultText(result: Result): string {
  switch (result.type) {
    case 'job':
      return `job ${result.job.uid} ${result.isNew}`;
    case 'run':
      return `run ${result.run.id}`;
    case 'settings':
      return 'settings';
    case 'refused':
      return `refused ${result.code}`;
  }
}
