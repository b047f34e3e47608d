/** What came of all seeds so far: failures and the sum on stdout, progress on stderr. */
import { spawnSync } from 'node:child_process';
import { EVENTS_DEFAULT, type SimulationReport } from './simulate.ts';

export class Tally {
  failures = 0;
  readonly #seeds: number;
  readonly #eventsEach: number;
  readonly #startedMs = performance.now();
  #done = 0;
  #events = 0;
  readonly #sums = { hints: 0, lostHints: 0, wrongHints: 0, transfers: 0, transferred: 0, stops: 0, drained: 0 };

  constructor(seeds: number, eventsEach: number) {
    this.#seeds = seeds;
    this.#eventsEach = eventsEach;
  }

  add(report: SimulationReport): void {
    const { hints, operator } = report;
    this.#done += 1;
    this.#events += report.events;
    const sums = this.#sums;
    sums.hints += hints.heard;
    sums.lostHints += hints.lost;
    sums.wrongHints += hints.wrong;
    sums.transfers += operator.transfers;
    sums.transferred += operator.transferred;
    sums.stops += operator.stops;
    sums.drained += operator.drained;
    if (report.failure !== null) this.#tellFailure(report.seed, report.failure);
    this.#tellProgress(report);
  }

  end(from: number): void {
    const sums = this.#sums;
    const early = this.#done < this.#seeds ? ` of ${this.#seeds}` : '';
    process.stderr.write('\n');
    console.log(
      `${this.#done}${early} seeds from ${from}, ${this.#events} events, ${this.failures} failed, ${this.#rate()}`,
    );
    console.log(
      `${sums.hints} hints reached raft, ${sums.lostHints} were lost, ${sums.wrongHints} were wrong; ` +
        `${sums.transferred} of ${sums.transfers} transfers succeeded; ` +
        `${sums.drained} of ${sums.stops} stops were drained`,
    );
  }

  #tellFailure(seed: number, { message, lastLines }: NonNullable<SimulationReport['failure']>): void {
    this.failures += 1;
    const option = this.#eventsEach === EVENTS_DEFAULT ? '' : ` --events ${this.#eventsEach}`;
    const replay = `npm run sim -- --seeds 1 --from ${seed}${option}`;
    console.log(
      `\nseed ${seed} fails: ${message}\n\n${lastLines}\nseed ${seed}, commit ${commit()}\nreplay: ${replay}\n`,
    );
  }

  #tellProgress({ seed, virtualMs, entries, starts, elections, digest }: SimulationReport): void {
    const run = `${(virtualMs / 1000).toFixed(0)} s, ${entries} entries, ${starts} starts, ${elections} elections`;
    const line = `seed ${seed}: ${run}, trace ${digest}; ${this.#done}/${this.#seeds}, ${this.#rate()}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }

  #rate(): string {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return `${(this.#done / seconds).toFixed(2)} seeds/s, ${Math.round(this.#events / seconds)} events/s`;
  }
}

/** With a `+` where files differ from it. */
function commit(): string {
  const git = (...args: string[]): string => spawnSync('git', args, { encoding: 'utf8' }).stdout ?? '';
  const name = git('rev-parse', '--short', 'HEAD').trim();
  if (name === '') return 'unknown';
  return git('status', '--porcelain', '--untracked-files=no').trim() === '' ? name : `${name}+`;
}
