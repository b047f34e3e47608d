/** Full outputs in the outbox of an executor actor: who gets them, and when they are let go. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { OUTBOX_LIMITS } from '../../src/executors/outbox.ts';
import { ExecutorWorld } from './executor-world.ts';

test('a long output goes to the servers in chunks until two of them hold it', async () => {
  const world = await ExecutorWorld.welcomed({ outputBytesMax: 600_000 });
  const output = Buffer.alloc(600_000, 'x');
  world.execute(world.item('e1'));
  world.advance(1);

  world.end('e1', { output, outputBytes: 900_000 });
  assert.deepEqual(
    world.chunks.map(({ server, chunk }) => [server, chunk.offset, chunk.bytes.length, chunk.totalBytes]),
    ['s1', 's2'].flatMap((server) => [
      [server, 0, 262_144, 600_000],
      [server, 262_144, 262_144, 600_000],
      [server, 524_288, 75_712, 600_000],
    ]),
  );
  assert.deepEqual([world.finishes()[0]?.storedBytes, world.finishes()[0]?.outputBytes], [600_000, 900_000]);
  world.send({ type: 'acknowledge', executions: ['e1'] });
  world.send({ type: 'output-stored', execution: 'e1', server: 's1' });
  world.send({ type: 'output-stored', execution: 'e1', server: 's1' });
  assert.equal(world.state().outbox, 1);
  world.chunks.length = 0;
  world.advance(3_000);
  assert.deepEqual(
    world.chunks.map(({ server }) => server),
    ['s3', 's3', 's3'],
    'sent again, from disk',
  );
  world.send({ type: 'output-stored', execution: 'e1', server: 's3' });
  world.advance(200);

  assert.equal(world.state().outbox, 0);
  assert.equal(world.rows(), 0);
});

test('a server that is dead for long leaves the outbox empty, and is tried less', async () => {
  const world = await ExecutorWorld.welcomed();
  const finished = (execution: string): void => {
    world.execute(world.item(execution));
    world.advance(1);
    world.end(execution, { output: Buffer.alloc(5_000, 'x') });
    world.send({ type: 'acknowledge', executions: [execution] });
  };
  const answerAll = (): string[] => {
    const sent = world.chunks.splice(0);
    for (const { server, chunk } of sent) {
      if (server !== 's2') world.send({ type: 'output-stored', execution: chunk.execution, server });
    }
    return sent.map(({ server }) => server);
  };

  const receivers: string[] = [];
  for (let second = 0; second < 20; second += 1) {
    world.welcome(10);
    finished(`e${second}`);
    receivers.push(...answerAll());
    world.advance(1_000);
    receivers.push(...answerAll());
  }
  world.advance(2_000);
  answerAll();
  world.advance(200);

  assert.deepEqual([world.state().outbox, world.rows()], [0, 0]);
  const toDead = receivers.filter((server) => server === 's2').length;
  assert.ok(toDead >= 1 && toDead <= 5, `${toDead} of ${receivers.length} tails went to the dead server`);
});

test('a server gives itself the first copy', async () => {
  const world = await ExecutorWorld.welcomed({ node: 's2', isServer: true });
  world.execute(world.item('e1'), world.item('e2'));
  world.advance(1);

  world.end('e1', { output: Buffer.alloc(5_000, 'x') });
  world.advance(10);
  const first = world.takeReceivers();
  world.end('e2', { output: Buffer.alloc(5_000, 'x') });
  world.advance(10);

  assert.deepEqual(
    [first, world.takeReceivers()],
    [
      ['s2', 's1'],
      ['s2', 's3'],
    ],
  );
});

test('what waits for a second copy only is owed no more, and makes room for new work', async () => {
  const world = await ExecutorWorld.welcomed({ outboxLimits: { ...OUTBOX_LIMITS, entriesMax: 1 } });
  world.execute(world.item('e1'));
  world.advance(1);
  world.end('e1', { output: Buffer.alloc(5_000, 'x') });
  world.advance(10);
  world.send({ type: 'acknowledge', executions: ['e1'] });
  assert.deepEqual([world.state().outbox, world.state().owed], [1, 1]);

  world.execute(world.item('e2'));
  world.send({ type: 'output-stored', execution: 'e1', server: 's1' });
  assert.deepEqual([world.state().outbox, world.state().owed], [2, 1], 'e2 is refused, and that is owed');
  world.send({ type: 'acknowledge', executions: ['e2'] });
  assert.deepEqual([world.state().outbox, world.state().owed], [1, 0]);
  world.execute(world.item('e3'));
  world.advance(200);

  assert.deepEqual([world.startedIds(), world.state().outbox], [['e1', 'e3'], 0]);
});
