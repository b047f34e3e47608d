import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Log, noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { ClusterTime } from '../../src/scheduler/cluster-time.ts';
import { Server } from './server.ts';

const DAY_MS = 86_400_000;

/** Of server s1 of so many; `hear` tells the clocks of others as their distance from the right time. */
function setup(servers = 3) {
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => warnings.push(message) };
  const voters = Array.from({ length: servers }, (_, index) => `s${index + 1}`);
  const time = new ClusterTime({ node: 's1', voters, clock, log, metrics: noMetrics });
  const right = () => clock.now() - clock.skewMs;
  const hear = (offsetsMs: Readonly<Record<string, number>>): void => {
    for (const [node, offsetMs] of Object.entries(offsetsMs)) time.heard(node, right() + offsetMs);
  };
  /** Ahead of the right time by so much; null while it is not known. */
  const ahead = (): number | null => (time.isKnown ? time.now() - right() : null);
  return { clock, time, warnings, hear, ahead };
}

test('which clocks count, of those that are known', () => {
  const cases: [own: number, others: Record<string, number>, ahead: number | null][] = [
    [0, {}, null],
    [0, { a1: 0, s9: 0 }, null],
    [300, { s2: -400 }, 300],
    [300, { s2: -400, s3: 9_000 }, 300],
    [DAY_MS, { s2: 0 }, 0],
    [DAY_MS, { s2: 0, s3: 20 }, 20],
    [0, { s2: DAY_MS }, 0],
    [0, { s2: DAY_MS, s3: -20 }, 0],
    [-DAY_MS, { s2: 0, s3: 20 }, 0],
    [-DAY_MS, { s2: 0 }, -DAY_MS],
    [0, { s2: -DAY_MS }, -DAY_MS],
    [DAY_MS, { s2: 2 * DAY_MS, s3: 0 }, DAY_MS],
  ];
  for (const [own, others, expected] of cases) {
    const { clock, hear, ahead } = setup();
    clock.skewMs = own;

    hear(others);

    assert.equal(ahead(), expected, JSON.stringify([own, others]));
  }
});

test('a server alone goes by its own clock', () => {
  const { clock, ahead } = setup(1);
  clock.skewMs = DAY_MS;

  assert.equal(ahead(), DAY_MS);
});

test('of five clocks two may be wrong', () => {
  const { clock, hear, ahead } = setup(5);
  clock.skewMs = DAY_MS;

  hear({ s2: 0 });
  assert.equal(ahead(), null);
  hear({ s3: 30, s4: DAY_MS, s5: -10 });

  assert.equal(ahead(), 30);
});

test('a jump of the own clock shows at once, and what was heard long ago counts no more', () => {
  const { clock, hear, ahead } = setup();
  hear({ s2: 0, s3: 0 });

  clock.advance(5_000);
  clock.skewMs = DAY_MS;
  assert.equal(ahead(), 0);
  clock.advance(6_000);

  assert.equal(ahead(), null);
});

test('an operator is told of a wrong clock, and of time that stands still, but not at each look', () => {
  const { clock, time, warnings, hear } = setup();
  time.restart();
  time.report();
  clock.advance(2_900);
  time.report();
  assert.deepEqual(warnings, []);
  clock.advance(200);
  time.report();
  assert.match(warnings.join('\n'), /^time stands still/);

  clock.advance(61_000);
  hear({ s2: 0, s3: 0 });
  clock.skewMs = DAY_MS;
  for (let look = 0; look < 10; look += 1) time.report();

  assert.match(warnings.at(-1) ?? '', /clock of this leader is ahead/);
  assert.ok(warnings.length <= 3, warnings.join('\n'));
});

test('a leader that knows the clocks of no others fires nothing, and goes on when it hears them', () => {
  const server = new Server({ voters: ['s1', 's2', 's3'] });
  server.lead();
  server.advance(1_000);
  assert.equal(server.proposed.length, 0);

  server.hello('s2', { isServer: true });
  server.advance(200);

  assert.ok(server.proposed.some(({ type }) => type === 'genesis'));
});
