import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REDIAL_MS, RedialDelay } from '../../src/cluster/redial-delay.ts';

const HOUR_MS = 3_600_000;

/** As the client decides: whether it dials a server whose last dial it has noted by the wall clock. */
const dials = (lastMs: number, waitMs: number, nowMs: number): boolean => lastMs + waitMs <= nowMs;

test('while the clock runs on, a server is dialled again after the usual wait', () => {
  const delay = new RedialDelay();

  assert.equal(delay.next(10_000, 0), REDIAL_MS);
  assert.equal(delay.next(10_250, 250), REDIAL_MS + 50);
});

test('a clock that was set back by an hour keeps no server from being dialled, and dials go on at the usual pace after that', () => {
  const delay = new RedialDelay();
  const wallMs = 10 * HOUR_MS;
  delay.next(wallMs, 0);
  const lastMs = wallMs;
  const backMs = wallMs - HOUR_MS;

  assert(dials(lastMs, delay.next(backMs + 300, 300), backMs + 300));
  let waits = 0;
  for (let count = 0; count < 40; count += 1) {
    const nowMs = backMs + 400 + count;
    if (!dials(nowMs, delay.next(nowMs, 400 + count), nowMs)) waits += 1;
  }
  assert(waits >= 20, `${waits} of 40 waited`);
});

test('a clock that was set ahead changes nothing, and set back again neither', () => {
  const delay = new RedialDelay();
  delay.next(0, 0);

  assert.equal(delay.next(HOUR_MS, 200), REDIAL_MS);
  assert(dials(HOUR_MS, delay.next(400, 400), 400));
});
