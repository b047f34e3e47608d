import assert from 'node:assert/strict';
import test from 'node:test';
import type { ExecutorAnswer } from '../../src/executors/executor-message.ts';
import { ExecutorWorld } from './executor-world.ts';

/** Asks, and keeps the answers that come sooner or later. */
function ask(world: ExecutorWorld, type: 'drain' | 'leave'): ExecutorAnswer[] {
  const answers: ExecutorAnswer[] = [];
  world.actor.ask({ type }, 60_000, (outcome) => {
    if (outcome.type === 'answer') answers.push(outcome.answer);
  });
  world.advance(1);
  return answers;
}

function count(world: ExecutorWorld, type: string): number {
  return world.saidTypes().filter((said) => said === type).length;
}

function drainingWords(world: ExecutorWorld): unknown[] {
  return world.toLeader.flatMap(({ message }) => ('isDraining' in message ? [[message.type, message.isDraining]] : []));
}

test('a node that drains says so at once, in each heartbeat, and to each new leader', async () => {
  const world = await ExecutorWorld.welcomed();

  ask(world, 'drain');
  assert.deepEqual(drainingWords(world), [['heartbeat', true]]);
  world.advance(1_000);
  world.beacon('n2', 2);

  assert.deepEqual(drainingWords(world), [
    ['heartbeat', true],
    ['heartbeat', true],
    ['hello', true],
  ]);
});

test('leave is said again and again, to a new leader at once, until a leader says left', async () => {
  const world = await ExecutorWorld.welcomed();
  ask(world, 'drain');

  const answers = ask(world, 'leave');
  world.advance(450);
  assert.equal(count(world, 'leave'), 3);
  world.beacon('n2', 2);
  assert.deepEqual(world.toLeader.at(-1), {
    leader: 'n2',
    message: { type: 'leave', node: 'a1', boot: 1, session: 10 },
  });
  assert.deepEqual(answers, []);
  world.send({ type: 'left', boot: 1, session: 10 });
  world.advance(0);

  assert.deepEqual(answers, [{ type: 'left', isConfirmed: true }]);
});

test('once it has left it says nothing of itself any more, and another leave is answered at once', async () => {
  const world = await ExecutorWorld.welcomed();
  ask(world, 'drain');
  ask(world, 'leave');
  world.send({ type: 'left', boot: 1, session: 10 });
  world.toLeader.length = 0;

  world.advance(3_000);
  world.beacon('n2', 2);

  assert.deepEqual(world.saidTypes(), []);
  assert.deepEqual(ask(world, 'leave'), [{ type: 'left', isConfirmed: true }]);
});

test('without an answer it stops waiting after 1.5 s', async () => {
  const world = await ExecutorWorld.welcomed();
  ask(world, 'drain');

  const answers = ask(world, 'leave');
  world.advance(1_300);
  assert.deepEqual(answers, []);
  world.advance(400);

  assert.deepEqual(answers, [{ type: 'left', isConfirmed: false }]);
  const said = count(world, 'leave');
  world.advance(2_000);
  assert.equal(count(world, 'leave'), said);
});

test('the answer for another session or boot is not for this one', async () => {
  const world = await ExecutorWorld.welcomed();
  ask(world, 'drain');
  const answers = ask(world, 'leave');

  world.send({ type: 'left', boot: 1, session: 9 });
  world.send({ type: 'left', boot: 2, session: 10 });
  world.advance(0);

  assert.deepEqual(answers, []);
});

test('a node that no leader knows leaves at once', async () => {
  const world = await ExecutorWorld.start();
  ask(world, 'drain');

  assert.deepEqual(ask(world, 'leave'), [{ type: 'left', isConfirmed: false }]);
});

test('a node that drains before it has asked for a session leaves at once, though a leader is known', async () => {
  const world = await ExecutorWorld.start();
  ask(world, 'drain');
  world.beacon('n2', 1);

  assert.deepEqual(ask(world, 'leave'), [{ type: 'left', isConfirmed: false }]);
});

test('a session that is opened meanwhile is left too', async () => {
  const world = await ExecutorWorld.start();
  world.beacon();
  ask(world, 'drain');
  ask(world, 'leave');
  assert.equal(count(world, 'leave'), 0);

  world.welcome(10);

  assert.deepEqual(world.toLeader.at(-1)?.message, { type: 'leave', node: 'a1', boot: 1, session: 10 });
});

test('leave is not said while a result is owed, or before the node drains', async () => {
  const world = await ExecutorWorld.welcomed();
  const early = ask(world, 'leave');
  world.advance(2_000);
  assert.deepEqual([count(world, 'leave'), early], [0, [{ type: 'left', isConfirmed: false }]]);
  world.execute(world.item('e1'));
  world.advance(10);
  ask(world, 'drain');

  ask(world, 'leave');
  world.end('e1');
  world.advance(250);
  assert.equal(count(world, 'leave'), 0, 'e1 has ended, and nobody knows');
  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.advance(250);

  assert.ok(count(world, 'leave') > 0);
});

test('leave is said once a server holds the full output: a second copy is not waited for', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(10);
  world.end('e1', { output: Buffer.alloc(5_000, 'x') });
  world.send({ type: 'acknowledge', executions: ['e1'] });
  ask(world, 'drain');

  ask(world, 'leave');
  assert.equal(count(world, 'leave'), 0, 'nobody has the output');
  world.send({ type: 'output-stored', execution: 'e1', server: 's1' });
  world.advance(250);

  assert.equal(count(world, 'leave') > 0, true);
  assert.equal(world.state().outbox, 1);
});
