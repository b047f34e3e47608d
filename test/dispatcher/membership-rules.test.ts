import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseGone, judgeChange, SilentServers } from '../../src/dispatcher/membership-rules.ts';
import type { PeerStatus } from '../../src/raft/raft-protocol.ts';
import { statusOf } from './membership-status.ts';

const nameOf = (node: string): string => node.toUpperCase();

test('a voter may leave where a majority of the others is well', () => {
  const remove = { type: 'remove', node: 'c' } as const;
  const cases: readonly [string, Partial<PeerStatus>, boolean][] = [
    ['all are well', {}, true],
    ['the one that leaves is silent', { node: 'c', isActive: false }, true],
    ['another one is silent', { node: 'b', isActive: false }, false],
    ['another one has lost entries', { node: 'b', isWounded: true }, false],
  ];

  for (const [title, peer, isSafe] of cases) {
    const verdict = judgeChange(statusOf(['a', 'b', 'c'], peer), 'a', remove, nameOf);

    assert.equal(verdict.isSafe, isSafe, title);
    if (!verdict.isSafe) assert.match(verdict.message, /without C .*: 2 would vote, 2 are needed, and B cannot be/);
  }
});

test('a leader may leave too, and the last voter may not', () => {
  const verdict = judgeChange(statusOf(['a']), 'a', { type: 'remove', node: 'a' }, nameOf);

  assert.equal(judgeChange(statusOf(['a', 'b', 'c']), 'a', { type: 'remove', node: 'a' }, nameOf).isSafe, true);
  assert.equal(verdict.isSafe, false);
  assert.match(verdict.isSafe ? '' : verdict.message, /A is the only server that votes/);
});

test('what adds a server, or takes one that does not vote, is safe', () => {
  const status = statusOf(['a', 'b'], { node: 'b', isActive: false });

  assert(judgeChange(status, 'a', { type: 'remove', node: 'x' }, nameOf).isSafe);
  assert(judgeChange(status, 'a', { type: 'add', node: 'x', becomesVoter: true, replaces: 'b' }, nameOf).isSafe);
});

const limits = { afterMs: 60_000, nowMs: 100_000 };

function silentSince(ms: number, ...nodes: readonly string[]): SilentServers {
  const silent = new SilentServers();
  for (const node of nodes) silent.look(statusOf(['a', 'b', 'c', 'd'], { node, isActive: false }, nodes), ms);
  return silent;
}

test('a server that is gone for long enough is chosen where three others vote and are well', () => {
  const status = statusOf(['a', 'b', 'c', 'd'], { node: 'b', isActive: false });

  const sweep = chooseGone(status, 'a', silentSince(40_000, 'b'), limits);
  const early = chooseGone(status, 'a', silentSince(40_001, 'b'), limits);

  assert.deepEqual(sweep, { type: 'remove', node: 'b', silentMs: 60_000 });
  assert.deepEqual(early, { type: 'none' });
});

test('one that the others cannot do without is kept, and why is said', () => {
  const few = statusOf(['a', 'b', 'c'], { node: 'b', isActive: false });
  const two = statusOf(['a', 'b', 'c', 'd'], { isActive: false }, ['b', 'c']);

  const kept = chooseGone(few, 'a', silentSince(0, 'b'), limits);
  const both = chooseGone(two, 'a', silentSince(0, 'b', 'c'), limits);

  assert.deepEqual(kept, {
    type: 'keep',
    node: 'b',
    silentMs: 100_000,
    why: 'only 2 servers would vote without it: replace it',
  });
  assert.equal(both.type === 'keep' && both.why, 'not all other servers are well');
});

test('a learner that is gone is chosen before any voter, and nobody while a change is under way', () => {
  const silent = silentSince(0, 'b');
  const learners = [{ node: 'b', becomesVoter: true, replaces: null }];
  const status = statusOf(['a', 'c'], { node: 'b', isActive: false });
  const configuration = { ...status.configuration, learners };

  assert.deepEqual(chooseGone({ ...status, configuration }, 'a', silent, limits), {
    type: 'remove',
    node: 'b',
    silentMs: 100_000,
  });
  const changing = { ...status, configuration: { ...configuration, outgoing: ['a'] } };
  assert.deepEqual(chooseGone(changing, 'a', silent, limits), { type: 'none' });
  assert.deepEqual(chooseGone({ ...status, configuration, isConfigurationCommitted: false }, 'a', silent, limits), {
    type: 'none',
  });
});

test('whoever is heard again has not been gone, and a new leader counts anew', () => {
  const silent = silentSince(0, 'b');
  silent.look(statusOf(['a', 'b', 'c', 'd']), 50_000);
  assert.equal(silent.forMs('b', 100_000), 0);

  const other = silentSince(0, 'b');
  other.forget();
  assert.equal(other.forMs('b', 100_000), 0);
});
