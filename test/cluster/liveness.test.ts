import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Liveness, type NodeState } from '../../src/cluster/liveness.ts';

const STATES: readonly { readonly silentMs: number; readonly state: NodeState }[] = [
  { silentMs: 0, state: 'alive' },
  { silentMs: 5_000, state: 'alive' },
  { silentMs: 5_001, state: 'suspected' },
  { silentMs: 7_000, state: 'suspected' },
  { silentMs: 7_001, state: 'down' },
  { silentMs: 1e9, state: 'down' },
];

for (const { silentMs, state } of STATES) {
  test(`a node that was silent for ${silentMs} ms is ${state}`, () => {
    const liveness = new Liveness();
    liveness.heard('a', 1, 1_000);

    assert.equal(liveness.stateOf('a', 1_000 + silentMs), state);
    assert.equal(liveness.isAlive('a', 1_000 + silentMs), state === 'alive');
    assert.equal(liveness.silentMs('a', 1_000 + silentMs), silentMs);
  });
}

test('a node that was never heard is unknown, which is not down', () => {
  const liveness = new Liveness();

  assert.equal(liveness.stateOf('a', 1e9), 'unknown');
  assert.equal(liveness.isAlive('a', 0), false);
  assert.deepEqual(liveness.nodesIn('down', 1e9), []);
});

test('a sign of life brings a node back from suspicion and from being down', () => {
  const liveness = new Liveness({ silentMsMax: 100, marginMs: 50 });
  liveness.heard('a', 1, 0);
  assert.equal(liveness.stateOf('a', 151), 'down');

  liveness.heard('a', 1, 151);

  assert.equal(liveness.stateOf('a', 251), 'alive');
});

test('a newer boot is noticed, and from then on an older one is no sign of life', () => {
  const liveness = new Liveness();
  assert.equal(liveness.heard('a', 1, 0), 'new');
  assert.equal(liveness.heard('a', 1, 10), 'same-boot');
  assert.equal(liveness.heard('a', 3, 20), 'newer-boot');

  assert.equal(liveness.heard('a', 2, 6_000), 'older-boot');

  assert.equal(liveness.bootOf('a'), 3);
  assert.equal(liveness.stateOf('a', 6_000), 'suspected');
});

test('nodes are listed by state, longest silent first', () => {
  const liveness = new Liveness();
  for (const [atMs, nodeId] of ['a', 'b', 'c', 'd'].entries()) liveness.heard(nodeId, 1, atMs);
  liveness.heard('a', 1, 6_000);

  assert.deepEqual(liveness.nodesIn('suspected', 6_500), ['b', 'c', 'd']);
  assert.deepEqual(liveness.nodesIn('alive', 6_500), ['a']);
  liveness.forget('b');
  assert.deepEqual(liveness.nodesIn('down', 9_000), ['c', 'd']);
});

test('at the bound the node that was silent for the longest is forgotten', () => {
  const liveness = new Liveness({ nodesMax: 2 });
  liveness.heard('a', 1, 0);
  liveness.heard('b', 1, 1);
  liveness.heard('a', 1, 2);

  liveness.heard('c', 1, 3);

  assert.equal(liveness.size, 2);
  assert.equal(liveness.stateOf('b', 3), 'unknown');
  assert.equal(liveness.stateOf('a', 3), 'alive');
});
