import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FOUND_SEEDS } from './found-seeds.ts';
import { EVENTS_DEFAULT, type SimulationReport, simulate } from './simulate.ts';

/** Of 20,000 events and the recovery each. `npm run sim` runs as many as there is time for. */
const SEEDS = 60;
const FIRST_SEED = 1_001;

for (const { seed, what } of FOUND_SEEDS) {
  test(`seed ${seed}, which once showed that ${what}, passes`, async () => {
    pass(await simulate({ seed }));
  });
}

test(`${SEEDS} clusters of whole nodes keep their promises under faults`, async (context) => {
  const startedMs = performance.now();
  let events = 0;

  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    const report = await simulate({ seed });
    pass(report);
    events += report.events;
  }

  const seconds = (performance.now() - startedMs) / 1000;
  context.diagnostic(`${SEEDS} seeds from ${FIRST_SEED}, ${events} events, ${Math.round(events / seconds)} events/s`);
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
