import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerBoots } from '../../src/cluster/peer-boots.ts';

test('the highest boot of a peer counts; earlier ones are refused', () => {
  const boots = new PeerBoots();

  assert.equal(boots.of('a'), 0);
  assert.deepEqual(
    [3, 3, 2, 5, 4, 5].map((boot) => boots.hear('a', boot)),
    [true, true, false, true, false, true],
  );
  assert.equal(boots.of('a'), 5);
  assert.equal(boots.of('b'), 0);
});

test('ten thousand peers are remembered; one more, and the oldest is forgotten', () => {
  const boots = new PeerBoots();
  for (let peer = 0; peer < 10_000; peer += 1) boots.hear(`peer ${peer}`, 1);
  boots.hear('peer 0', 2);

  boots.hear('one more', 1);

  assert.deepEqual(
    ['peer 0', 'peer 1', 'peer 2', 'one more'].map((peer) => boots.of(peer)),
    [2, 0, 1, 1],
  );
});
