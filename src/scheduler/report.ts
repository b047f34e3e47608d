/** What the leader counts and logs of what has happened. */
import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import { writeInstant } from '../jobs/instant.ts';
import type { StateEvent } from './event.ts';

const NOISY_LINES_PER_MINUTE = 20;

export interface ReportOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly jobName: (uid: string) => string;
}

export class Report {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #jobName: (uid: string) => string;
  /** Missed and skipped instants come in herds: a bounded number of lines a minute. */
  readonly #noisy: Pick<Log, 'warn'>;

  constructor({ clock, log, metrics, jobName }: ReportOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#jobName = jobName;
    this.#noisy = rateLimited(log, clock, NOISY_LINES_PER_MINUTE);
  }

  hear(event: StateEvent): void {
    switch (event.type) {
      case 'finished':
        this.#metrics.count('carillon_executions_total', { outcome: event.outcome });
        if (event.latenessMs !== null) this.#metrics.observe('carillon_lateness_seconds', event.latenessMs / 1000);
        return;
      case 'fired':
        return this.#countFire(event);
      case 'run-ended':
        return this.#logEnd(event);
      case 'late-finish':
        return this.#metrics.count('carillon_late_finishes_total');
      default:
        return;
    }
  }

  #countFire({ uid, outcome, reason, count, firstMs }: Extract<StateEvent, { type: 'fired' }>): void {
    if (outcome === 'open') return;
    this.#metrics.count('carillon_fires_total', { outcome, reason }, count);
    if (outcome === 'ran') return;
    this.#noisy.warn(`${outcome}: ${reason}`, { job: this.#jobName(uid), count, scheduled_at: writeInstant(firstMs) });
  }

  #logEnd({ run, job, state }: Extract<StateEvent, { type: 'run-ended' }>): void {
    if (state === 'succeeded') this.#log.debug('run succeeded', { job, run });
    else this.#log.info(`run ${state}`, { job, run });
  }
}
