/** The small parts of the core by table and by law: quorum, inflights, progress, unstable, log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import { Inflights } from '../../src/raft/inflights.ts';
import { RaftLog } from '../../src/raft/log.ts';
import { Progress } from '../../src/raft/progress.ts';
import { committedIndex, voteResult } from '../../src/raft/quorum.ts';
import { Raft } from '../../src/raft/raft.ts';
import { UNKNOWN_CHAIN } from '../../src/raft/types.ts';
import { Unstable } from '../../src/raft/unstable.ts';
import { entriesOf, MemoryLog, ORIGIN } from './core-node.ts';

const SEED = { seed: 20261125, numRuns: 2_000 };

test('quorum: the committed index is the highest that more than half have reached, as counted one by one', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(12), { minLength: 1, maxLength: 7 }), (matches) => {
      let expected = 0;
      for (let index = 1; index <= 12; index += 1) {
        if (matches.filter((match) => match >= index).length * 2 > matches.length) expected = index;
      }
      assert.equal(committedIndex(matches), expected);
    }),
    SEED,
  );
});

test('quorum: a vote is won or lost when no missing vote could change it', () => {
  const vote = fc.constantFrom(true, false, undefined);
  fc.assert(
    fc.property(fc.array(vote, { minLength: 1, maxLength: 7 }), (votes) => {
      const count = (fill: boolean): boolean => votes.filter((one) => one ?? fill).length * 2 > votes.length;
      const expected = count(false) ? 'won' : count(true) ? 'pending' : 'lost';
      assert.equal(voteResult(votes), expected);
    }),
    SEED,
  );
});

test('inflights: full by count or by bytes, freed up to an index, in a ring', () => {
  const window = new Inflights(3, 100);
  for (let round = 0; round < 5; round += 1) {
    const base = round * 10;
    window.add(base + 1, 10);
    window.add(base + 2, 10);
    assert.equal(window.isFull, false);
    window.add(base + 3, 10);
    assert.equal(window.isFull, true);
    assert.throws(() => window.add(base + 4, 1));

    window.freeUpTo(base);
    assert.equal(window.count, 3);
    window.freeUpTo(base + 2);
    assert.deepEqual([window.count, window.bytes], [1, 10]);
    window.freeUpTo(base + 9);
    assert.deepEqual([window.count, window.bytes], [0, 0]);
  }
  window.add(100, 250);
  assert.equal(window.isFull, true);
  window.clear();
  assert.equal(window.isFull, false);
});

test('progress: probe sends one message at a time, replicate a window, snapshot nothing', () => {
  const progress = new Progress(0, 5, 2, 1_000);
  progress.sent(1, 10);
  assert.equal(progress.isBlocked, true);
  assert.equal(progress.next, 5);

  assert.equal(progress.advance(5), true);
  progress.becomeReplicate();
  assert.deepEqual([progress.match, progress.next, progress.isBlocked], [5, 6, false]);
  progress.sent(3, 10);
  progress.sent(1, 10);
  assert.deepEqual([progress.next, progress.isBlocked], [10, true]);

  progress.becomeSnapshot();
  assert.equal(progress.isBlocked, true);
  progress.pendingSnapshot = 20;
  progress.becomeProbe();
  assert.deepEqual([progress.match, progress.next], [5, 21]);
});

test('progress: a stale rejection changes nothing, a true one goes back to the hint but never to match', () => {
  const cases: [
    state: 'probe' | 'replicate',
    match: number,
    next: number,
    rejected: number,
    hint: number,
    after: number,
  ][] = [
    ['replicate', 5, 10, 5, 5, 10],
    ['replicate', 5, 10, 4, 4, 10],
    ['replicate', 5, 10, 9, 9, 6],
    ['probe', 0, 10, 8, 8, 10],
    ['probe', 0, 10, 9, 2, 3],
    ['probe', 0, 10, 9, 9, 9],
    ['probe', 4, 10, 9, 2, 5],
  ];
  for (const [state, match, next, rejected, hint, after] of cases) {
    const progress = new Progress(match, next, 8, 1_000);
    if (state === 'replicate') progress.becomeReplicate();
    progress.next = next;

    assert.equal(progress.retreat(rejected, hint), after !== next);

    assert.equal(progress.next, after, `${state} match ${match} next ${next} rejected ${rejected} hint ${hint}`);
  }
});

test('progress: an acknowledgement never moves match back or next below it', () => {
  const progress = new Progress(5, 8, 8, 1_000);

  assert.equal(progress.advance(4), false);
  assert.equal(progress.advance(5), false);
  assert.equal(progress.advance(9), true);
  assert.deepEqual([progress.match, progress.next], [9, 10]);
});

test('unstable: nothing is handed out twice, and what is replaced is handed out anew', () => {
  const unstable = new Unstable(1);
  const first = entriesOf([1, 1, 1]);
  unstable.truncateAndAppend(first);
  assert.deepEqual(unstable.next(), first);
  unstable.acceptInProgress();
  assert.deepEqual([unstable.next(), unstable.hasNext], [[], false]);

  const more = entriesOf([1, 1, 1, 1]).slice(3);
  unstable.truncateAndAppend(more);
  assert.deepEqual(unstable.next(), more);
  unstable.acceptInProgress();

  const replaced = entriesOf([1, 2]).slice(1);
  unstable.truncateAndAppend(replaced);
  assert.deepEqual(unstable.next(), replaced);
  assert.equal(unstable.lastIndex, 2);
});

test('unstable: a completion frees what it names, if that is still there', () => {
  const cases: [index: number, term: number, offset: number, left: number][] = [
    [2, 1, 3, 1],
    [3, 1, 4, 0],
    [3, 2, 1, 3],
    [4, 1, 1, 3],
    [0, 0, 1, 3],
  ];
  for (const [index, term, offset, left] of cases) {
    const unstable = new Unstable(1);
    unstable.truncateAndAppend(entriesOf([1, 1, 1]));
    unstable.acceptInProgress();

    unstable.stableTo({ index, term });

    assert.deepEqual([unstable.offset, unstable.entries.length], [offset, left]);
  }
});

test('unstable: a snapshot is stable only once its own write is done', () => {
  const unstable = new Unstable(1);
  unstable.restore({ index: 7, term: 2, chain: 1 });
  unstable.stableSnapshotTo(7);
  assert.notEqual(unstable.snapshot, null);
  unstable.acceptInProgress();
  unstable.stableSnapshotTo(6);
  assert.notEqual(unstable.snapshot, null);

  unstable.stableSnapshotTo(7);

  assert.equal(unstable.snapshot, null);
  assert.equal(unstable.offset, 8);
});

test('log: the newest place that may match a given term, found by whole terms', () => {
  const log = new RaftLog(new MemoryLog(entriesOf([1, 1, 3, 3, 5])), 0, 0);
  const cases: [index: number, term: number, found: number, foundTerm: number][] = [
    [5, 5, 5, 5],
    [5, 4, 4, 3],
    [5, 2, 2, 1],
    [3, 3, 3, 3],
    [5, 0, 0, 0],
  ];
  for (const [index, term, found, foundTerm] of cases) {
    assert.deepEqual(log.findConflictByTerm(index, term), { index: found, term: foundTerm });
  }
});

test('log: a committed entry is never replaced, and commit never goes beyond the log', () => {
  const log = new RaftLog(new MemoryLog(entriesOf([1, 1])), 2, 0);

  assert.throws(() => log.accept(ORIGIN, entriesOf([1, 2])), /would replace a committed one/);
  assert.throws(() => log.commitTo(3), /beyond last/);
  assert.equal(log.commitTo(1), false);
});

test('log: whatever is appended, conflicts and becomes durable, it reads as the plain array it stands for', () => {
  const step = fc.record({
    at: fc.nat(20),
    terms: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
    persist: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const stable = new MemoryLog();
      const log = new RaftLog(stable, 0, 0);
      let model = entriesOf([]);
      steps.forEach(({ at, terms, persist }, position) => {
        const keep = Math.min(at, model.length);
        const previous = model[keep - 1];
        // Terms never go back along a log; a later step brings later terms, as a later leader would.
        const floor = Math.max(previous?.term ?? 1, position * 4 + 1);
        const sorted = terms.map((term) => floor + term).sort((left, right) => left - right);
        const entries = entriesOf(sorted, keep + 1, previous?.chain ?? 0);
        log.accept(previous ?? ORIGIN, entries);
        model = [...model.slice(0, keep), ...entries];
        if (persist) {
          const next = log.unstable.next();
          log.unstable.acceptInProgress();
          const hardState = { term: 1, vote: null, commit: 0 };
          const receipt = { term: 1, last: null, resetIndex: 0 };
          stable.append({ reset: null, entries: next, chainBefore: 0, hardState, answers: [], receipt });
          log.unstable.stableTo(log.last);
        }
        assert.equal(log.lastIndex, model.length);
        assert.deepEqual(log.slice(1, model.length + 1, 1e9), model);
        for (const entry of model) assert.deepEqual(log.point(entry.index).chain, entry.chain);
      });
    }),
    { ...SEED, numRuns: 500 },
  );
});

test('a wounded log that knows its base by the state alone takes the chain there from the leader, and goes on', () => {
  const stable = new MemoryLog();
  stable.base = { index: 5, term: 2, chain: UNKNOWN_CHAIN };
  const hardState = { term: 2, vote: null, commit: 5 };
  const raft = new Raft({
    id: '1',
    log: stable,
    hardState,
    appliedIndex: 5,
    random: seededRandom(1),
  });
  const entries = entriesOf([2, 2], 6, 77);

  const previous = { index: 5, term: 2, chain: 77 };
  raft.step({ type: 'append', from: '2', to: '1', term: 2, previous, entries, commit: 6 });

  const { append } = raft.ready({ append: true, committedBytes: 1e9, committedEntries: 1e9 });
  assert.deepEqual([append?.reset?.point, append?.chainBefore, append?.entries], [previous, 77, entries]);
  assert.deepEqual(
    append?.answers.map((answer) => answer.type === 'append-answer' && [answer.isRejected, answer.index]),
    [[false, 7]],
  );
});
