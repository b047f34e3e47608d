import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_CONFIGURATION } from '../../src/raft/configuration.ts';
import { NO_HINT } from '../../src/raft/replication.ts';
import type { AppendWork, LogEntry, LogPoint, Message } from '../../src/raft/types.ts';
import { CoreNode, entriesOf, leaderOf, network, ORIGIN } from './core-node.ts';

function append(term: number, previous: LogPoint, entries: readonly LogEntry[], commit = 0, from = '2'): Message {
  return { type: 'append', from, to: '1', term, previous, entries, commit };
}

function pointOf(entry: LogEntry | undefined): LogPoint {
  assert(entry !== undefined);
  return { index: entry.index, term: entry.term, chain: entry.chain };
}

test('a late completion of a write of an older term does not mark as durable what was overwritten and put back', () => {
  const node = new CoreNode('1');
  const works: AppendWork[] = [];
  const take = (): void => {
    const { append: work } = node.ready();
    assert(work !== null);
    works.push(work);
  };
  const first = entriesOf([1, 1]);
  const other = entriesOf([1, 2]);

  // Entry 2 of term 1, replaced by one of term 2, and put back by a leader of term 3: three writes in flight.
  node.raft.step(append(1, ORIGIN, first));
  take();
  node.raft.step(append(2, pointOf(first[0]), other.slice(1), 0, '3'));
  take();
  node.raft.step(append(3, pointOf(first[0]), first.slice(1)));
  take();
  node.persist(works[0] as AppendWork);

  assert.equal(node.state.log.stableIndex, 0);
  const early = node.persist(works[1] as AppendWork);
  assert.equal(node.state.log.stableIndex, 0);
  assert(early.every((message) => message.term === 2));
  const late = node.persist(works[2] as AppendWork);
  assert.equal(node.state.log.stableIndex, 2);
  assert.deepEqual(
    late.map((message) => message.type === 'append-answer' && message.index),
    [2],
  );
});

test('a short append that arrives after a longer one cuts nothing', () => {
  const node = new CoreNode('1');
  const entries = entriesOf([1, 1, 1]);
  node.raft.step(append(1, ORIGIN, entries));
  node.flush();

  node.raft.step(append(1, ORIGIN, entries.slice(0, 1)));
  node.flush();

  assert.equal(node.state.log.lastIndex, 3);
});

test('a commit index is taken only as far as the log is known to match the leader’s', () => {
  const entries = entriesOf([1, 1, 1]);
  const node = new CoreNode('1', { entries });

  node.raft.step(append(2, pointOf(entries[0]), [], 3));
  node.flush();

  assert.equal(node.state.log.committed, 1);
});

test('an answer that counts as a vote waits for its write', () => {
  const node = new CoreNode('1');

  node.raft.step({ type: 'vote-request', from: '2', to: '1', term: 1, isPreVote: false, last: { index: 0, term: 0 } });
  const busy = node.ready(false);
  const ready = node.ready();

  assert.deepEqual(busy.messages, []);
  assert.equal(busy.append, null);
  assert.deepEqual(ready.messages, []);
  assert.deepEqual(ready.append?.hardState, { term: 1, vote: '2', commit: 0 });
  assert.equal(ready.append?.answers.length, 1);
});

test('a candidate does not lead before its own vote is durable, whatever the others say', () => {
  const node = new CoreNode('1', { voters: ['1', '2', '3', '4', '5'] });
  const grant = (isPreVote: boolean): void => {
    for (const from of ['2', '3', '4']) {
      node.raft.step({ type: 'vote-answer', from, to: '1', term: 1, isPreVote, isGranted: true });
    }
  };
  node.raft.campaign();
  node.flush();
  grant(true);
  const { append: work } = node.ready();
  assert(work !== null);

  grant(false);
  const early = node.state.role;
  node.persist(work);

  // After a crash it would not know of term 1, and could win it again with another log.
  assert.deepEqual([early, node.state.role], ['candidate', 'leader']);
});

test('entries of one message are bounded in number, too', () => {
  const leader = leaderOf({ limits: { appendEntriesMax: 2 } });
  leader.flush();
  const accept = (index: number): void =>
    leader.raft.step({ type: 'append-answer', from: '2', to: '1', term: 1, index, isRejected: false, hint: NO_HINT });
  accept(1);
  leader.raft.propose(['a', 'b', 'c', 'd', 'e'].map((text) => Buffer.from(text)));
  const sent = leader.flush();

  accept(3);
  sent.push(...leader.flush());

  const toSecond = sent.filter((message) => message.type === 'append' && message.to === '2');
  assert.deepEqual(
    toSecond.map((message) => message.type === 'append' && message.entries.length).filter((count) => count !== 0),
    [2, 2, 1],
  );
});

test('a vote is kept when a node steps down within its term', () => {
  const node = new CoreNode('1', { hardState: { term: 3, vote: '2' } });

  node.raft.step(append(3, ORIGIN, [], 0, '3'));

  assert.equal(node.state.vote, '2');
});

