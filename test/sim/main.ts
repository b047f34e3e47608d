/**
 * `npm run sim -- --seeds N --from S [--events 20000] [--minutes M] [--trace FILE] [--keep-going]`: runs seeds one
 * after another, with progress on stderr. The first that fails is told with what was violated, the end of its trace and
 * the line that replays it; then the exit code is 1. With `--keep-going` the others follow.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EVENTS_DEFAULT, type SimulationReport, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    events: { type: 'string', default: String(EVENTS_DEFAULT) },
    minutes: { type: 'string' },
    trace: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
  },
});
const seeds = wholeNumber('seeds', values.seeds);
const from = wholeNumber('from', values.from);
const events = wholeNumber('events', values.events);
const endMs =
  values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000;
const traceFile = values.trace === undefined ? undefined : openSync(values.trace, 'w');

const startedMs = performance.now();
let done = 0;
let eventsDone = 0;
let failures = 0;
const sums = { hints: 0, lostHints: 0, wrongHints: 0, transfers: 0, transferred: 0, stops: 0, drained: 0 };
for (let seed = from; seed < from + seeds && performance.now() < endMs; seed += 1) {
  const report = await simulate({
    seed,
    events,
    ...(traceFile === undefined ? {} : { sink: (line: string) => writeSync(traceFile, line) }),
  });
  done += 1;
  eventsDone += report.events;
  addUp(report);
  if (report.failure !== null) {
    failures += 1;
    tellFailure(report);
    if (!values['keep-going']) break;
  }
  tellProgress(report);
}
if (traceFile !== undefined) closeSync(traceFile);
process.stderr.write('\n');
console.log(`${done} seeds from ${from}, ${eventsDone} events, ${failures} failed, ${rate()}`);
console.log(
  `${sums.hints} hints reached raft, ${sums.lostHints} were lost, ${sums.wrongHints} were wrong; ` +
    `${sums.transferred} of ${sums.transfers} transfers succeeded; ${sums.drained} of ${sums.stops} stops were drained`,
);
process.exitCode = failures > 0 ? 1 : 0;

function addUp({ hints, operator }: SimulationReport): void {
  sums.hints += hints.heard;
  sums.lostHints += hints.lost;
  sums.wrongHints += hints.wrong;
  sums.transfers += operator.transfers;
  sums.transferred += operator.transferred;
  sums.stops += operator.stops;
  sums.drained += operator.drained;
}

function tellFailure({ failure, seed }: SimulationReport): void {
  console.log(`\nseed ${seed} fails: ${failure?.message}\n\n${failure?.lastLines}`);
  console.log(
    `replay: npm run sim -- --seeds 1 --from ${seed}${events === EVENTS_DEFAULT ? '' : ` --events ${events}`}\n`,
  );
}

function tellProgress({ seed, virtualMs, entries, starts, elections, digest }: SimulationReport): void {
  const run = `${(virtualMs / 1000).toFixed(0)} s, ${entries} entries, ${starts} starts, ${elections} elections, trace ${digest}`;
  const line = `seed ${seed}: ${run}; ${done}/${seeds}, ${rate()}`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}

function rate(): string {
  const seconds = (performance.now() - startedMs) / 1000;
  return `${(done / seconds).toFixed(2)} seeds/s, ${Math.round(eventsDone / seconds)} events/s`;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  console.error(`sim: --${name} must be a whole number, not '${text}'`);
  process.exit(2);
}
