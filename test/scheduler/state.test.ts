import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { encodeRow, type StateRow } from '../../src/scheduler/rows.ts';
import { hashRow, State } from '../../src/scheduler/state.ts';
import { scanAll } from '../../src/scheduler/state-scan.ts';
import { MemoryDatabase } from '../../src/store/memory-storage.ts';
import { printedRandom } from '../jobs/seed.ts';

const { seed } = printedRandom('state');

function setup(options: { readonly readDelayMs?: () => number; readonly writeDelayMs?: () => number } = {}) {
  const clock = new VirtualClock();
  const database = new MemoryDatabase({ label: 'state', clock, ...options });
  return { clock, database, state: new State(database.open()) };
}

function row(run: string): StateRow {
  return { type: 'finished', run };
}

function key(number: number): string {
  return `finished/${String(number).padStart(4, '0')}`;
}

function fail(error: Error | null): void {
  if (error !== null) throw error;
}

/** All rows of a range, page by page. */
function scanned(state: State, clock: VirtualClock, from: string, to: string, limit: number): Map<string, StateRow> {
  const found = new Map<string, StateRow>();
  const page = (start: string): void =>
    state.scan({ from: start, to, limit }, (error, rows, nextFrom) => {
      fail(error);
      for (const { key: at, row: value } of rows) {
        assert.equal(found.has(at), false, `${at} came twice`);
        found.set(at, value);
      }
      if (nextFrom !== null) page(nextFrom);
    });
  page(from);
  clock.advance(1_000);
  return found;
}

test('what was put is read before, during and after its flush', () => {
  const { clock, state } = setup({ writeDelayMs: () => 10 });
  state.put('finished/1', row('a'));
  assert.deepEqual(state.get('finished/1'), row('a'));

  state.flush(fail);
  state.put('finished/1', row('b'));
  state.delete('finished/2');
  clock.advance(10);

  assert.deepEqual(state.get('finished/1'), row('b'));
  assert.equal(state.unflushed > 0, true);
  state.flush(fail);
  clock.advance(10);
  assert.equal(state.unflushed, 0);
});

test('a crash during a flush keeps all of it or nothing, with its index and its hash', () => {
  for (const random of [() => 0, () => 0.99]) {
    const { clock, database, state } = setup({ writeDelayMs: () => 10 });
    state.put('finished/1', row('a'));
    state.flush(fail);
    clock.advance(10);
    const before = state.rowHash();
    state.put('finished/1', row('b'));
    state.delete('finished/3');
    state.put('finished/2', row('c'));
    state.meta = { ...state.meta, appliedIndex: 7 };
    const after = state.rowHash();
    state.flush(fail);

    database.crash(random, 'prefix');

    const next = new State(database.open());
    const isKept = next.meta.appliedIndex === 7;
    assert.equal(isKept, random() === 0.99);
    assert.equal(next.rowHash(), isKept ? after : before);
    assert.deepEqual(next.get('finished/2'), isKept ? row('c') : undefined);
  }
});

test('a full page whose rows were all deleted meanwhile is not the end', () => {
  const { clock, state } = setup();
  for (let number = 0; number < 30; number += 1) state.put(key(number), row(`r${number}`));
  state.flush(fail);
  clock.advance(0);
  for (let number = 0; number < 20; number += 1) state.delete(key(number));

  const found = scanned(state, clock, 'finished/', 'finished0', 10);

  assert.deepEqual(
    [...found.keys()],
    Array.from({ length: 10 }, (_, number) => key(20 + number)),
  );
});

test('scanAll walks its ranges one after another', () => {
  const { clock, state } = setup();
  for (let number = 0; number < 2_500; number += 1) state.put(key(number), row('x'));
  state.put('due/1', { type: 'due' });
  state.flush(fail);
  clock.advance(0);
  state.put('due/0', { type: 'due' });
  const found: string[] = [];
  let isDone = false;

  const ranges = [
    ['finished/', 'finished0'],
    ['due/', 'due0'],
  ] as const;
  scanAll(
    state,
    ranges,
    (one) => found.push(one.key),
    (error) => {
      fail(error);
      isDone = true;
    },
  );
  clock.advance(0);

  assert.equal(isDone, true);
  assert.equal(found.length, 2_502);
  assert.deepEqual(found.slice(-2), ['due/0', 'due/1']);
});

/** Puts and deletes at random, beside a plain map that says what must be there. */
function change(state: State, model: Map<string, string>, random: Random): void {
  const at = key(randomInteger(random, 0, 40));
  if (random() < 0.35) {
    model.delete(at);
    state.delete(at);
  } else {
    const value = `v${randomInteger(random, 0, 3)}`;
    model.set(at, value);
    state.put(at, row(value));
  }
}

test('rows, scans and row hash are those of a plain map, whatever is flushed when', () => {
  fc.assert(
    fc.property(fc.nat(), (storySeed) => {
      const random = seededRandom(storySeed);
      const delay = () => randomInteger(random, 0, 5);
      const { clock, state } = setup({ readDelayMs: delay, writeDelayMs: delay });
      const model = new Map<string, string>();
      let isFlushing = false;
      for (let at = 0; at < 200; at += 1) {
        change(state, model, random);
        if (!isFlushing && random() < 0.2) {
          isFlushing = true;
          state.flush((error) => {
            fail(error);
            isFlushing = false;
          });
        }
        if (random() < 0.3) clock.advance(randomInteger(random, 0, 4));
        if (random() < 0.1) {
          const found = scanned(state, clock, key(5), key(30), randomInteger(random, 1, 8));
          const expected = [...model].filter(([name]) => name >= key(5) && name < key(30)).sort();
          assert.deepEqual(
            [...found].map(([name, value]) => [name, value.type === 'finished' && value.run]),
            expected,
          );
        }
      }
      let sum = 0;
      for (const [name, value] of model) sum = (sum + hashRow(name, encodeRow(row(value)))) >>> 0;
      assert.equal(state.rowHash(), sum);
    }),
    { seed, numRuns: 100, includeErrorInReport: true },
  );
});

test('cells beyond the cache go, and are read again from disk', () => {
  const { clock, state, database } = setup();
  for (let number = 0; number < 50_000; number += 1) state.put(`finished/${number}`, row(`${number}`));
  const before = state.rowHash();
  state.flush(fail);
  clock.advance(0);

  let reads = 0;
  const { storage } = state;
  const get = storage.get.bind(storage);
  storage.get = (name) => {
    reads += 1;
    return get(name);
  };
  for (let number = 0; number < 50_000; number += 1)
    assert.deepEqual(state.get(`finished/${number}`), row(`${number}`));

  assert.equal(database.size, 50_002);
  assert.ok(reads >= 30_000, `${reads} reads`);
  assert.equal(state.rowHash(), before);
  state.put('finished/7', row('7'));
  assert.equal(state.rowHash(), before, 'a row that was evicted counts once');
});