test('two leaders in one term, and a log that differs below a matching place, stop the node', () => {
  const entries = entriesOf([1]);
  const leader = leaderOf();
  const follower = new CoreNode('1', { entries });

  assert.throws(() => leader.raft.step(append(leader.state.term, ORIGIN, [])), /both lead term 1/);
  assert.throws(() => follower.raft.step(append(1, { ...pointOf(entries[0]), chain: 7 }, [])), /differs below 1/);
});

test('a leader whose own writes stay undurable for longer than an election timeout steps down; a lone voter waits', () => {
  const leader = leaderOf();
  const lone = new CoreNode('1', { voters: ['1'] });
  lone.raft.campaign();
  lone.flush();
  leader.flush();
  leader.raft.propose([Buffer.from('x')]);
  lone.raft.propose([Buffer.from('x')]);
  const keepAlive = (): void => {
    for (const from of ['2', '3']) leader.raft.step({ type: 'heartbeat-answer', from, to: '1', term: 1, position: 0 });
  };

  for (let tick = 0; tick < 6; tick += 1) {
    keepAlive();
    leader.tick(1);
  }
  assert.equal(leader.state.role, 'leader');
  keepAlive();
  leader.tick(1);
  lone.tick(100);

  assert.equal(leader.state.role, 'follower');
  assert.equal(lone.state.role, 'leader');
});

test('logs that diverge over many entries are repaired with about one probe per term', () => {
  const common = entriesOf([1]);
  const own = Array.from({ length: 3_000 }, (_, position) => 3 + 2 * Math.floor(position / 1_000));
  const theirs = Array.from({ length: 3_000 }, (_, position) => 2 + 2 * Math.floor(position / 1_000));
  const cluster = network(3, (id) => ({
    entries: [...common, ...entriesOf(id === '2' ? theirs : own, 2, common[0]?.chain)],
    hardState: { term: 9 },
  }));
  let rejections = 0;
  cluster.isDropped = (message) => {
    if (message.type === 'append-answer' && message.isRejected) rejections += 1;
    return false;
  };

  for (let attempt = 0; attempt < 3 && cluster.node('1').state.role !== 'leader'; attempt += 1) {
    cluster.node('1').raft.campaign();
    cluster.settle();
  }

  assert.deepEqual(cluster.node('2').log.entries, cluster.node('1').log.entries);
  assert(rejections <= 5, `${rejections} probes`);
});

test('a window of appends that is lost as a whole is repaired by the next heartbeat', () => {
  const cluster = network(3, { limits: { inflightMessagesMax: 4 } });
  cluster.node('1').raft.campaign();
  cluster.settle();
  cluster.isDropped = (message) => message.to === '3';
  for (let count = 0; count < 20; count += 1) {
    cluster.node('1').raft.propose([Buffer.from(`${count}`)]);
    cluster.settle();
  }
  cluster.isDropped = () => false;

  cluster.node('1').tick(1);
  cluster.settle();

  assert.equal(cluster.node('3').state.log.committed, cluster.node('1').state.log.lastIndex);
});

test('a node that comes back from a partition does not depose a leader that is well', () => {
  const cluster = network(3);
  cluster.node('1').raft.campaign();
  cluster.settle();
  const term = cluster.node('1').state.term;
  cluster.isDropped = (message) => message.to === '3' || message.from === '3';
  for (let round = 0; round < 10; round += 1) {
    cluster.node('3').tickElection();
    cluster.node('1').tick(1);
    cluster.settle();
  }
  cluster.isDropped = () => false;

  cluster.node('3').tickElection();
  cluster.node('1').tick(1);
  cluster.settle();

  assert.equal(cluster.node('1').state.role, 'leader');
  assert.equal(cluster.node('3').state.term, term);
  assert.equal(cluster.node('3').state.leader, '1');
});

test('a divergent tail does not survive a snapshot', () => {
  const own = entriesOf([1, 1, 2, 2]);
  const node = new CoreNode('1', { entries: own });
  node.raft.step(append(5, ORIGIN, []));
  node.flush();
  const point = { index: 3, term: 4, chain: 99 };

  assert.equal(node.raft.beginInstall(point), true);
  node.raft.restored(point, NO_CONFIGURATION);
  const messages = node.flush();

  assert.deepEqual([node.log.base, node.log.entries], [point, []]);
  assert.deepEqual(messages, [
    { type: 'append-answer', from: '1', to: '2', term: 5, index: 3, isRejected: false, hint: NO_HINT },
  ]);
  assert.equal(node.raft.beginInstall(point), false);
});

test('a snapshot of a place that the log has leaves the log as it is', () => {
  const own = entriesOf([1, 1, 1]);
  const node = new CoreNode('1', { entries: own });

  assert.equal(node.raft.beginInstall(pointOf(own[1])), true);
  assert.equal(node.raft.campaign(), false);
  node.raft.restored(pointOf(own[1]), NO_CONFIGURATION);
  node.flush();

  assert.deepEqual(node.log.entries, own);
  assert.deepEqual([node.state.log.committed, node.state.log.applied], [2, 2]);
});
