/** Runs that are asked for by hand with request ids, some of them twice: the same id is the same run. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../src/base/random.ts';
import { chance, pick } from '../sim/draw.ts';
import { call, fateOf } from './http.ts';
import type { NodeProcess } from './node-process.ts';

export interface HandRunsOptions {
  readonly servers: readonly NodeProcess[];
  readonly job: string;
  readonly random: Random;
  readonly shouldStop: () => boolean;
  readonly onViolation: (text: string) => void;
}

const ATTEMPTS_MAX = 4;
const THINK_MS_MAX = 1_500;

export class HandRuns {
  readonly #options: HandRunsOptions;
  /** Run ids by request id, of those that were acknowledged. */
  readonly acknowledged = new Map<string, string>();
  unknown = 0;

  constructor(options: HandRunsOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { random, shouldStop, onViolation } = this.#options;
    while (!shouldStop()) {
      const requestId = randomUUID();
      const run = await this.#ask(requestId);
      if (run === undefined) this.unknown += 1;
      else {
        const twin = [...this.acknowledged].find(([, other]) => other === run);
        if (twin !== undefined) onViolation(`requests ${twin[0]} and ${requestId} made one run, ${run}`);
        this.acknowledged.set(requestId, run);
        const again = chance(random, 0.3) ? await this.#ask(requestId) : undefined;
        if (again !== undefined && again !== run)
          onViolation(`request ${requestId} made two runs, ${run} and ${again}`);
      }
      await pause(random() * THINK_MS_MAX);
    }
  }

  /** The run's id; undefined where nobody acknowledged it. */
  async #ask(requestId: string): Promise<string | undefined> {
    const { servers, job, random } = this.#options;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const reply = await call(pick(random, servers), 'POST', `/v1/jobs/${job}/run?wait=false`, { requestId });
      if (reply !== undefined && fateOf(reply) === 'done') return (reply.json as { run: { id: string } }).run.id;
      await pause(random() * 500);
    }
    return undefined;
  }
}
