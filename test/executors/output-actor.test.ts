import assert from 'node:assert/strict';
import test from 'node:test';
import type { ActorRef } from '../../src/actors/actor.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { seededRandom } from '../../src/base/random.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { OutputAnswer, OutputMessage } from '../../src/executors/output-actor.ts';
import { createOutputActor } from '../../src/executors/output-actor.ts';
import { chunksOf } from '../../src/executors/output-chunks.ts';
import { readOutput } from '../../src/executors/output-store.ts';
import type { BetweenOutputs, OutputChunk } from '../../src/executors/protocol.ts';
import { MemoryDatabase } from '../../src/store/memory-storage.ts';

function setup(jobBytesMax = 1_000_000) {
  const clock = new VirtualClock();
  const turns = new VirtualTurns();
  const database = new MemoryDatabase({ label: 'output', clock, writeDelayMs: () => 5 });
  const storage = database.open();
  const said: string[] = [];
  const stops: unknown[] = [];
  const gone = new Set<string>();
  const system = new ActorSystem({
    thread: 'main',
    clock,
    random: seededRandom(1),
    log: silentLog,
    metrics: noMetrics,
    turns,
    onStopProcess: (error) => stops.push(error),
  });
  const between: [server: string, message: BetweenOutputs][] = [];
  const actor: ActorRef<OutputMessage, OutputAnswer> = system.spawn({
    name: 'output',
    supervision: { type: 'stop-process' },
    create: createOutputActor({
      server: 's1',
      storage,
      toNode: (node, message) => said.push(`${node} ${message.execution}`),
      others: () => ['s2', 's3'],
      toServer: (server, message) => between.push([server, message]),
      isGone: (uid) => gone.has(uid),
      jobBytesMax,
    }),
  });
  const settle = (delayMs: number): void => {
    const untilMs = clock.monotonic() + delayMs;
    turns.runAll();
    while ((clock.nextDueMs ?? Number.POSITIVE_INFINITY) <= untilMs) {
      clock.runNext();
      turns.runAll();
    }
    clock.advance(untilMs - clock.monotonic());
  };
  const send = (chunks: readonly OutputChunk[], node = 'a1'): void => {
    for (const chunk of chunks) actor.send({ type: 'chunk', node, chunk });
    turns.runAll();
  };
  /** What came of it so far: nothing, null, or how many bytes. */
  const find = (execution: string, { waitMs = 0, forMs = 1_000 } = {}): (number | null)[] => {
    const found: (number | null)[] = [];
    actor.ask({ type: 'find', execution, waitMs, forMs }, 10_000, (outcome) => {
      found.push(outcome.type === 'answer' ? (outcome.answer.bytes?.length ?? null) : -1);
    });
    turns.runAll();
    return found;
  };
  const hear = (server: string, message: BetweenOutputs): void => {
    actor.send({ type: 'from-server', server, message });
    turns.runAll();
  };
  return { actor, database, storage, said, stops, gone, between, settle, send, find, hear };
}

function bytesOf(length: number): Uint8Array {
  return Buffer.from(Array.from({ length }, (_, index) => index % 251));
}

test('a tail in chunks, late, doubled and out of order, is stored once, and said once it is durable', () => {
  const { storage, said, settle, send } = setup();
  const bytes = bytesOf(600_000);
  const [first, second, third] = chunksOf('0-1-s1-0-1', bytes) as [OutputChunk, OutputChunk, OutputChunk];

  send([third, first, third]);
  settle(100);
  assert.deepEqual(said, []);
  send([second]);
  assert.deepEqual(said, [], 'not durable yet');
  settle(5);

  assert.deepEqual(said, ['a1 0-1-s1-0-1']);
  assert.deepEqual(readOutput(storage, '0-1-s1-0-1'), Buffer.from(bytes));
});

test('a tail that is stored already is only said again', () => {
  const { database, said, settle, send } = setup();
  const chunks = chunksOf('0-1-s1-0-1', bytesOf(5_000));
  send(chunks);
  settle(10);
  const rows = database.size;

  send(chunks, 'a2');
  settle(10);

  assert.deepEqual(said, ['a1 0-1-s1-0-1', 'a2 0-1-s1-0-1']);
  assert.equal(database.size, rows);
});

test('a damaged tail is not stored and not said', () => {
  const { storage, said, settle, send } = setup();
  const [chunk] = chunksOf('0-1-s1-0-1', bytesOf(5_000)) as [OutputChunk];

  send([{ ...chunk, crc: chunk.crc ^ 1 }]);
  settle(10);

  assert.deepEqual(said, []);
  assert.equal(readOutput(storage, '0-1-s1-0-1'), undefined);
});

