import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeConfiguration, encodeConfiguration } from '../../src/raft/configuration.ts';
import { Configurations } from '../../src/raft/configurations.ts';
import { changeMembership, leaveJoint, promoteLearners } from '../../src/raft/membership.ts';
import type { Configuration, ConfigurationChange, Learner } from '../../src/raft/raft-protocol.ts';
import type { LogEntry } from '../../src/raft/types.ts';

function learner(node: string, becomesVoter = true, replaces: string | null = null): Learner {
  return { node, becomesVoter, replaces };
}

function add(node: string, becomesVoter = true, replaces: string | null = null): ConfigurationChange {
  return { type: 'add', node, becomesVoter, replaces };
}

function of(voters: string, learners: readonly Learner[] = [], outgoing = ''): Configuration {
  return { voters: [...voters], outgoing: [...outgoing], learners };
}

const SEVEN_LEARNERS = [...'tuvwxyz'].map((node) => learner(node, false));

const CASES: readonly (readonly [string, Configuration, ConfigurationChange, Configuration | 'unchanged' | RegExp])[] =
  [
    ['a server is added as a learner', of('abc'), add('d'), of('abc', [learner('d')])],
    ['learners stand in order', of('a', [learner('c')]), add('b'), of('a', [learner('b'), learner('c')])],
    [
      'a learner gets a new intent',
      of('ab', [learner('c', false)]),
      add('c', true, 'b'),
      of('ab', [learner('c', true, 'b')]),
    ],
    ['the same again changes nothing', of('ab', [learner('c')]), add('c'), 'unchanged'],
    ['a voter that is added again stays one', of('ab'), add('b'), 'unchanged'],
    ['a replacement that is done is done', of('ab'), add('b', true, 'z'), 'unchanged'],
    ['a voter does not become a learner', of('ab'), add('b', false), /b is a voter: remove it first/],
    ['a voter replaces nobody', of('ab'), add('b', true, 'a'), /b is a voter already: remove a instead/],
    ['only a voter can be replaced', of('ab', [learner('c')]), add('d', true, 'c'), /c is no voter/],
    ['nobody replaces itself', of('ab'), add('c', true, 'c'), /c is no voter/],
    ['who replaces becomes a voter', of('ab'), add('c', false, 'a'), /without becoming a voter/],
    [
      'a voter is replaced by one',
      of('ab', [learner('c', true, 'a')]),
      add('d', true, 'a'),
      /being replaced by c already/,
    ],
    ['an eighth voter is too many', of('abcdefg'), add('h'), /there would be 8 voters/],
    ['one that replaces is not', of('abcdefg'), add('h', true, 'a'), of('abcdefg', [learner('h', true, 'a')])],
    ['those that are to vote count', of('abcdef', [learner('g')]), add('h'), /there would be 8 voters/],
    ['an eighth learner is too many', of('a', SEVEN_LEARNERS), add('s', false), /7 learners already/],
    ['a name of no bytes', of('a'), add(''), /1 to 255 bytes/],
    ['a name of too many bytes', of('a'), add('é'.repeat(128)), /1 to 255 bytes/],
    ['a learner is promoted', of('a', [learner('b', false)]), { type: 'promote', node: 'b' }, of('a', [learner('b')])],
    ['a voter is promoted already', of('ab'), { type: 'promote', node: 'b' }, 'unchanged'],
    ['a stranger is not promoted', of('ab'), { type: 'promote', node: 'c' }, /c is no learner: add it first/],
    ['an eighth voter by promotion', of('abcdefg', [learner('h', false)]), { type: 'promote', node: 'h' }, /8 voters/],
    ['a voter is removed jointly', of('abc'), { type: 'remove', node: 'b' }, of('ac', [], 'abc')],
    ['a learner is removed plainly', of('a', [learner('b')]), { type: 'remove', node: 'b' }, of('a')],
    ['a stranger is gone already', of('ab'), { type: 'remove', node: 'c' }, 'unchanged'],
    ['the only voter stays', of('a', [learner('b')]), { type: 'remove', node: 'a' }, /a is the only voter/],
    [
      'who was to replace a removed voter replaces nobody',
      of('abc', [learner('d', true, 'b')]),
      { type: 'remove', node: 'b' },
      of('ac', [learner('d')], 'abc'),
    ],
  ];

