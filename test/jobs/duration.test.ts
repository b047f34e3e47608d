import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/jobs/duration.ts';
import { parseInstant } from '../../src/jobs/instant.ts';
import { parseSize } from '../../src/jobs/size.ts';
import { printedRandom } from './seed.ts';

const { seed } = printedRandom('duration');

test('durations are read as Go reads them, in whole ms', () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['0', 0],
    ['+5s', 5_000],
    ['-1m', -60_000],
    ['-0', 0],
    ['.5s', 500],
    ['1.s', 1_000],
    ['1500us', 1],
    ['1500µs', 1],
    ['1500μs', 1],
    ['999999ns', 0],
    ['999999ns1ns', 1],
    ['0.1h', 360_000],
    ['1s1s', 2_000],
    ['2562047h47m16.854775807s', 9_223_372_036_854],
    ['2562047h47m16.854775808s', undefined],
    ['', undefined],
    ['1', undefined],
    ['1.5', undefined],
    ['s', undefined],
    ['.s', undefined],
    ['1d', undefined],
    ['1S', undefined],
    ['1 s', undefined],
    [' 1s', undefined],
    ['1s\n', undefined],
    ['--1s', undefined],
    ['1e3s', undefined],
    [`${'1'.repeat(200)}h`, undefined],
  ];
  for (const [text, expected] of table) assert.equal(parseDuration(text), expected, JSON.stringify(text));
});

test('durations are printed as Go prints them', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [1, '1ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [1_500, '1.5s'],
    [1_001, '1.001s'],
    [120_000, '2m0s'],
    [3_600_000, '1h0m0s'],
    [5_400_250, '1h30m0.25s'],
    [90_000_000, '25h0m0s'],
    [-1_500, '-1.5s'],
  ];
  for (const [ms, expected] of table) assert.equal(formatDuration(ms), expected);
});

test('what was printed is read back, and any text is answered', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }),
    { seed },
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[-+0-9.nuµmsh]{0,120}$/), (text) => {
      const ms = parseDuration(text);
      assert.ok(ms === undefined || Number.isSafeInteger(ms));
    }),
    { seed, numRuns: 1_000 },
  );
});

test('times are read as RFC 3339 writes them', () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['1970-01-01T00:00:00Z', 0],
    ['2030-01-31T09:30:00+01:00', Date.UTC(2030, 0, 31, 8, 30)],
    ['2030-01-31T09:30:00-02:30', Date.UTC(2030, 0, 31, 12, 0)],
    ['2030-01-31t09:30:00.289z', Date.UTC(2030, 0, 31, 9, 30, 0, 289)],
    ['2030-01-31T09:30:00.1234567Z', Date.UTC(2030, 0, 31, 9, 30, 0, 123)],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
    ['0050-01-01T00:00:00Z', new Date('0050-01-01T00:00:00Z').getTime()],
    ['2030-02-29T00:00:00Z', undefined],
    ['2030-00-01T00:00:00Z', undefined],
    ['2030-13-01T00:00:00Z', undefined],
    ['2030-01-32T00:00:00Z', undefined],
    ['2030-01-01T24:00:00Z', undefined],
    ['2030-01-01T00:00:60Z', undefined],
    ['2030-01-01T00:00:00', undefined],
    ['2030-01-01T00:00Z', undefined],
    ['2030-01-01 00:00:00Z', undefined],
    ['2030-01-01T00:00:00+24:00', undefined],
    ['2030-01-01T00:00:00+0100', undefined],
    ['2030-1-1T00:00:00Z', undefined],
    ['2030-01-01T00:00:00Z\n', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of table) assert.equal(parseInstant(text), expected, JSON.stringify(text));
});

test('sizes are read as Dkron reads them', () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['1', 1],
    ['10B', 10],
    ['512MB', 512 * 1_024 ** 2],
    ['1.5GB', 1.5 * 1_024 ** 3],
    ['2 kb', 2_048],
    ['1TB', 1_024 ** 4],
    ['4K', 4_096],
    ['0', undefined],
    ['-1MB', undefined],
    ['MB', undefined],
    ['1PB', undefined],
    ['1MiB', undefined],
    ['', undefined],
    ['999999999999999TB', undefined],
  ];
  for (const [text, expected] of table) assert.equal(parseSize(text), expected, JSON.stringify(text));
});
