import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import type { Action, Operation, Result } from './history.ts';
import { makeHistory } from './register-world.ts';
import { checkSessions } from './sessions.ts';

interface Told {
  readonly at: number;
  readonly server?: string;
  readonly client?: string;
  readonly version?: number;
  readonly isUnknown?: boolean;
}

function told(
  action: Action,
  result: Result,
  { at, server = 's1#1', client = 'c1', version, isUnknown }: Told,
): Operation {
  return {
    client,
    server,
    key: 'job',
    action,
    invokedMs: at,
    respondedMs: isUnknown === true ? Number.POSITIVE_INFINITY : at + 1,
    result: isUnknown === true ? null : result,
    ...(version === undefined ? {} : { version }),
  };
}

const put = (value: string, rest: Told) => told({ type: 'put', value }, { type: 'stored' }, rest);
const get = (value: string | null, rest: Told) => told({ type: 'get' }, { type: 'read', value }, rest);
const remove = (rest: Told) => told({ type: 'delete' }, { type: 'deleted', wasThere: true }, rest);

const GOOD: readonly (readonly [string, readonly Operation[]])[] = [
  ['an own write that is read', [put('a', { at: 0 }), get('a', { at: 2 })]],
  ['a newer write of another client', [put('a', { at: 0 }), put('b', { at: 2, client: 'c2' }), get('b', { at: 4 })]],
  ['another server that lags', [put('a', { at: 0 }), put('b', { at: 2 }), get('a', { at: 4, server: 's2#1' })]],
  ['a server that was started again', [put('a', { at: 0 }), get(null, { at: 2, server: 's1#2' })]],
  ['an unknown write that is not there yet', [put('a', { at: 0, isUnknown: true }), get(null, { at: 2 })]],
  [
    'an unknown delete that took effect',
    [put('a', { at: 0 }), remove({ at: 2, isUnknown: true }), get(null, { at: 4 })],
  ],
  [
    'two writes of one log entry',
    [put('a', { at: 0, version: 4 }), put('b', { at: 0, client: 'c2', version: 4 }), get('b', { at: 2, version: 4 })],
  ],
  ['a write after a delete', [remove({ at: 0 }), put('a', { at: 2, client: 'c2' }), get('a', { at: 4 })]],
];

for (const [name, operations] of GOOD) {
  test(`fine: ${name}`, () => {
    assert.deepEqual(checkSessions(operations), []);
  });
}

const BAD: readonly (readonly [string, RegExp, readonly Operation[]])[] = [
  ['an own write that is missing', /own write is not read/, [put('a', { at: 0 }), get(null, { at: 2 })]],
  [
    'an older value than the own',
    /own write is not read/,
    [put('a', { at: 0 }), put('b', { at: 2 }), get('a', { at: 4 })],
  ],
  [
    'a read that goes back in time',
    /goes back behind/,
    [put('a', { at: 0, client: 'c2' }), put('b', { at: 2, client: 'c2' }), get('b', { at: 4 }), get('a', { at: 6 })],
  ],
  [
    'overlapping writes, of which the versions tell the order',
    /goes back behind/,
    [
      put('a', { at: 0, client: 'c2', version: 4 }),
      put('b', { at: 0, client: 'c3', version: 5 }),
      get('b', { at: 4, version: 5 }),
      get('a', { at: 6, version: 4 }),
    ],
  ],
  [
    'a value that comes back after the own delete',
    /own write/,
    [put('a', { at: 0 }), remove({ at: 2 }), get('a', { at: 4 })],
  ],
  ['a value that nobody wrote', /nobody wrote/, [get('z', { at: 0 })]],
  ['a value of the future', /before it was written/, [get('a', { at: 0 }), put('a', { at: 4 })]],
];

for (const [name, expected, operations] of BAD) {
  test(`found: ${name}`, () => {
    const violations = checkSessions(operations);

    assert.equal(violations.length, 1, violations.join('\n'));
    assert.match(violations[0] ?? '', expected);
  });
}

test('clients of one register never break a session', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const shape = { clients: 10, operationsPerClient: 30, keys: 3, unknownShare: 0.1 };

    assert.deepEqual(checkSessions(makeHistory(seededRandom(seed), shape)), [], `seed ${seed}`);
  }
});
