/** Membership, reads and wounds through the raft actor: what a server's other actors see of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogStore } from '../../src/raft/log-store.ts';
import type { RaftAnswer, RaftStatus } from '../../src/raft/raft-protocol.ts';
import { type Node, World, type WorldOptions } from './world.ts';

async function started(options: WorldOptions): Promise<World> {
  return new World(options).start();
}

function votersOf(node: Node): readonly string[] {
  return node.configuration?.configuration.voters ?? [];
}

function isSettled(node: Node, voters: readonly string[]): boolean {
  const { configuration, isCommitted } = node.configuration ?? { configuration: null, isCommitted: false };
  if (configuration === null || !isCommitted || configuration.outgoing.length > 0) return false;
  return configuration.voters.join() === voters.join();
}

function follower(world: World): Node {
  const found = world.nodes.find((node) => node.isUp && node !== world.leader && node.role?.leader !== null);
  assert(found !== undefined);
  return found;
}

function indexOf(answer: RaftAnswer | undefined): number {
  assert(answer?.type === 'read', `no read: ${JSON.stringify(answer)}`);
  return answer.index;
}

test('the configuration is told at the start, at each change, and when it is committed', async () => {
  const world = await started({ voters: 1 });
  world.advance(1);

  const { configuration } = world.node(1);

  assert.deepEqual(configuration, {
    type: 'configuration',
    configuration: { voters: ['n1'], outgoing: [], learners: [] },
    index: 1,
    isCommitted: true,
  });
});

test('a server that joins knows nobody, and is a voter a few ticks after it was added', async () => {
  const world = await started({ voters: 3, joiners: 1, writeDelayMsMax: 2 });
  const leader = world.electLeader();
  leader.propose('before');
  world.advance(50);
  const joiner = world.node(4);
  assert.deepEqual([votersOf(joiner), joiner.role?.role], [[], 'follower']);

  const box = leader.configure({ type: 'add', node: 'n4', becomesVoter: true, replaces: null });
  world.advance(400);

  assert.equal(box.answer?.type, 'configured');
  assert(isSettled(joiner, ['n1', 'n2', 'n3', 'n4']));
  assert.deepEqual(joiner.state.commands, ['before']);
  assert.deepEqual(
    leader.status().peers.map(({ node, state, isActive, isWounded }) => ({ node, state, isActive, isWounded })),
    ['n1', 'n2', 'n3', 'n4']
      .filter((node) => node !== leader.name)
      .map((node) => ({ node, state: 'replicate', isActive: true, isWounded: false })),
  );
});

test('who joins a cluster whose first entries are compacted learns who votes, and keeps it over a crash', async () => {
  const world = await started({ voters: 3, joiners: 1, actor: { keepEntries: 4, logBytesMax: 1 } });
  const leader = world.electLeader();
  for (let count = 0; count < 60; count += 1) {
    leader.propose(`command ${count}`);
    world.advance(10);
  }
  world.advanceUntil(() => leader.status().firstIndex > 20, 'the log is compacted');
  const joiner = world.node(4);

  leader.configure({ type: 'add', node: 'n4', becomesVoter: false, replaces: null });
  world.advanceUntil(() => joiner.installs > 0 && votersOf(joiner).length === 3, 'the state arrives');
  joiner.crash();
  await joiner.start();
  world.advance(50);

  assert.deepEqual(votersOf(joiner), ['n1', 'n2', 'n3']);
  leader.propose('last');
  world.advanceUntil(() => joiner.state.commands.includes('last'), 'it follows');
});

test('a server takes the place of the leader, which ends as a server outside', async () => {
  const world = await started({ voters: 3, joiners: 1 });
  const leader = world.electLeader();

  leader.configure({ type: 'add', node: 'n4', becomesVoter: true, replaces: leader.name });
  world.advanceUntil(() => world.leader !== undefined && world.leader !== leader, 'another leads');
  world.leader?.propose('after');
  world.advance(200);
  const voters = ['n1', 'n2', 'n3', 'n4'].filter((name) => name !== leader.name);
  const terms = world.leaders.size;
  world.advance(10_000);

  assert(world.nodes.every((node) => isSettled(node, voters)));
  assert(world.nodes.every((node) => node === leader || node.state.commands.includes('after')));
  assert.equal(world.leaders.size, terms, 'elections went on');
});

test('a change is refused with a reason: not the leader, under way, impossible', async () => {
  const world = await started({ voters: 3 });
  const leader = world.electLeader();
  const other = follower(world);
  world.advance(200);

  const elsewhere = other.configure({ type: 'remove', node: 'n1' });
  const first = leader.configure({ type: 'remove', node: other.name });
  const second = leader.configure({ type: 'remove', node: leader.name });
  world.settle();
  const wrong = leader.configure({ type: 'promote', node: 'n9' });
  world.advance(300);
  const later = leader.configure({ type: 'promote', node: 'n9' });
  world.settle();

  assert(elsewhere.answer?.type === 'configure-refused');
  assert.deepEqual([elsewhere.answer.code, elsewhere.answer.leader], ['not-leader', leader.name]);
  assert.equal(first.answer?.type, 'configured');
  assert(second.answer?.type === 'configure-refused' && wrong.answer?.type === 'configure-refused');
  assert.equal(second.answer.code, 'conflict');
  assert(later.answer?.type === 'configure-refused');
  assert.equal(later.answer.code, 'invalid');
  assert.match(later.answer.message, /n9 is no learner: add it first/);
});

test('a read is answered by any server, without a tick and without a write', async () => {
  const world = await started({ voters: 3 });
  const leader = world.electLeader();
  leader.propose('x');
  world.advance(250);
  const before = world.clock.monotonic();
  const applied = world.history.size;

  const boxes = world.nodes.flatMap((node) => [node.read(), node.read()]);
  world.advance(0);

  assert.equal(world.clock.monotonic(), before);
  for (const { answer } of boxes) assert.equal(indexOf(answer), applied);
  assert.equal(leader.status().lastIndex, applied);
});

test('many reads of one turn make one round', async () => {
  const world = await started({ voters: 3 });
  const leader = world.electLeader();
  world.advance(250);
  world.settle();
  const { frames } = world;

  const boxes = Array.from({ length: 1_000 }, () => leader.read());
  world.advance(0);

  assert(boxes.every(({ answer }) => answer?.type === 'read'));
  // A heartbeat to each of two, and an answer of each.
  assert.equal(world.frames - frames, 4);
});

test('a follower’s read that gets lost is asked again at the next tick', async () => {
  const world = await started({ voters: 3 });
  world.electLeader();
  world.advance(250);
  const other = follower(world);

  world.cut.add(other.name);
  const box = other.read();
  world.advance(1);
  world.cut.delete(other.name);
  world.advance(210);

  assert.equal(box.answer?.type, 'read');
});

test('a read on a leader that is cut off is refused once it has given up, and within an election timeout', async () => {
  const world = await started({ voters: 3 });
  const leader = world.electLeader();
  world.advance(250);

  world.cut.add(leader.name);
  const box = leader.read();
  world.advance(500);
  const early = box.answer;
  world.advance(200);

  assert.equal(early, undefined);
  assert.deepEqual(box.answer?.type === 'read-refused' && box.answer.code, 'no-leader');
});

test('where nobody leads a read is refused at once', async () => {
  const world = await started({ voters: 3 });

  const box = world.node(1).read();
  world.settle();

  assert.deepEqual(box.answer, { type: 'read-refused', code: 'no-leader', leader: null });
});

test('leadership is handed to the server that is named, and not to one that does not vote', async () => {
  const world = await started({ voters: 3, joiners: 1 });
  const leader = world.electLeader();
  leader.configure({ type: 'add', node: 'n4', becomesVoter: false, replaces: null });
  world.advance(250);
  const named = world.nodes.filter((node) => node !== leader && node.name !== 'n4').at(-1) as Node;

  const wrong = leader.ask({ type: 'transfer', to: 'n4' });
  world.settle();
  const right = leader.ask({ type: 'transfer', to: named.name });
  world.advance(50);

  assert.deepEqual(wrong.answer, { type: 'transferred', leader: null });
  assert.deepEqual(right.answer, { type: 'transferred', leader: named.name });
  assert.equal(world.leader, named);
});

/** The store says that the log has lost entries, until it was told to heal. */
function wounded(heals: { count: number }): (store: LogStore) => void {
  return (store) => {
    let isWounded = true;
    Object.defineProperty(store, 'isWounded', { get: () => isWounded });
    store.heal = (done) => {
      heals.count += 1;
      isWounded = false;
      done(null);
    };
  };
}

test('a wounded server votes for nobody until its log has all again, and then says so durably', async () => {
  const world = await started({ voters: 3 });
  const leader = world.electLeader();
  leader.propose('x');
  world.advance(250);
  const hurt = follower(world);
  const other = world.nodes.find((node) => node !== leader && node !== hurt) as Node;
  const heals = { count: 0 };
  hurt.crash();
  other.crash();
  leader.crash();
  hurt.onOpen = wounded(heals);

  // With its vote there would be a majority.
  await hurt.start();
  await other.start();
  world.advance(5_000);
  const status: RaftStatus = hurt.status();
  assert.deepEqual([status.isWounded, world.leader, heals.count], [true, undefined, 0]);

  await leader.start();
  world.electLeader();
  world.advanceUntil(() => heals.count === 1, 'it heals');
  world.advance(250);

  assert.equal(hurt.status().isWounded, false);
  assert(world.leader?.status().peers.every(({ isWounded }) => !isWounded));
  // Now its vote counts.
  leader.crash();
  world.advanceUntil(() => world.leader !== undefined, 'two of three are enough');
});
