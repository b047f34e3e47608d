import assert from 'node:assert/strict';
import test from 'node:test';
import type { ExecutorAnswer } from '../../src/executors/executor-message.ts';
import { OUTBOX_LIMITS } from '../../src/executors/outbox.ts';
import type { ExecuteItem } from '../../src/executors/protocol.ts';
import { ExecutorWorld } from './executor-world.ts';

test('a beacon of a leader that has not welcomed this boot is answered with hello, a known one is not', async () => {
  const world = await ExecutorWorld.start();

  world.beacon();
  world.welcome(10);
  world.beacon();

  assert.deepEqual(world.saidTypes(), ['hello']);
  assert.equal(world.state().session, 10);
});

test('a heartbeat names session, running and outbox each second', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);

  world.advance(999);

  const heartbeat = world.toLeader.find(({ message }) => message.type === 'heartbeat');
  assert.deepEqual(heartbeat, {
    leader: 'n1',
    message: {
      type: 'heartbeat',
      node: 'a1',
      boot: 1,
      session: 10,
      running: 1,
      outbox: 0,
      isDraining: false,
      sentAtMs: 1_000,
      wallMs: world.clock.now(),
    },
  });
});

test('an attempt starts only once its mark is durable, and its result is said at once', async () => {
  const world = await ExecutorWorld.welcomed();

  world.execute(world.item('e1'));
  assert.deepEqual(world.startedIds(), []);
  world.advance(1);
  assert.deepEqual(world.startedIds(), ['e1']);
  world.end('e1', { output: Buffer.from('hello'), exitCode: 0 });

  const [finish] = world.finishes();
  assert.equal(finish?.outcome, 'succeeded');
  assert.equal(finish?.outputTail, 'hello');
  assert.equal(finish?.storedBytes, 0);
  assert.equal(finish?.startedAtMs, world.clock.now());
});

test('an acknowledged finish leaves no row behind', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);
  world.end('e1');
  world.advance(1);
  assert.equal(world.rows(), 1);

  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.advance(200);

  assert.equal(world.rows(), 0);
  assert.equal(world.state().outbox, 0);
});

test('a finish that is acknowledged while another batch is written is never written', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);
  world.writeDelayMs = 50;
  world.execute(world.item('e2'));
  world.end('e1');

  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.advance(50);

  world.database.crash(() => 1, 'prefix');
  assert.equal(world.rows(), 1, 'the mark of e2 alone');
});

test('the same execute twice starts once, and after its end is answered with its finish', async () => {
  const world = await ExecutorWorld.welcomed();
  const item = world.item('e1');

  world.execute(item, item);
  world.advance(1);
  world.execute(item);
  world.end('e1');
  world.toLeader.length = 0;
  world.execute(item);
  world.advance(1);

  assert.deepEqual(world.startedIds(), ['e1']);
  assert.deepEqual(
    world.finishes().map((finish) => finish.outcome),
    ['succeeded'],
  );
});

test('an execute that comes after its acknowledgement starts nothing', async () => {
  const world = await ExecutorWorld.welcomed();
  const item = world.item('e1');
  world.execute(item);
  world.advance(1);
  world.end('e1');
  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.toLeader.length = 0;

  world.execute(item);
  world.advance(10);

  assert.deepEqual(world.startedIds(), ['e1']);
  assert.deepEqual(world.finishes(), []);
});

const refusals: readonly { why: string; change: (world: ExecutorWorld) => Partial<ExecuteItem>; reason: string }[] = [
  { why: 'another session', change: () => ({ session: 9 }), reason: 'session' },
  { why: 'a session that is not heard of yet', change: () => ({ session: 11 }), reason: 'session' },
  { why: 'a startBy in the past', change: (world) => ({ startByMs: world.clock.now() - 1 }), reason: 'start-by' },
];
for (const { why, change, reason } of refusals) {
  test(`an execute with ${why} is refused: ${reason}`, async () => {
    const world = await ExecutorWorld.welcomed();

    world.execute(world.item('e1', change(world)));
    world.advance(10);

    assert.deepEqual(world.startedIds(), []);
    const [finish] = world.finishes();
    assert.deepEqual([finish?.outcome, finish?.reason, finish?.startedAtMs], ['refused', reason, null]);
  });
}

