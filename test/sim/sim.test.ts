import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVENTS_DEFAULT, type SimulationReport, simulate } from './simulate.ts';

/**
 * Seeds that have shown a fault once, with what it was. They stay, though each change of what nodes say to one another
 * makes a seed tell another story: 45 showed its fault just before caf72e7, 1028 when clocks began to jump, the others just before 0ff6cfe. To see one
 * again, take that commit with the fix undone.
 */
const FOUND: readonly (readonly [seed: number, what: string])[] = [
  [7, 'a job fired though it was disabled, and a repeat was answered before the server had applied the first call'],
  [13, 'a refused call was taken for the uid of a job, and the scheduler stopped'],
  [14, 'the toggle of a child whose ephemeral parent was gone stopped every server'],
  [45, 'a disk that was to fail struck after the faults were over (a mistake of this harness)'],
  [1028, 'a leader whose clock was set back and then right slept as long as it had been behind'],
  [24, 'a new leader’s beacons were taken for an old one’s, so no node worked for it'],
];

const SEEDS_MIN = 30;
/** More than the least as long as there is time; a slow machine still runs those. */
const SEEDS_MS = 60_000;
const FIRST_SEED = 1_001;

for (const [seed, what] of FOUND) {
  test(`seed ${seed}, which once showed that ${what}, passes`, async () => {
    pass(await simulate({ seed }));
  });
}

test(`at least ${SEEDS_MIN} clusters of whole nodes keep their promises under faults`, async (context) => {
  const startedMs = performance.now();
  let seeds = 0;
  let events = 0;

  for (; seeds < SEEDS_MIN || performance.now() - startedMs < SEEDS_MS; seeds += 1) {
    const report = await simulate({ seed: FIRST_SEED + seeds });
    pass(report);
    events += report.events;
  }

  const seconds = (performance.now() - startedMs) / 1000;
  context.diagnostic(`${seeds} seeds from ${FIRST_SEED}, ${events} events, ${Math.round(events / seconds)} events/s`);
});

test('the same seed tells the same story twice', async () => {
  const first = await simulate({ seed: 7 });
  const second = await simulate({ seed: 7 });
  const other = await simulate({ seed: 8 });

  assert.deepEqual(second, first);
  assert.notEqual(other.digest, first.digest);
});

function pass({ seed, failure }: SimulationReport): void {
  const replay = `npm run sim -- --seeds 1 --from ${seed} --events ${EVENTS_DEFAULT}`;
  assert.equal(failure, null, `seed ${seed}: ${failure?.message}\n${failure?.lastLines}\nreplay: ${replay}`);
}
