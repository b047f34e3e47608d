/** The core's side of a transfer; the names follow etcd's tests of the same. The shell's side is at the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '../../src/raft/types.ts';
import { type CoreNetwork, CoreNode, network } from './core-node.ts';
import { World } from './world.ts';

const T = 6;

/** Node 1 leads. */
function cluster(count = 3): CoreNetwork {
  const nodes = network(count);
  nodes.node('1').raft.campaign();
  nodes.settle();
  assert.equal(nodes.node('1').state.role, 'leader');
  return nodes;
}

function isolate(nodes: CoreNetwork, id: string): void {
  nodes.isDropped = (message) => message.from === id || message.to === id;
}

function propose(nodes: CoreNetwork, text: string, id = '1'): void {
  nodes.node(id).raft.propose([Buffer.from(text)]);
  nodes.settle();
}

function rolesOf(nodes: CoreNetwork): string[] {
  return [...nodes.nodes.values()].map(({ state }) => state.role);
}

test('leader transfer to an up-to-date node, and back, without a tick', () => {
  const nodes = cluster();

  assert.equal(nodes.node('1').raft.transfer('2'), true);
  nodes.settle();
  assert.deepEqual(rolesOf(nodes), ['follower', 'leader', 'follower']);
  propose(nodes, 'between', '2');
  nodes.node('2').raft.transfer('1');
  nodes.settle();

  assert.deepEqual(rolesOf(nodes), ['leader', 'follower', 'follower']);
  assert.equal(nodes.node('3').state.log.committed, nodes.node('1').state.log.lastIndex);
});

test('leader transfer with check quorum: voters that have just heard the leader vote for who it named', () => {
  const nodes = cluster();
  nodes.node('1').tick(1);
  nodes.settle();
  for (const id of ['2', '3']) assert.equal(nodes.node(id).state.electionElapsed, 0);

  nodes.node('1').raft.transfer('2');
  nodes.settle();

  assert.deepEqual(rolesOf(nodes), ['follower', 'leader', 'follower']);
  assert.equal(nodes.node('2').state.term, 2);
});

test('a vote request without the leader’s word is ignored within the lease, whatever its term', () => {
  const nodes = cluster();
  const request = { type: 'vote-request', from: '3', to: '2', term: 9, isPreVote: false } as const;

  nodes.node('2').raft.step({ ...request, last: { index: 99, term: 9 } });
  nodes.node('1').raft.step({ ...request, to: '1', last: { index: 99, term: 9 } });
  nodes.settle();

  assert.deepEqual(rolesOf(nodes), ['leader', 'follower', 'follower']);
});

test('leader transfer to a slow follower: it gets what it lacks first', () => {
  const nodes = cluster();
  isolate(nodes, '3');
  for (let count = 0; count < 5; count += 1) propose(nodes, `${count}`);
  nodes.isDropped = () => false;

  nodes.node('1').raft.transfer('3');
  nodes.node('1').tick(1);
  nodes.settle();

  assert.deepEqual(rolesOf(nodes), ['follower', 'follower', 'leader']);
});

test('leader transfer to itself, to an unknown node, from a follower, or with nobody else, does not begin', () => {
  const nodes = cluster();
  const lone = network(1);
  lone.node('1').raft.campaign();
  lone.settle();

  const answers = [
    nodes.node('1').raft.transfer('1'),
    nodes.node('1').raft.transfer('4'),
    nodes.node('2').raft.transfer('3'),
    lone.node('1').raft.transfer(),
  ];
  nodes.settle();

  assert.deepEqual(answers, [false, false, false, false]);
  assert.deepEqual(rolesOf(nodes), ['leader', 'follower', 'follower']);
});

test('leader transfer timeout: after an election timeout the leader takes proposals again', () => {
  const nodes = cluster();
  const leader = nodes.node('1');
  isolate(nodes, '3');

  leader.raft.transfer('3');
  leader.tick(T - 1);
  nodes.settle();
  assert.equal(leader.raft.isTransferring, true);
  leader.tick(1);
  nodes.settle();

  assert.equal(leader.raft.isTransferring, false);
  assert.equal(leader.state.role, 'leader');
  assert.equal(leader.raft.propose([Buffer.from('x')]).type, 'accepted');
});

test('leader transfer ignores proposals: they are refused as without a leader', () => {
  const nodes = cluster();
  const leader = nodes.node('1');
  isolate(nodes, '3');
  leader.raft.transfer('3');
  const { lastIndex } = leader.state.log;

  const result = leader.raft.propose([Buffer.from('x')]);

  assert.deepEqual(result, { type: 'refused', code: 'no-leader', leader: null });
  assert.equal(leader.state.log.lastIndex, lastIndex);
});

test('leader transfer receives a higher term vote: whoever wins ends it', () => {
  const nodes = cluster();
  isolate(nodes, '3');
  nodes.node('1').raft.transfer('3');
  // Nobody has heard the leader for a whole timeout.
  nodes.node('1').state.electionElapsed = T;
  nodes.node('2').state.electionElapsed = T;

  nodes.node('2').tickElection();
  nodes.settle();

  assert.deepEqual(rolesOf(nodes).slice(0, 2), ['follower', 'leader']);
  assert.equal(nodes.node('1').raft.isTransferring, false);
});

