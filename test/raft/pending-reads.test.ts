import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PendingReads } from '../../src/raft/pending-reads.ts';
import type { ReadAnswer } from '../../src/raft/raft-protocol.ts';
import { ReadQueue } from '../../src/raft/read-queue.ts';
import { CoreNode, leaderOf } from './core-node.ts';

/** Node 1 follows node 2. */
function follower(): CoreNode {
  const node = new CoreNode('1', { hardState: { term: 1 } });
  node.raft.step({ type: 'heartbeat', from: '2', to: '1', term: 1, commit: 0, position: 0 });
  node.flush();
  return node;
}

test('reads beyond the bound are refused as overloaded, and each answer makes room', () => {
  const node = follower();
  const reads = new PendingReads(node.raft, 600);
  const answers: ReadAnswer[] = [];

  for (let count = 0; count < 50_001; count += 1) reads.add((answer) => answers.push(answer));
  const early = [...answers];
  reads.begin(0);
  reads.answer({ id: 1, index: 7 });
  reads.add((answer) => answers.push(answer));

  assert.deepEqual(early, [{ type: 'read-refused', code: 'overloaded', leader: '2' }]);
  assert.equal(answers.filter(({ type }) => type === 'read').length, 50_000);
  assert.equal(answers.length, 50_001);
});

test('a forwarded read is repeated each tick with its id, and refused after its time', () => {
  const node = follower();
  const reads = new PendingReads(node.raft, 600);
  const answers: ReadAnswer[] = [];
  reads.add((answer) => answers.push(answer));

  reads.begin(0);
  for (const nowMs of [100, 500]) reads.tick(nowMs);
  const asked = node.flush().filter((message) => message.type === 'read-request');
  const early = answers.length;
  reads.tick(600);
  reads.answer({ id: 1, index: 7 });

  assert.deepEqual(
    asked.map((message) => message.type === 'read-request' && message.id),
    [1, 1, 1],
  );
  assert.equal(early, 0);
  assert.deepEqual(answers, [{ type: 'read-refused', code: 'no-leader', leader: '2' }]);
});

test('a read of the leader itself is asked once: nothing of it can get lost', () => {
  const node = leaderOf();
  const reads = new PendingReads(node.raft, 600);
  reads.add(() => {});
  reads.begin(0);
  node.flush();

  reads.tick(100);

  assert.equal(node.state.readQueue.isDue, true);
  node.state.readQueue.begin(0);
  assert.equal(node.state.readQueue.round?.asks.length, 1);
});

test('the queue of a leader refuses beyond its bound, and gives up all at once', () => {
  const queue = new ReadQueue();
  for (let id = 0; id < 4_096; id += 1) assert(queue.add({ node: '2', id }));

  assert.equal(queue.add({ node: '2', id: 4_096 }), false);
  queue.begin(3);
  assert(queue.add({ node: '2', id: 4_097 }));
  assert.equal(queue.confirm(0), null);
  assert.equal(queue.takeAll().length, 4_097);
  assert.equal(queue.confirm(1), null);
});