test('an unknown executor is a failed finish that says so', async () => {
  const world = await ExecutorWorld.welcomed();

  world.execute(world.item('e1', { executor: 'kafka' }));

  const [finish] = world.finishes();
  assert.equal(finish?.outcome, 'failed');
  assert.equal(finish?.outputTail, "executor 'kafka' is not available on node agent-one");
});

test('what exceeds the slots waits in order, what exceeds the queue is refused', async () => {
  const world = await ExecutorWorld.welcomed({ slots: 1, queueMax: 1 });

  world.execute(world.item('e1'), world.item('e2'), world.item('e3'));
  world.advance(1);
  assert.deepEqual(world.startedIds(), ['e1']);
  assert.deepEqual(
    world.finishes().map((finish) => [finish.execution, finish.reason]),
    [['e3', 'no-slot']],
  );
  world.end('e1');
  world.advance(2);

  assert.deepEqual(world.startedIds(), ['e1', 'e2']);
});

test('an execute with notBefore waits for its time', async () => {
  const world = await ExecutorWorld.welcomed();
  const nowMs = world.clock.now();

  world.execute(world.item('late', { notBeforeMs: nowMs + 300 }), world.item('early', { notBeforeMs: nowMs + 100 }));
  world.advance(99);
  assert.deepEqual(world.startedIds(), []);
  world.advance(2);
  assert.deepEqual(world.startedIds(), ['early']);
  world.advance(200);

  assert.deepEqual(world.startedIds(), ['early', 'late']);
});

test('what waits for a slot beyond its startBy is refused', async () => {
  const world = await ExecutorWorld.welcomed({ slots: 1 });
  world.execute(world.item('e1'), world.item('e2', { startByMs: world.clock.now() + 1_500 }));

  world.advance(2_000);

  assert.deepEqual(
    world.finishes().map((finish) => [finish.execution, finish.reason]),
    [['e2', 'start-by']],
  );
});

test('a node that hears beacons and is not heard itself starts nothing once its session may be closed', async () => {
  const world = await ExecutorWorld.welcomed();
  world.writeDelayMs = 8_000;

  world.execute(world.item('e1'));
  for (let half = 0; half < 18; half += 1) {
    world.advance(500);
    world.beacon();
  }
  assert.deepEqual(world.startedIds(), [], 'its mark was written a second after lease and margin were over');
  world.writeDelayMs = 1;
  world.welcome(20);
  world.advance(8_000);

  assert.deepEqual(world.startedIds(), []);
  assert.equal(world.finishes()[0]?.reason, 'session');
});

test('a finish is repeated with backoff until it is acknowledged, and at once to a new leader', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);
  world.end('e1');

  world.advance(8_000);
  assert.equal(world.finishes().length, 3, 'at 0, after 2 s and after 4 s more');
  world.toLeader.length = 0;
  world.beacon('n2', 2);
  assert.deepEqual(
    world.toLeader.map(({ leader, message }) => [leader, message.type]),
    [
      ['n2', 'hello'],
      ['n2', 'finish'],
    ],
  );
  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.toLeader.length = 0;
  world.advance(60_000);

  assert.deepEqual(world.finishes(), []);
});

test('finishes go in lists of at most 200', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(...Array.from({ length: 450 }, (_, index) => world.item(`e${index}`, { session: 1 })));

  const lengths = world.toLeader.map(({ message }) => (message.type === 'finish' ? message.finishes.length : 0));

  assert.deepEqual(lengths, [200, 200, 50]);
});

test('a full outbox refuses new work and takes it again after acknowledgements', async () => {
  const world = await ExecutorWorld.welcomed({ outboxLimits: { ...OUTBOX_LIMITS, entriesMax: 1 } });
  world.execute(world.item('e1'));
  world.advance(1);
  world.end('e1');

  world.execute(world.item('e2'));
  world.send({ type: 'acknowledge', executions: ['e1', 'e2'] });
  world.execute(world.item('e3'));
  world.advance(10);

  assert.deepEqual(world.startedIds(), ['e1', 'e3']);
  assert.equal(world.finishes().find((finish) => finish.execution === 'e2')?.reason, 'outbox-full');
});

