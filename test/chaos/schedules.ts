/** The jobs whose nominal times are counted. What they run appends a line to a file, so that nothing starts unseen. */
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { call, fateOf, type HttpReply } from './http.ts';
import type { NodeProcess } from './node-process.ts';

export interface ScheduledJob {
  readonly name: string;
  /** From one nominal time to the next. */
  readonly everyMs: number;
  /** Nominal, as the answer to the put said. */
  readonly firstMs: number;
}

/** A line that a started execution wrote. */
export interface Start {
  readonly job: string;
  readonly execution: string;
  readonly fence: number;
  /** NaN for a run by hand. */
  readonly scheduledAtMs: number;
}

export const HAND_JOB = 'by-hand';
const EVERY_SECOND = { name: 'each-second', schedule: '* * * * * *', everyMs: 1_000 };
const EVERY_OTHER = [1, 2, 3].map((number) => ({ name: `every-two-${number}`, schedule: '@every 2s', everyMs: 2_000 }));

export class Schedules {
  readonly #file: string;
  readonly #servers: readonly NodeProcess[];
  #jobs: readonly ScheduledJob[] = [];

  constructor(directory: string, servers: readonly NodeProcess[]) {
    this.#file = join(directory, 'starts.txt');
    this.#servers = servers;
  }

  get jobs(): readonly ScheduledJob[] {
    return this.#jobs;
  }

  async put(): Promise<void> {
    await appendFile(this.#file, '');
    const jobs: ScheduledJob[] = [];
    for (const { name, schedule, everyMs } of [EVERY_SECOND, ...EVERY_OTHER]) {
      const reply = await this.#insist('POST', '/v1/jobs', this.#body(name, schedule));
      const { next } = reply.json as { readonly next: string };
      jobs.push({ name, everyMs, firstMs: Date.parse(next) });
    }
    await this.#insist('POST', '/v1/jobs', this.#body(HAND_JOB, '@manually'));
    this.#jobs = jobs;
  }

  /** No nominal time comes after it. The wall clock just before it was asked for, by job. */
  async pause(): Promise<ReadonlyMap<string, number>> {
    const pausedAtMs = new Map<string, number>();
    for (const { name } of this.#jobs) {
      pausedAtMs.set(name, Date.now());
      await this.#insist('POST', `/v1/jobs/${name}/toggle`);
    }
    return pausedAtMs;
  }

  async starts(): Promise<readonly Start[]> {
    const text = await readFile(this.#file, 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [job = '', execution = '', fence = '', scheduledAt = ''] = line.split(' ');
        return { job, execution, fence: Number(fence), scheduledAtMs: Date.parse(scheduledAt) };
      });
  }

  #body(name: string, schedule: string): unknown {
    // One write of a short line to a file opened for appending is not torn.
    const line = '"$CARILLON_JOB $CARILLON_EXECUTION $CARILLON_FENCE $CARILLON_SCHEDULED_AT"';
    const command = `echo ${line} >> '${this.#file}'`;
    return { name, schedule, command, tags: { my_role: 'web:1' }, keep_runs: 100_000 };
  }

  /** With one request id at one server after the other, until it is done. */
  async #insist(method: string, path: string, body?: unknown): Promise<HttpReply> {
    const requestId = `${method}-${path}-${performance.now()}-${JSON.stringify(body ?? '').length}`;
    const endMs = performance.now() + INSIST_MS_MAX;
    for (;;) {
      for (const server of this.#servers) {
        const reply = await call(server, method, path, { requestId, ...(body === undefined ? {} : { body }) });
        if (reply !== undefined && fateOf(reply) === 'done') return reply;
        if (reply !== undefined && [400, 404, 422].includes(reply.status)) throw new Error(`${path}: ${reply.text}`);
      }
      if (performance.now() > endMs) throw new Error(`no server does ${method} ${path}`);
      await pause(200);
    }
  }
}

const INSIST_MS_MAX = 60_000;
