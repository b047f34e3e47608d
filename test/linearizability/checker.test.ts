import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomInteger, seededRandom } from '../../src/base/random.ts';
import { isLinearizableByTrying } from './brute-force.ts';
import { checkLinearizability } from './checker.ts';
import { History, type Operation, type Result, readHistory, writeHistory } from './history.ts';
import { makeHistory } from './register-world.ts';

/** `12-15 put a`, `12-15 get a`, `12-15 get -`, `12-15 delete`, `12-15 delete -`; `12-?` where nobody knows. */
function operation(line: string, place: number): Operation {
  const [times = '', verb = '', word = ''] = line.split(' ');
  const [invoked = '', responded = ''] = times.split('-');
  const isKnown = responded !== '?';
  return {
    client: `c${place}`,
    server: 's1#1',
    key: 'job',
    action: verb === 'put' ? { type: 'put', value: word } : { type: verb === 'get' ? 'get' : 'delete' },
    invokedMs: Number(invoked),
    respondedMs: isKnown ? Number(responded) : Number.POSITIVE_INFINITY,
    result: isKnown ? resultOf(verb, word) : null,
  };
}

function resultOf(verb: string, word: string): Result {
  if (verb === 'put') return { type: 'stored' };
  if (verb === 'get') return { type: 'read', value: word === '-' ? null : word };
  return { type: 'deleted', wasThere: word !== '-' };
}

const HISTORIES: readonly { readonly name: string; readonly good: boolean; readonly lines: readonly string[] }[] = [
  { name: 'nothing', good: true, lines: [] },
  { name: 'a read of what was written', good: true, lines: ['0-1 put a', '2-3 get a'] },
  { name: 'a read of nothing before a write', good: true, lines: ['0-1 get -', '2-3 put a'] },
  { name: 'a stale read', good: false, lines: ['0-1 put a', '2-3 put b', '4-5 get a'] },
  { name: 'a read that misses an acknowledged write', good: false, lines: ['0-1 put a', '2-3 get -'] },
  { name: 'a lost update', good: false, lines: ['0-1 put a', '2-9 put b', '10-11 get b', '12-13 get a'] },
  { name: 'a read of a value never written', good: false, lines: ['0-1 put a', '2-3 get z'] },
  { name: 'a read from the future', good: false, lines: ['0-1 get a', '2-3 put a'] },
  { name: 'overlapping writes in the one order', good: true, lines: ['0-9 put a', '0-9 put b', '10-11 get a'] },
  { name: 'overlapping writes in the other order', good: true, lines: ['0-9 put a', '0-9 put b', '10-11 get b'] },
  {
    name: 'two readers who saw overlapping writes in different orders',
    good: false,
    lines: ['0-20 put a', '0-20 put b', '1-2 get a', '3-4 get b', '5-6 get a'],
  },
  { name: 'a read during a write sees it', good: true, lines: ['0-9 put a', '1-2 get a', '3-4 get a'] },
  { name: 'a read during a write that goes back', good: false, lines: ['0-9 put a', '1-2 get a', '3-4 get -'] },
  { name: 'an unknown write that took effect later', good: true, lines: ['0-? put a', '1-2 get -', '50-51 get a'] },
  { name: 'an unknown write that never did', good: true, lines: ['0-? put a', '1-2 put b', '50-51 get b'] },
  {
    name: 'an unknown write that took effect twice',
    good: false,
    lines: ['0-? put a', '1-2 get a', '3-4 put b', '5-6 get b', '7-8 get a'],
  },
  { name: 'an unknown write seen before it began', good: false, lines: ['0-1 get a', '2-? put a'] },
  { name: 'a delete of what is there', good: true, lines: ['0-1 put a', '2-3 delete', '4-5 get -'] },
  { name: 'a delete that comes back', good: false, lines: ['0-1 put a', '2-3 delete', '4-5 get a'] },
  { name: 'a delete that found nothing', good: false, lines: ['0-1 put a', '2-3 delete -'] },
  { name: 'two deletes of one write', good: false, lines: ['0-1 put a', '2-9 delete', '2-9 delete'] },
  { name: 'two deletes, one of which found nothing', good: true, lines: ['0-1 put a', '2-9 delete', '2-9 delete -'] },
  { name: 'operations that take no time', good: true, lines: ['1-1 put a', '1-1 get a', '1-1 get -'] },
  { name: 'reads without an answer', good: true, lines: ['0-? get a', '1-2 put a', '3-? get a'] },
];

for (const { name, good, lines } of HISTORIES) {
  test(`${good ? 'linearizable' : 'not linearizable'}: ${name}`, () => {
    const operations = lines.map(operation);

    const verdict = checkLinearizability(operations);

    assert.equal(verdict.type, good ? 'ok' : 'violation');
    assert.equal(isLinearizableByTrying(operations), good);
  });
}

