import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProposeAnswer } from '../../src/raft/raft-protocol.ts';
import { World } from './world.ts';

test('a lone voter leads at once and commits as soon as its own write is durable, with no tick between', async () => {
  const world = await new World({ voters: 1 }).start();
  world.advance(1);
  const node = world.node(1);
  assert.equal(node.role?.isReady, true);
  const before = world.clock.monotonic();

  const boxes = Array.from({ length: 100 }, (_, position) => node.propose(`command ${position}`));
  world.advance(0);

  assert.equal(world.clock.monotonic(), before);
  assert.deepEqual(
    boxes.map(({ answer }) => answer?.type),
    Array.from({ length: 100 }, () => 'accepted'),
  );
  const indexes = boxes.map(({ answer }) => (answer?.type === 'accepted' ? answer.index : 0));
  assert.deepEqual(
    indexes,
    indexes.map((_, position) => (indexes[0] ?? 0) + position),
  );
  assert.equal(node.state.commands.length, 100);
});

test('proposals of one turn, and those that come while a write is in flight, make one write each', async () => {
  const world = await new World({ voters: 1, writeDelayMsMax: 5 }).start();
  world.electLeader();
  const node = world.node(1);
  let writes = 0;
  const store = node.store;
  assert(store !== undefined);
  const append = store.append.bind(store);
  store.append = (work, done) => {
    writes += 1;
    append(work, done);
  };

  for (let count = 0; count < 50; count += 1) node.propose('first');
  world.settle();
  for (let count = 0; count < 50; count += 1) node.propose('second');
  world.advance(20);

  assert.equal(writes, 2);
  assert.equal(node.state.commands.length, 100);
});

test('three voters elect a leader, replicate, and go on after the leader is gone', async () => {
  const world = await new World({ voters: 3, writeDelayMsMax: 2 }).start();
  const first = world.electLeader();

  first.propose('one');
  world.advanceUntil(() => world.nodes.every((node) => node.state.commands.includes('one')), 'everybody has one');
  first.crash();
  world.advanceUntil(() => world.leader !== undefined && world.leader !== first, 'another leader');
  world.leader?.propose('two');
  world.advanceUntil(
    () => world.nodes.filter((node) => node.state.commands.length === 2).length === 2,
    'two have both',
  );
  await first.start();
  world.advanceUntil(() => first.state.commands.length === 2, 'the old leader has caught up');

  for (const node of world.nodes) assert.deepEqual(node.state.commands, ['one', 'two']);
});

test('a follower refuses a proposal and says who leads; without a leader nobody is named', async () => {
  const world = await new World({ voters: 3 }).start();
  const before = world.node(1).propose('early');
  world.settle();
  const leader = world.electLeader();
  const follower = world.nodes.find((node) => node !== leader);
  world.advance(200);

  const after = follower?.propose('late');
  world.settle();

  assert.deepEqual(before.answer, { type: 'refused', code: 'no-leader', leader: null });
  assert.deepEqual(after?.answer, { type: 'refused', code: 'not-leader', leader: leader.name });
});

test('proposals beyond the room are refused; internal commands still find some', async () => {
  const world = await new World({ voters: 3, actor: { limits: { uncommittedBytesMax: 4_000 } } }).start();
  const leader = world.electLeader();
  for (const node of world.nodes) if (node !== leader) world.cut.add(node.name);

  const clients = Array.from({ length: 20 }, () => leader.propose('x'.repeat(200)));
  const internal = leader.ask({ type: 'propose', data: Buffer.alloc(200), class: 'internal' });
  const huge = leader.ask({ type: 'propose', data: Buffer.alloc(600 * 1024), class: 'internal' });
  world.advance(50);

  const codes = clients.map(({ answer }) => (answer as ProposeAnswer).type);
  assert.equal(codes.filter((type) => type === 'accepted').length, 13);
  assert.deepEqual(clients[19]?.answer, { type: 'refused', code: 'overloaded', leader: leader.name });
  assert.equal(internal.answer?.type, 'accepted');
  assert.deepEqual(huge.answer, { type: 'refused', code: 'too-large', leader: leader.name });
});