test('above the budget of a job its oldest tails go, and other jobs keep theirs', () => {
  const { storage, said, settle, send } = setup(12_000);
  send(chunksOf('0-2-s1-0-1', bytesOf(5_000)));
  settle(50);

  for (const nominal of [1, 2, 3]) {
    send(chunksOf(`0-1-s${nominal}-0-1`, bytesOf(5_000)));
    settle(50);
  }

  const kept = ['0-2-s1-0-1', '0-1-s1-0-1', '0-1-s2-0-1', '0-1-s3-0-1'].map(
    (execution) => readOutput(storage, execution)?.length,
  );
  assert.deepEqual(kept, [5_000, undefined, 5_000, 5_000]);
  assert.equal(said.length, 4);
});

test('a deleted job leaves no rows', () => {
  const { actor, database, settle, send } = setup();
  for (const nominal of [1, 2]) send(chunksOf(`0-1-s${nominal}-0-1`, bytesOf(5_000)));
  settle(50);

  actor.send({ type: 'forget-job', uid: '0-1' });
  settle(50);

  assert.equal(database.size, 0);
});

test('the first storage error stops the process and nothing is said', () => {
  const { database, said, stops, settle, send } = setup();
  database.fail('no space left');

  send(chunksOf('0-1-s1-0-1', bytesOf(5_000)));
  settle(10);

  assert.equal(stops.length, 1);
  assert.deepEqual(said, []);
});

test('a reader gets what lies here, durable or not yet, and no other server is asked', () => {
  const { between, settle, send, find } = setup();
  send(chunksOf('0-1-s1-0-1', bytesOf(5_000)));

  const atOnce = find('0-1-s1-0-1');
  settle(10);
  const later = find('0-1-s1-0-1');

  assert.deepEqual([atOnce, later, between], [[5_000], [5_000], []]);
});

test('what lies elsewhere comes from the first server that has it, is not kept, and comes once', () => {
  const { database, said, between, settle, find, hear } = setup();
  const execution = '0-1-s1-0-1';
  const copies = chunksOf(execution, bytesOf(600_000)).map((chunk) => ({ ...chunk, type: 'output-copy' as const }));

  const found = find(execution);
  assert.deepEqual(between, [
    ['s2', { type: 'output-wanted', execution, waitMs: 0 }],
    ['s3', { type: 'output-wanted', execution, waitMs: 0 }],
  ]);
  hear('s2', { type: 'output-missing', execution });
  assert.deepEqual(found, []);
  for (const copy of copies.toReversed()) hear('s3', copy);
  for (const copy of copies) hear('s2', copy);
  settle(2_000);

  assert.deepEqual([found, said, database.size], [[600_000], [], 0]);
});

test('what no server has is known as soon as all have said so, else when the time is over', () => {
  const { settle, find, hear } = setup();
  const execution = '0-1-s1-0-1';

  const answered = find(execution);
  hear('s2', { type: 'output-missing', execution });
  hear('s3', { type: 'output-missing', execution });
  assert.deepEqual(answered, [null]);
  const silent = find(execution);
  hear('s2', { type: 'output-missing', execution });
  settle(900);
  assert.deepEqual(silent, []);
  settle(200);

  assert.deepEqual(silent, [null]);
});

test('a tail that is about to arrive is waited for, here and for another server', () => {
  const { between, settle, send, find, hear } = setup();
  const [here, there, never] = ['0-1-s1-0-1', '0-1-s2-0-1', '0-1-s3-0-1'] as const;

  const found = find(here, { waitMs: 250 });
  for (const server of ['s2', 's3']) hear(server, { type: 'output-missing', execution: here });
  for (const execution of [there, never]) hear('s2', { type: 'output-wanted', execution, waitMs: 250 });
  settle(100);
  assert.deepEqual(found, []);
  between.length = 0;
  for (const execution of [here, there]) send(chunksOf(execution, bytesOf(5_000)));
  settle(250);

  assert.deepEqual(found, [5_000]);
  assert.deepEqual(
    between.map(([server, { type, execution }]) => [server, type, execution]),
    [
      ['s2', 'output-copy', there],
      ['s2', 'output-missing', never],
    ],
  );
});

test('another server is told at once what lies here and what does not', () => {
  const { between, settle, send, hear } = setup();
  send(chunksOf('0-1-s1-0-1', bytesOf(5_000)));
  settle(10);

  for (const execution of ['0-1-s1-0-1', '0-1-s2-0-1']) hear('s3', { type: 'output-wanted', execution, waitMs: 0 });

  assert.deepEqual(
    between.map(([server, message]) => [server, message.type]),
    [
      ['s3', 'output-copy'],
      ['s3', 'output-missing'],
    ],
  );
});

test('tails that came after their job was deleted are found and removed, and no others', () => {
  const { database, storage, gone, settle, send } = setup();
  for (const uid of ['0-1', '0-2', '0-3']) send(chunksOf(`${uid}-s1-0-1`, bytesOf(5_000)));
  settle(10);

  gone.add('0-1').add('0-3');
  settle(61_000);
  assert.equal(readOutput(storage, '0-1-s1-0-1'), undefined);
  assert.equal(readOutput(storage, '0-2-s1-0-1')?.length, 5_000);
  gone.add('0-2');
  settle(61_000);

  assert.equal(database.size, 0);
});