test('a violation names the key and the first answer that cannot be', () => {
  const bad = ['0-1 put a', '2-3 put b', '4-5 get a', '6-7 put c', '8-9 get c'].map(operation);
  const good = ['0-1 put x', '2-3 get x'].map((line, place) => ({ ...operation(line, place), key: 'another' }));

  const verdict = checkLinearizability([...bad, ...good]);

  assert.ok(verdict.type === 'violation');
  assert.equal(verdict.key, 'job');
  assert.match(verdict.explanation, /^no order explains\n {2}\[4\.0, 5\.0\] c2 at s1#1: get -> a\nafter\n/);
  assert.doesNotMatch(verdict.explanation, /put c/);
});

test('keys are judged each on its own', () => {
  const lines = ['0-1 put a', '2-3 get -'];
  const operations = lines.map((line, place) => ({ ...operation(line, place), key: `key-${place}` }));

  assert.equal(checkLinearizability(operations).type, 'ok');
});

test('a search that reaches its bound says that it does not know', () => {
  const operations = makeHistory(seededRandom(1), {
    clients: 20,
    operationsPerClient: 10,
    keys: 1,
    unknownShare: 0.1,
  });

  assert.equal(checkLinearizability(operations, { workMax: 50 }).type, 'unknown');
});

test('fifty clients of a register leave a linearizable history', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const shape = { clients: 50, operationsPerClient: 20, keys: 8, unknownShare: 0.02 };

    const verdict = checkLinearizability(makeHistory(seededRandom(seed), shape));

    assert.equal(verdict.type, 'ok', `seed ${seed}: ${JSON.stringify(verdict)}`);
  }
});

test('one read of fifty clients that saw another value is found', () => {
  const shape = { clients: 50, operationsPerClient: 20, keys: 8, unknownShare: 0.02 };
  for (let seed = 1; seed <= 20; seed += 1) {
    const operations = makeHistory(seededRandom(seed), shape);
    const places = operations.flatMap(({ result }, place) => (result?.type === 'read' ? [place] : []));
    const mutated = places[randomInteger(seededRandom(seed), 0, places.length - 1)];

    const verdict = checkLinearizability(
      operations.map((one, place) =>
        place === mutated ? { ...one, result: { type: 'read', value: 'never written' } } : one,
      ),
    );

    assert.equal(verdict.type, 'violation', `seed ${seed}`);
  }
});

test('it agrees with trying all orders, on good histories and on those with one answer changed', () => {
  const seen = { good: 0, bad: 0 };
  const law = fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 2 }), fc.nat(), check);
  function check(seed: number, clients: number, operationsPerClient: number, drawn: number): void {
    const shape = { clients, operationsPerClient, keys: 1, unknownShare: 0.2 };
    const good = makeHistory(seededRandom(seed), shape);
    assert.equal(checkLinearizability(good).type, 'ok', 'made by a register');
    const values: (string | null)[] = [null, ...good.flatMap(({ action }) => ('value' in action ? action.value : []))];
    const place = drawn % good.length;
    const changed = good.map((one, at): Operation => {
      if (at !== place) return one;
      if (one.result?.type === 'read') {
        return { ...one, result: { type: 'read', value: values[drawn % values.length] ?? null } };
      }
      return one.result?.type === 'deleted'
        ? { ...one, result: { type: 'deleted', wasThere: !one.result.wasThere } }
        : one;
    });

    const expected = isLinearizableByTrying(changed);

    seen[expected ? 'good' : 'bad'] += 1;
    assert.equal(checkLinearizability(changed).type, expected ? 'ok' : 'violation');
  }
  fc.assert(law, { numRuns: 3_000 });
  assert.ok(seen.good > 100 && seen.bad > 100, JSON.stringify(seen));
});

test('a history survives being written as lines of JSON', () => {
  const operations = makeHistory(seededRandom(7), { clients: 5, operationsPerClient: 10, keys: 2, unknownShare: 0.2 });

  assert.deepEqual(readHistory(writeHistory(operations)), operations);
});

test('what has not ended is unknown, and what was refused is no part of the history', () => {
  let nowMs = 0;
  const history = new History(() => {
    nowMs += 1;
    return nowMs;
  });
  const what = { client: 'c1', server: 's1#1', key: 'job', action: { type: 'put', value: 'a' } } as const;

  history.end(history.begin(what), { type: 'stored' }, { version: 7 });
  history.refuse(history.begin(what));
  history.begin(what);

  assert.deepEqual(
    history
      .operations()
      .map(({ invokedMs, respondedMs, result, version }) => [invokedMs, respondedMs, result, version]),
    [
      [1, 2, { type: 'stored' }, 7],
      [4, Number.POSITIVE_INFINITY, null, undefined],
    ],
  );
});