test('a state machine that does not apply is not flooded', async () => {
  const world = await new World({ voters: 1 }).start();
  const node = world.electLeader();
  node.holdsApplied = true;

  for (let count = 0; count < 6_000; count += 1) {
    node.propose('x');
    if (count % 500 === 0) world.advance(0);
  }
  world.advance(50);
  const held = node.state.commands.length;
  node.holdsApplied = false;
  node.applied(node.state.meta.index);
  world.advance(50);

  assert.equal(held, 4_096);
  assert.equal(node.state.commands.length, 6_000);
});

test('a follower whose entries are compacted gets the state itself, over a lossy network', async () => {
  const network = { loss: 0.1, duplicate: 0.1, delayMsMax: 5 };
  const world = await new World({ voters: 3, network, actor: { keepEntries: 8, logBytesMax: 1 } }).start();
  const leader = world.electLeader();
  const lost = world.nodes.find((node) => node !== leader);
  assert(lost !== undefined);
  lost.crash();
  for (let count = 0; count < 200; count += 1) {
    world.leader?.propose(`command ${count}`);
    world.advance(10);
  }
  world.advanceUntil(() => (world.leader?.status().firstIndex ?? 0) > 100, 'the log is compacted');

  await lost.start();
  world.advanceUntil(() => lost.installs > 0, 'the state arrives');
  world.electLeader().propose('last');
  world.advanceUntil(() => lost.state.commands.includes('last'), 'normal replication goes on');

  assert.deepEqual(lost.state.commands, world.leader?.state.commands);
  lost.crash();
  await lost.start();
  world.advanceUntil(() => lost.state.commands.includes('last'), 'what was installed survives a restart');
});

test('a slow follower is served from disk where memory has let go', async () => {
  const world = new World({ voters: 3 });
  await world.start();
  const leader = world.electLeader();
  const lost = world.nodes.find((node) => node !== leader);
  assert(lost !== undefined);
  lost.crash();
  // 24 MiB, above the cache of 16 MiB.
  for (let count = 0; count < 96; count += 1) {
    leader.propose(`${count}`.padEnd(256 * 1024, '.'));
    world.advance(10);
  }
  assert.equal(leader.store?.slice(2, 3, 1), undefined);

  await lost.start();

  world.advanceUntil(() => lost.state.commands.length === 96, 'the follower has all');
  assert.equal(lost.installs, 0);
});

test('a leader whose disk hangs longer than an election timeout steps down, and another leads', async () => {
  const world = await new World({ voters: 3 }).start();
  const leader = world.electLeader();

  leader.database.freeze();
  leader.propose('stuck');
  world.advanceUntil(() => world.leader !== undefined && world.leader !== leader, 'another leader');

  assert.notEqual(leader.role?.role, 'leader');
  leader.database.thaw();
  world.leader?.propose('after');
  world.advanceUntil(() => leader.state.commands.includes('after'), 'the old leader follows');
});

test('the first storage error stops the process', async () => {
  const world = await new World({ voters: 1 }).start();
  const node = world.electLeader();

  node.database.fail('no space left');
  const box = node.propose('lost');
  world.advance(10);

  assert.equal(node.stops.length, 1);
  assert.match(String(node.stops[0]), /no space left/);
  assert.equal(node.state.commands.length, 0);
  assert.notEqual(box.answer?.type, 'refused');
});

test('role events tell each change once, and a leader is ready only after its no-op was handed on', async () => {
  const world = await new World({ voters: 1 }).start();
  world.advance(500);

  assert.deepEqual(world.node(1).roles, ['candidate@2', 'leader@2', 'leader@2 ready']);
});

test('a process that slept does not let all its timeouts fire at once', async () => {
  const world = await new World({ voters: 3 }).start();
  const leader = world.electLeader();
  const term = leader.role?.term;

  // All timers of ten seconds become due while nobody gets a turn.
  world.clock.advance(10_000);
  world.advance(1_000);

  assert.equal(world.leader?.role?.term, term);
});
