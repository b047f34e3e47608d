import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JOIN_ANYWAY_MS, NatsGroup } from '../../src/api/nats-group.ts';

function checks(...failed: readonly string[]) {
  return ['leader', 'not-draining', 'session', 'presence'].map((name) => {
    return { name, isOk: !failed.includes(name), detail: '' };
  });
}

test('a server joins when it is ready, and stays without a leader', () => {
  const group = new NatsGroup(1_000);

  assert.equal(group.belongs(checks('leader', 'session'), 1_000), false);
  assert.equal(group.belongs(checks('session'), 1_100), false);
  assert.equal(group.belongs(checks(), 1_200), true);
  assert.equal(group.belongs(checks('leader'), 1_300), true);
  assert.equal(group.belongs(checks('leader', 'session'), 900_000), true);
});

test('a server that starts without a majority joins after a while', () => {
  const group = new NatsGroup(1_000);

  assert.equal(group.belongs(checks('leader', 'session'), 1_000 + JOIN_ANYWAY_MS - 1), false);
  assert.equal(group.belongs(checks('leader', 'session'), 1_000 + JOIN_ANYWAY_MS), true);
});

for (const name of ['not-draining', 'presence', 'a check of tomorrow']) {
  test(`a server whose ${name} fails is out, and in again when it is mended`, () => {
    const failed = [{ name, isOk: false, detail: '' }];
    const group = new NatsGroup(0);
    assert.equal(group.belongs(checks(), 0), true);

    assert.equal(group.belongs([...checks(), ...failed], 100), false);
    assert.equal(group.belongs([...checks('leader'), ...failed], JOIN_ANYWAY_MS), false);
    assert.equal(group.belongs(checks('leader'), JOIN_ANYWAY_MS), true);
  });
}