test('leader transfer second transfer to another node replaces the first', () => {
  const nodes = cluster();
  isolate(nodes, '3');
  nodes.node('1').raft.transfer('3');
  nodes.settle();

  nodes.node('1').raft.transfer('2');
  nodes.settle();

  assert.deepEqual(rolesOf(nodes).slice(0, 2), ['follower', 'leader']);
});

test('leader transfer second transfer to the same node does not prolong it', () => {
  const nodes = cluster();
  const leader = nodes.node('1');
  isolate(nodes, '3');
  leader.raft.transfer('3');
  leader.tick(3);
  nodes.settle();

  leader.raft.transfer('3');
  leader.raft.transfer();
  leader.tick(3);

  assert.equal(leader.raft.isTransferring, false);
});

test('a transfer without a target goes to the follower that is furthest; heard nobody, to the first that is', () => {
  const furthest = cluster(5);
  furthest.isDropped = ({ from, to }) => from === '2' || to === '2';
  propose(furthest, 'x');
  furthest.isDropped = () => false;
  const unheard = cluster();
  for (const progress of unheard.node('1').state.progress.values()) progress.isRecentlyActive = false;

  furthest.node('1').raft.transfer();
  unheard.node('1').raft.transfer();
  const targets = [furthest, unheard].map((nodes) => nodes.node('1').state.transfer?.target);
  unheard.node('1').tick(1);
  for (const nodes of [furthest, unheard]) nodes.settle();

  assert.deepEqual(targets, ['3', null]);
  assert.deepEqual(rolesOf(furthest).indexOf('leader'), 2);
  assert.deepEqual(rolesOf(unheard).indexOf('leader'), 1);
});

test('the word to stand for election may come twice, late, or to a node that cannot stand', () => {
  const word = (term: number): Message => ({ type: 'timeout-now', from: '2', to: '1', term });
  const twice = new CoreNode('1');
  const stale = new CoreNode('1', { hardState: { term: 3 } });
  const installing = new CoreNode('1');
  installing.raft.beginInstall({ index: 5, term: 1, chain: 7 });

  twice.raft.step(word(1));
  twice.raft.step(word(1));
  stale.raft.step(word(2));
  installing.raft.step(word(1));

  assert.deepEqual([twice.state.role, twice.state.term], ['candidate', 2]);
  assert.deepEqual([stale.state.role, stale.state.term], ['follower', 3]);
  assert.deepEqual([installing.state.role, installing.state.term], ['follower', 1]);
});

test('a transfer under load is done within two heartbeats, loses nothing, and is told to all who asked', async () => {
  const network = { loss: 0, duplicate: 0, delayMsMax: 3 };
  const world = await new World({ voters: 3, network, writeDelayMsMax: 4 }).start();
  const leader = world.electLeader();
  world.advance(300);
  const boxes = Array.from({ length: 20 }, (_, position) => leader.propose(`${position}`));

  const asked = [leader.ask({ type: 'transfer' }), leader.ask({ type: 'transfer' })];
  const late = leader.propose('late');
  const startMs = world.clock.monotonic();
  world.advanceUntil(() => asked[0]?.answer !== undefined, 'the transfer is answered');
  const tookMs = world.clock.monotonic() - startMs;
  world.advanceUntil(() => world.leader !== undefined, 'a ready leader');

  assert(tookMs <= 200, `took ${tookMs} ms`);
  const { name } = world.electLeader();
  assert.notEqual(name, leader.name);
  for (const { answer } of asked) assert.deepEqual(answer, { type: 'transferred', leader: name });
  assert.deepEqual(late.answer, { type: 'refused', code: 'no-leader', leader: null });
  world.advance(100);
  assert(boxes.every(({ answer }) => answer?.type === 'accepted'));
  for (const node of world.nodes) assert.equal(node.state.commands.length, 20);
});

test('a transfer that nobody takes is answered after one election timeout, and the leader works on', async () => {
  const world = await new World({ voters: 3 }).start();
  const leader = world.electLeader();
  world.advance(300);
  // Both are level: the first by name is chosen, and is cut off in this moment.
  const chosen = world.nodes.find((node) => node !== leader);
  world.cut.add(chosen?.name ?? '');

  const asked = leader.ask({ type: 'transfer' });
  world.advance(400);
  const early = asked.answer;
  world.advance(250);
  const after = leader.propose('after');
  world.advance(50);

  assert.equal(early, undefined);
  assert.deepEqual(asked.answer, { type: 'transferred', leader: null });
  assert.equal(world.leader, leader);
  assert.equal(after.answer?.type, 'accepted');
});

test('a transfer is answered at once by who does not lead, and by who is alone', async () => {
  const world = await new World({ voters: 3 }).start();
  const lone = await new World({ voters: 1 }).start();
  const leader = world.electLeader();
  world.advance(200);
  const before = world.nodes.find((node) => node !== leader)?.ask({ type: 'transfer' });
  const alone = lone.electLeader().ask({ type: 'transfer' });
  for (const one of [world, lone]) one.settle();

  assert.deepEqual(before?.answer, { type: 'transferred', leader: leader.name });
  assert.deepEqual(alone.answer, { type: 'transferred', leader: null });
});
