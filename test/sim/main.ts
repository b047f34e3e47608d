/**
 * `npm run sim -- --seeds N --from S [--jobs 2] [--minutes M] [--events 20000] [--trace FILE] [--keep-going]`: runs
 * seeds, so many at a time, with progress on stderr. The first that fails is told with what was violated, the end of
 * its trace, the commit and the line that replays it; then the exit code is 1. With `--keep-going` the others follow.
 * `--minutes` ends it early, and says of how many seeds.
 */
import { fork } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EVENTS_DEFAULT, type SimulationReport, simulate } from './simulate.ts';
import { Tally } from './tally.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    events: { type: 'string', default: String(EVENTS_DEFAULT) },
    minutes: { type: 'string' },
    trace: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
    /** A process of another one: it is told which seeds to run. */
    worker: { type: 'boolean', default: false },
  },
});
const events = wholeNumber('events', values.events);
if (values.worker) serve();
else await main();

async function main(): Promise<void> {
  const seeds = wholeNumber('seeds', values.seeds);
  const from = wholeNumber('from', values.from);
  const jobs = Math.max(1, wholeNumber('jobs', values.jobs));
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes);
  const tally = new Tally(seeds, events);
  const endMs = performance.now() + minutes * 60_000;
  let next = from;
  let isOver = false;
  const take = (): number | undefined =>
    isOver || next >= from + seeds || performance.now() > endMs ? undefined : next++;
  const told = (report: SimulationReport): void => {
    tally.add(report);
    if (report.failure !== null && !values['keep-going']) isOver = true;
  };
  if (jobs === 1 || values.trace !== undefined) await runHere(take, told);
  else await Promise.all(Array.from({ length: jobs }, () => runElsewhere(take, told)));
  tally.end(from);
  process.exitCode = tally.failures > 0 ? 1 : 0;
}

async function runHere(take: () => number | undefined, told: (report: SimulationReport) => void): Promise<void> {
  const file = values.trace === undefined ? undefined : openSync(values.trace, 'w');
  const sink = file === undefined ? {} : { sink: (line: string) => writeSync(file, line) };
  for (let seed = take(); seed !== undefined; seed = take()) told(await simulate({ seed, events, ...sink }));
  if (file !== undefined) closeSync(file);
}

/** In a process of its own, which gets its seeds one by one: they take unequally long. */
function runElsewhere(take: () => number | undefined, told: (report: SimulationReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--worker', '--events', String(events)], {
      execArgv: process.execArgv,
    });
    let seed = take();
    const goOn = (): void => {
      if (seed === undefined) child.disconnect();
      else child.send(seed);
    };
    child.on('message', (report) => {
      told(report as SimulationReport);
      seed = take();
      goOn();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0 && seed === undefined) resolve();
      else reject(new Error(`the process that ran seed ${seed} ended with ${code}`));
    });
    goOn();
  });
}

function serve(): void {
  process.on('message', (seed: number) => {
    void simulate({ seed, events }).then((report) => process.send?.(report));
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  console.error(`sim: --${name} must be a whole number, not '${text}'`);
  process.exit(2);
}
