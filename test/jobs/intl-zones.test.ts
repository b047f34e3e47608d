import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import { offsetAt, stretchAt, stretchEndMs, stretchStartMs, type ZoneTable } from '../../src/jobs/zone.ts';
import { pick, printedRandom } from './seed.ts';

const { random } = printedRandom('intl-zones');
const zones = createIntlZones();
const MINUTE_MS = 60_000;

function tableOf(zone: string): ZoneTable {
  const table = zones.table(zone);
  assert(table !== undefined, zone);
  return table;
}

test('an instant of change belongs to the stretch after it', () => {
  const table: ZoneTable = { zone: 'Test', transitionsMs: [1_000, 5_000], offsetsMs: [0, 60_000, 0] };

  assert.deepEqual(
    [-1, 0, 999, 1_000, 4_999, 5_000, 9_000].map((at) => stretchAt(table, at)),
    [0, 0, 0, 1, 1, 2, 2],
  );
  assert.equal(offsetAt(table, 4_999), 60_000);
  assert.equal(stretchStartMs(table, 0), Number.NEGATIVE_INFINITY);
  assert.equal(stretchEndMs(table, 0), 1_000);
  assert.equal(stretchStartMs(table, 2), 5_000);
  assert.equal(stretchEndMs(table, 2), Number.POSITIVE_INFINITY);
});

test('changes are found to the second', () => {
  const berlin = tableOf('Europe/Berlin');
  const spring = Date.UTC(2026, 2, 29, 1);

  assert.ok(berlin.transitionsMs.includes(spring));
  assert.equal(offsetAt(berlin, spring - 1), 60 * MINUTE_MS);
  assert.equal(offsetAt(berlin, spring), 120 * MINUTE_MS);
  assert.equal(offsetAt(tableOf('Asia/Kathmandu'), Date.UTC(2026, 0, 1)), 345 * MINUTE_MS);
  assert.equal(offsetAt(tableOf('Africa/Monrovia'), 0), -(44 * 60 + 30) * 1_000);
  assert.ok(tableOf('Africa/Monrovia').transitionsMs.includes(Date.UTC(1972, 0, 7, 0, 44, 30)));
});

test('UTC by any of its names is one table without changes', () => {
  for (const name of ['UTC', 'utc', 'Etc/UTC', 'etc/utc', 'GMT', 'Zulu']) {
    assert.equal(tableOf(name), tableOf('UTC'), name);
  }
  assert.deepEqual(tableOf('UTC').transitionsMs, []);
});

test('a name in any case is the zone in its canonical case, built once', () => {
  assert.equal(tableOf('europe/berlin').zone, 'Europe/Berlin');
  assert.equal(tableOf('EUROPE/BERLIN'), tableOf('Europe/Berlin'));
});

test('what is no zone has no table', () => {
  for (const name of ['', 'Mars/Olympus', '+01:00', '-0500', 'Europe', 'Europe/Berlin ', '../etc', 'x'.repeat(5_000)]) {
    assert.equal(zones.table(name), undefined, name.slice(0, 20));
  }
  assert.match(zones.version, /^\d{4}[a-z]/);
});

test('a table agrees with Intl at every sampled instant', () => {
  const names = ['Australia/Lord_Howe', 'Africa/Casablanca', 'Asia/Gaza', 'America/Recife', 'Pacific/Apia'];
  for (let extra = 0; extra < 5; extra += 1) names.push(pick(random, Intl.supportedValuesOf('timeZone')));
  for (const name of names) {
    const table = tableOf(name);
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      timeStyle: 'medium',
      dateStyle: 'short',
      hourCycle: 'h23',
    });
    const clock = new Intl.DateTimeFormat('en-US', {
      timeZone: 'UTC',
      timeStyle: 'medium',
      dateStyle: 'short',
      hourCycle: 'h23',
    });
    for (let round = 0; round < 300; round += 1) {
      const atMs = Math.floor(random() * Date.UTC(2100, 0, 1));

      assert.equal(format.format(atMs), clock.format(atMs + offsetAt(table, atMs)), `${name} at ${atMs}`);
    }
    assert.equal(table.offsetsMs.length, table.transitionsMs.length + 1);
    assert.ok(
      table.transitionsMs.every((atMs, index) => index === 0 || atMs > (table.transitionsMs[index - 1] as number)),
    );
  }
});
