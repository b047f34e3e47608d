import assert from 'node:assert/strict';
import test from 'node:test';
import { ExecutorWorld } from './executor-world.ts';

test('nothing starts beyond the lease, and after a lapse only once the session is confirmed', async () => {
  const world = await ExecutorWorld.welcomed();
  world.advance(5_001);

  world.execute(world.item('e1'));
  world.advance(10);
  assert.deepEqual(world.startedIds(), []);
  world.beacon();
  world.advance(10);
  assert.deepEqual(world.startedIds(), [], 'the session may have been declared lost meanwhile');
  assert.ok(world.saidTypes().includes('hello'));
  world.welcome(10);
  world.advance(10);

  assert.deepEqual(world.startedIds(), ['e1']);
});

test('the lease counts from when the node sent what is answered, whatever the answer took', async () => {
  const world = await ExecutorWorld.welcomed();
  world.advance(4_000);
  const sentAtMs = world.clock.monotonic();
  world.advance(3_000);
  assert.equal(world.state().mayStart, false);

  world.welcome(10, 'n1', sentAtMs);
  assert.equal(world.state().mayStart, true);
  world.welcome(10, 'n1', sentAtMs - 1_000);
  world.advance(2_000);
  assert.equal(world.state().mayStart, true, 'an older answer takes nothing back');
  world.advance(1);

  assert.equal(world.state().mayStart, false);
});

test('hello and heartbeat say when they were sent, and a change of leader ends no lease', async () => {
  const world = await ExecutorWorld.welcomed();
  world.advance(1_500);

  world.beacon('n2', 2);

  const sent = world.toLeader.map(({ message }) => [message.type, 'sentAtMs' in message ? message.sentAtMs : null]);
  assert.deepEqual(sent, [
    ['heartbeat', 1_000],
    ['hello', 1_500],
  ]);
  assert.equal(world.state().mayStart, true);
});

test('the answer of a leader that the node has left extends no lease', async () => {
  const world = await ExecutorWorld.welcomed();
  world.advance(1_000);
  world.beacon('n2', 2);

  world.welcome(10, 'n1');
  world.advance(4_001);

  assert.equal(world.state().mayStart, false);
});

test('the lease is asked again after the mark was written', async () => {
  const world = await ExecutorWorld.welcomed();
  world.writeDelayMs = 6_000;

  world.execute(world.item('e1'));
  world.advance(6_500);
  assert.deepEqual(world.startedIds(), []);
  world.writeDelayMs = 1;
  world.beacon();
  world.welcome(10);
  world.advance(12_000);

  assert.deepEqual(world.startedIds(), []);
  world.beacon();
  world.welcome(10);
  world.advance(10);
  assert.deepEqual(world.startedIds(), ['e1']);
});

test('startBy is asked again after the mark was written, and the mark goes', async () => {
  const world = await ExecutorWorld.welcomed();
  world.writeDelayMs = 100;

  world.execute(world.item('e1', { startByMs: world.clock.now() + 50 }));
  world.advance(300);

  assert.deepEqual(world.startedIds(), []);
  assert.equal(world.finishes()[0]?.reason, 'start-by');
  assert.equal(world.rows(), 1, 'the finish, no mark');
});

test('a new session drops unstarted work of the old one and leaves what runs', async () => {
  const world = await ExecutorWorld.welcomed({ slots: 1 });
  world.execute(world.item('runs'), world.item('waits'));
  world.advance(1);

  world.welcome(20);
  world.end('runs');
  world.advance(10);

  assert.deepEqual(world.startedIds(), ['runs']);
  assert.deepEqual(
    world.finishes().map((finish) => [finish.execution, finish.outcome, finish.reason]),
    [
      ['waits', 'refused', 'session'],
      ['runs', 'succeeded', ''],
    ],
  );
});

test('an old welcome changes nothing', async () => {
  const world = await ExecutorWorld.welcomed();

  world.welcome(9);
  world.send({ type: 'welcome', leader: 'n1', boot: 7, session: 99, echoMs: 0 });

  assert.equal(world.state().session, 10);
});

test('the beacon of an older term is ignored', async () => {
  const world = await ExecutorWorld.welcomed();
  world.beacon('n2', 5);

  world.beacon('n1', 4);

  assert.equal(world.state().leader, 'n2');
});