for (const [name, before, change, expected] of CASES) {
  test(`a change of membership: ${name}`, () => {
    const result = changeMembership(before, change);

    if (expected === 'unchanged') assert.equal(result.type, 'unchanged');
    else if (expected instanceof RegExp) assert.match(result.type === 'invalid' ? result.message : '', expected);
    else assert.deepEqual(result, { type: 'changed', configuration: expected });
  });
}

test('learners become voters and replace in one joint change, and the rest stay learners', () => {
  const before = of('abc', [learner('d', true, 'a'), learner('e'), learner('f', false)]);

  const joint = promoteLearners(before, ['d', 'e']);

  assert.deepEqual(joint, of('bcde', [learner('f', false)], 'abc'));
  assert.deepEqual(leaveJoint(joint), of('bcde', [learner('f', false)]));
});

test('whom a learner replaces may have gone on its own', () => {
  const joint = promoteLearners(of('bc', [learner('d', true, 'a')]), ['d']);

  assert.deepEqual(joint, of('bcd', [], 'bc'));
});

test('a configuration comes back from its bytes, and one of voters alone has the bytes of old', () => {
  const full = of('abc', [learner('d', true, 'a'), learner('e', false)], 'bc');

  assert.deepEqual(decodeConfiguration(encodeConfiguration(full)), full);
  assert.deepEqual([...encodeConfiguration(of('ab'))], [1, 2, 1, 97, 1, 98]);
});

function entry(index: number, configuration?: Configuration): LogEntry {
  const kind = configuration === undefined ? 'command' : 'configuration';
  const data = configuration === undefined ? Buffer.alloc(0) : encodeConfiguration(configuration);
  return { index, term: 1, kind, data, chain: 0 };
}

test('the newest configuration of a log is in force, and each earlier one at its place', () => {
  const all = new Configurations([{ configuration: of('a'), index: 1 }]);

  all.take([entry(2), entry(3, of('ab', [], 'a')), entry(4), entry(5, of('ab', [learner('c')]))], 0);

  assert.deepEqual(all.latest, { configuration: of('ab', [learner('c')]), index: 5 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((index) => all.at(index).index),
    [1, 1, 3, 3, 5, 5],
  );
  assert.deepEqual(
    [all.voters, all.members],
    [
      ['a', 'b'],
      ['a', 'b', 'c'],
    ],
  );
});

test('a configuration that is cut off is no longer in force', () => {
  const all = new Configurations([{ configuration: of('a'), index: 1 }]);
  all.take([entry(2, of('ab', [], 'a')), entry(3, of('ab'))], 0);

  all.take([entry(3)], 0);
  const joint = all.latest.index;
  all.take([entry(2)], 0);

  assert.deepEqual([joint, all.latest.index, all.voters], [2, 1, ['a']]);
});

test('what lies below the base is forgotten but for the newest', () => {
  const all = new Configurations([{ configuration: of('a'), index: 1 }]);
  all.take([entry(2, of('b')), entry(3, of('c'))], 0);

  all.take([entry(4, of('d'))], 2);

  assert.deepEqual([all.at(2).index, all.at(3).index, all.at(9).index], [2, 3, 4]);
  assert.throws(() => all.at(1), /is compacted/);
});

test('a log that starts anew after a snapshot has the configuration that came with it', () => {
  const all = new Configurations([{ configuration: of('a'), index: 1 }]);
  all.take([entry(2, of('b'))], 0);

  all.restart({ configuration: of('xyz'), index: 7 });

  assert.deepEqual([all.latest.index, all.voters], [7, ['x', 'y', 'z']]);
});
