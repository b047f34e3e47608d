import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  executionIdOf,
  hashKey,
  isJobName,
  isNodeName,
  parseExecutionId,
  parseRunId,
  parseUid,
  runIdOf,
  uidFromKey,
  uidKey,
  uidOf,
} from '../../src/jobs/ids.ts';
import { printedRandom } from './seed.ts';

const { seed } = printedRandom('ids');
const uids = fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 2 ** 48 - 1 }));
const at1969 = -1;

test('a uid is group and index in base 36', () => {
  assert.equal(uidOf(0, 0), '0-0');
  assert.equal(uidOf(0, 12_345), '0-9ix');
  assert.equal(uidOf(0xffff, 2 ** 48 - 1), '1ekf-2rrvthnxtr');
});

test('a uid and its key are read back, and keys sort as the numbers do', () => {
  fc.assert(
    fc.property(uids, uids, ([group, index], [otherGroup, otherIndex]) => {
      const uid = uidOf(group, index);
      const other = uidOf(otherGroup, otherIndex);

      assert.deepEqual(parseUid(uid), { group, index });
      assert.equal(uidFromKey(uidKey(uid)), uid);
      assert.equal(uidKey(uid).length, 15);
      const isBefore = group < otherGroup || (group === otherGroup && index < otherIndex);
      assert.equal(uidKey(uid) < uidKey(other), isBefore);
    }),
    { seed },
  );
});

test('what is no uid is not read as one', () => {
  for (const text of [
    '',
    '0',
    '0-',
    '-0',
    '00-1',
    '0-01',
    '0-1-2',
    'A-1',
    '0-A',
    '1ekg-0',
    '0-2rrvthnxts',
    ' 0-1',
    '0-1\n',
  ]) {
    assert.equal(parseUid(text), undefined, JSON.stringify(text));
  }
  for (const key of ['', '0-1', '0000-000000000', '0000_0000000000', 'zzzz-0000000000', '0000-zzzzzzzzzz']) {
    assert.equal(uidFromKey(key), undefined, key);
  }
  assert.throws(() => uidKey('x'));
  assert.throws(() => uidOf(-1, 0));
  assert.throws(() => uidOf(0, 2 ** 48));
});

test('the hash is 26 characters of base 32 over SHA-256', () => {
  // The first 26 characters of what `printf abc | sha256sum | xxd -r -p | base32` prints, in lower case.
  assert.equal(hashKey('abc'), 'xj4bnp4pahh6uqkbidpf3lrceo');
  assert.match(hashKey(''), /^[a-z2-7]{26}$/);
  assert.notEqual(hashKey('a'), hashKey('b'));
});

test('run ids name their cause and key', () => {
  const uid = uidOf(0, 42);
  const byHand = runIdOf(uid, 'h', 'request-1');

  assert.equal(runIdOf(uid, 's', 1_700_000_000_000), '0-16-s1700000000000');
  assert.equal(byHand, `0-16-h${hashKey('request-1')}`);
  assert.equal(runIdOf(uid, 'h', 'request-1'), byHand);
  assert.deepEqual(parseRunId('0-16-s0'), { uid, cause: 's', key: '0', nominalMs: 0 });
  assert.deepEqual(parseRunId(byHand), { uid, cause: 'h', key: hashKey('request-1'), nominalMs: null });
  assert.throws(() => runIdOf(uid, 's', at1969));
  assert.throws(() => runIdOf(uid, 's', 0.5));
  assert.throws(() => executionIdOf(byHand, 0, 0));
  assert.throws(() => executionIdOf(byHand, -1, 1));
});

test('run and execution ids are read back', () => {
  fc.assert(
    fc.property(
      uids,
      fc.constantFrom('h', 'p', 'b'),
      fc.string(),
      fc.nat(8.64e15),
      fc.nat(2 ** 32 - 1),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      ([group, index], cause, key, nominalMs, ordinal, attempt) => {
        const uid = uidOf(group, index);
        for (const run of [runIdOf(uid, 's', nominalMs), runIdOf(uid, cause, key)]) {
          const execution = executionIdOf(run, ordinal, attempt);

          assert.equal(parseRunId(run)?.uid, uid);
          assert.match(execution, /^[a-z0-9-]+$/);
          assert.deepEqual(parseExecutionId(execution), { run, ordinal, attempt });
          assert.equal(parseRunId(execution), undefined);
          assert.equal(parseExecutionId(run), undefined);
        }
      },
    ),
    { seed },
  );
});

test('what is no run or execution id is not read as one', () => {
  const hash = hashKey('x');
  const runs = [
    '',
    '0-1',
    '0-1-s',
    '0-1-s01',
    '0-1-s-1',
    '0-1-s1.5',
    '0-1-s9000000000000000',
    '0-1-x5',
    `0-1-h${hash}a`,
  ];
  for (const text of [
    ...runs,
    `0-1-h${hash.slice(1)}`,
    `0-1-h${hash.slice(1)}1`,
    `0-1-H${hash}`,
    '0-1-s1\n',
    '01-1-s5',
  ]) {
    assert.equal(parseRunId(text), undefined, JSON.stringify(text));
  }
  for (const text of [
    '',
    '0-1-s5',
    '0-1-s5-0',
    '0-1-s5-0-0',
    '0-1-s5-00-1',
    '0-1-s5-0-01',
    '0-1-s5--1-1',
    '0-1-x5-0-1',
  ]) {
    assert.equal(parseExecutionId(text), undefined, JSON.stringify(text));
  }
});

test('the readers of ids answer any text', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[0-9a-z]{0,12}-[0-9a-z]{0,12}(-[shpb]?[0-9a-z]{0,28}){0,4}$/),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const uid = parseUid(text);
      if (uid !== undefined) assert.equal(uidOf(uid.group, uid.index), text);
      const run = parseRunId(text);
      if (run !== undefined) assert.equal(`${run.uid}-${run.cause}${run.key}`, text);
      const execution = parseExecutionId(text);
      if (execution !== undefined) assert.equal(`${execution.run}-${execution.ordinal}-${execution.attempt}`, text);
    }),
    { seed, numRuns: 1_000 },
  );
});

test('names of nodes and jobs', () => {
  for (const name of ['a', 'node-1', 'web_2', '0', 'x'.repeat(63)]) assert.equal(isNodeName(name), true, name);
  for (const name of ['', 'A', 'a.b', 'ä', 'a b', 'a\n', 'x'.repeat(64)]) assert.equal(isNodeName(name), false, name);
  for (const name of ['job_name', 'straße', 'работа', '作業', 'ʰ', '9', 'x'.repeat(255), 'ä'.repeat(127)]) {
    assert.equal(isJobName(name), true, name);
  }
  for (const name of [
    '',
    'Job',
    'a b',
    'a.b',
    'a/b',
    'Я',
    'a\n',
    '٣',
    'x'.repeat(256),
    'ä'.repeat(128),
    '\ud800',
    '😀',
  ]) {
    assert.equal(isJobName(name), false, JSON.stringify(name));
  }
});
