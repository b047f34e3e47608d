/** Two majorities at once, against counting one by one. That of one side alone is in `log-parts.test.ts`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { changeMembership, leaveJoint, promoteLearners, VOTERS_MAX } from '../../src/raft/membership.ts';
import { type Electorate, jointCommittedIndex, jointVoteResult } from '../../src/raft/quorum.ts';
import type { Configuration, ConfigurationChange } from '../../src/raft/raft-protocol.ts';

const RUNS = { seed: 20261125, numRuns: 3_000 };
const NODES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const;
const side = fc.uniqueArray(fc.constantFrom(...NODES), { minLength: 1, maxLength: 7 });
const electorate = fc.record({ voters: side, outgoing: fc.oneof(fc.constant([]), side) });

function isQuorum({ voters, outgoing }: Electorate, has: (voter: string) => boolean): boolean {
  return [voters, outgoing].every((one) => one.length === 0 || one.filter(has).length * 2 > one.length);
}

test('the committed index of two sides is the highest that a majority of each has reached', () => {
  fc.assert(
    fc.property(electorate, fc.array(fc.nat(12), { minLength: 9, maxLength: 9 }), (sides, matches) => {
      const matchOf = (voter: string): number => matches[NODES.indexOf(voter as 'a')] ?? 0;
      let expected = 0;
      for (let index = 1; index <= 12; index += 1)
        if (isQuorum(sides, (voter) => matchOf(voter) >= index)) expected = index;

      assert.equal(jointCommittedIndex(sides, matchOf), expected);
    }),
    RUNS,
  );
});

test('a vote of two sides is won or lost when no missing vote could change it', () => {
  const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 9, maxLength: 9 });
  fc.assert(
    fc.property(electorate, votes, (sides, cast) => {
      const voteOf = (voter: string): boolean | undefined => cast[NODES.indexOf(voter as 'a')];
      const atWorst = isQuorum(sides, (voter) => voteOf(voter) === true);
      const atBest = isQuorum(sides, (voter) => voteOf(voter) !== false);

      assert.equal(jointVoteResult(sides, voteOf), atWorst ? 'won' : atBest ? 'pending' : 'lost');
    }),
    RUNS,
  );
});

const change: fc.Arbitrary<ConfigurationChange> = fc.oneof(
  fc.record({
    type: fc.constant('add' as const),
    node: fc.constantFrom(...NODES),
    becomesVoter: fc.boolean(),
    replaces: fc.oneof(fc.constant(null), fc.constantFrom(...NODES)),
  }),
  fc.record({ type: fc.constantFrom('promote' as const, 'remove' as const), node: fc.constantFrom(...NODES) }),
);

/** As a leader would take them one after the other, each committed before the next. */
function histories(changes: readonly ConfigurationChange[]): Configuration[] {
  const history: Configuration[] = [{ voters: ['a', 'b', 'c'], outgoing: [], learners: [] }];
  for (const one of changes) {
    const present = history.at(-1) as Configuration;
    const result = changeMembership(present, one);
    if (result.type === 'changed') history.push(result.configuration);
    settle(history);
    const { learners } = history.at(-1) as Configuration;
    const ready = learners.filter(({ becomesVoter }) => becomesVoter).map(({ node }) => node);
    if (ready.length > 0 && one.type !== 'add') history.push(promoteLearners(history.at(-1) as Configuration, ready));
    settle(history);
  }
  return history;
}

function settle(history: Configuration[]): void {
  const last = history.at(-1) as Configuration;
  if (last.outgoing.length > 0) history.push(leaveJoint(last));
}

test('whatever is asked, a configuration stays within its bounds, and nobody is in it twice', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      for (const { voters, outgoing, learners } of histories(changes)) {
        for (const one of [voters, outgoing]) assert(one.length <= VOTERS_MAX && new Set(one).size === one.length);
        assert(voters.length >= 1 && learners.length <= 7);
        const names = [...voters, ...learners.map(({ node }) => node)];
        assert.equal(new Set(names).size, names.length);
        assert.deepEqual(voters, [...voters].sort());
      }
    }),
    RUNS,
  );
});

test('any two quorums of configurations that follow each other share a server', () => {
  const subset = fc.array(fc.boolean(), { minLength: 9, maxLength: 9 });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), subset, (changes, picked) => {
      const history = histories(changes);
      const has = (voter: string): boolean => picked[NODES.indexOf(voter as 'a')] === true;
      for (const [position, earlier] of history.entries()) {
        const later = history[position + 1];
        // If these are a quorum of one, all the others together are none of the next, and the other way round.
        if (later === undefined) return;
        assert(!(isQuorum(earlier, has) && isQuorum(later, (voter) => !has(voter))));
        assert(!(isQuorum(later, has) && isQuorum(earlier, (voter) => !has(voter))));
      }
    }),
    RUNS,
  );
});