test('after a restart a started attempt without result is lost, with the time it started', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);
  const startedAtMs = world.clock.now() - 1;

  await world.restart();
  world.beacon();

  const [finish] = world.finishes();
  assert.deepEqual(
    [finish?.execution, finish?.outcome, finish?.reason, finish?.startedAtMs],
    ['e1', 'lost', 'node-restarted', startedAtMs],
  );
  world.welcome(20);
  world.execute(world.item('e1', { session: 20 }));
  world.advance(10);
  assert.deepEqual(world.startedIds(), ['e1'], 'not started again');
});

test('after a restart a durable result is delivered until it is acknowledged', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);
  world.end('e1', { outcome: 'failed', reason: 'exit status 3', exitCode: 3 });
  world.advance(10);

  await world.restart();
  world.beacon();
  assert.equal(world.finishes()[0]?.exitCode, 3);
  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.advance(200);
  await world.restart();
  world.beacon();

  assert.deepEqual(world.finishes(), []);
});

test('reconcile: what runs stays silent, what ended is said again, what is unknown never starts', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('runs'), world.item('ended'));
  world.advance(1);
  world.end('ended');
  world.toLeader.length = 0;

  const executions = ['runs', 'ended', 'unknown'].map((execution) => ({ execution, session: 10 }));
  world.send({ type: 'reconcile', executions });
  world.execute(world.item('unknown'));
  world.send({ type: 'acknowledge', executions: ['unknown'] });
  world.execute(world.item('unknown'));
  world.advance(10);

  assert.deepEqual(world.startedIds(), ['runs', 'ended']);
  const said = new Map(world.finishes().map((finish) => [finish.execution, finish.reason]));
  assert.deepEqual(
    said,
    new Map([
      ['ended', ''],
      ['unknown', 'never-started'],
    ]),
  );
});

test('cancel: what waits is cancelled at once, what runs is told, what comes later does not start', async () => {
  const world = await ExecutorWorld.welcomed({ slots: 1 });
  world.execute(world.item('runs'), world.item('waits'));
  world.advance(1);

  world.send({ type: 'cancel', executions: ['runs', 'waits', 'later'], graceMs: 100 });
  world.execute(world.item('later'));
  world.end('runs', { outcome: 'cancelled', exitCode: null, signal: 'SIGTERM' });
  world.advance(10);

  assert.deepEqual(world.executor.cancelled, ['runs']);
  assert.deepEqual(world.startedIds(), ['runs']);
  assert.deepEqual(
    world.finishes().map((finish) => [finish.execution, finish.outcome]),
    [
      ['waits', 'cancelled'],
      ['later', 'cancelled'],
      ['runs', 'cancelled'],
    ],
  );
});

test('a cancel while the mark is written keeps the attempt from starting', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));

  world.send({ type: 'cancel', executions: ['e1'], graceMs: 100 });
  world.advance(10);

  assert.deepEqual(world.startedIds(), []);
  assert.equal(world.finishes()[0]?.outcome, 'cancelled');
});

test('the tail in a finish is cut at the start of a character', async () => {
  const world = await ExecutorWorld.welcomed();
  world.execute(world.item('e1'));
  world.advance(1);

  world.end('e1', { output: Buffer.from(`${'é'.repeat(3_000)}x`) });

  const tail = world.finishes()[0]?.outputTail ?? '';
  assert.equal(tail, `${'é'.repeat(2_047)}x`);
});

test('drain starts nothing new and is answered once nothing runs and all is durable', async () => {
  const world = await ExecutorWorld.welcomed({ slots: 1 });
  world.execute(world.item('runs'), world.item('waits'));
  world.advance(1);
  const answers: ExecutorAnswer[] = [];

  world.actor.ask({ type: 'drain' }, 60_000, (outcome) => {
    if (outcome.type === 'answer') answers.push(outcome.answer);
  });
  world.advance(10);
  assert.deepEqual(answers, []);
  world.execute(world.item('new'));
  world.end('runs');
  world.advance(10);

  assert.deepEqual(answers, [{ type: 'drained' }]);
  assert.deepEqual(world.startedIds(), ['runs']);
});

test('the first storage error stops the process', async () => {
  const world = await ExecutorWorld.welcomed();
  world.database.fail('no space left');

  world.execute(world.item('e1'));
  world.advance(10);

  assert.equal(world.stops.length, 1);
  assert.deepEqual(world.startedIds(), []);
});
