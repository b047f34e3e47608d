import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { ActorRef, AskOutcome, Supervision } from '../../src/actors/actor.ts';
import { askPromise } from '../../src/actors/ask.ts';
import type { DeadLetter } from '../../src/actors/dead-letters.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { systemTurns } from '../../src/actors/system-turns.ts';
import { WorkerThread } from '../../src/actors/worker-thread.ts';
import { CodedError } from '../../src/base/errors.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { silentLog } from '../../src/base/telemetry.ts';
import type { EchoConfig, EchoMessage } from './echo.worker.ts';
import { RecordingMetrics } from './harness.ts';

const LONG_MS = 60_000;
const RESTART: Supervision = {
  type: 'restart',
  restartsMax: 2,
  withinMs: LONG_MS,
  backoffMs: 1,
  backoffMsMax: 1,
  escalate: 'stop-process',
};

function setupThread(
  t: TestContext,
  options: {
    readonly supervision?: Supervision;
    readonly config?: Partial<EchoConfig>;
    readonly startDeadlineMs?: number;
  } = {},
) {
  const events = new EventEmitter();
  const deadLetters: DeadLetter[] = [];
  const metrics = new RecordingMetrics();
  const system = new ActorSystem({
    thread: 'main',
    clock: new SystemClock(),
    random: Math.random,
    log: silentLog,
    metrics,
    turns: systemTurns,
    onStopProcess: (error, address) => events.emit('stop-process', error, address),
    onDeadLetter: (letter) => deadLetters.push(letter),
  });
  const thread = new WorkerThread<EchoConfig>({
    name: 'echo-thread',
    entry: new URL('./echo.worker.js', import.meta.url),
    config: { greeting: 'good day', ...options.config },
    system,
    supervision: options.supervision ?? { type: 'stop' },
    onStopProcess: (error, address) => events.emit('stop-process', error, address),
    onState: (state) => events.emit(state),
    ...(options.startDeadlineMs === undefined ? {} : { startDeadlineMs: options.startDeadlineMs }),
  });
  t.after(() => thread.stop());
  const echo: ActorRef<EchoMessage, unknown> = thread.link.ref('echo');
  return { system, thread, echo, events, deadLetters, metrics };
}

test('an actor of another thread is asked like one of this thread, binary payloads included', async (t) => {
  const { thread, echo } = setupThread(t);
  await thread.start();

  const outcome = await askPromise(echo, { type: 'echo', value: Uint8Array.of(1, 2, 3) }, LONG_MS);

  assert.deepEqual(outcome, { type: 'answer', answer: Uint8Array.of(1, 2, 3) });
  assert.equal(echo.address, 'echo-thread/echo');
  assert.deepEqual(
    (await thread.inspect()).map((actor) => actor.name),
    ['echo', 'mortal', 'vital', 'narrow'],
  );
});

test('100,000 messages reach another thread exactly once and in order', async (t) => {
  const { thread, echo, deadLetters } = setupThread(t);
  await thread.start();

  for (let value = 0; value < 100_000; value++) {
    echo.send({ type: 'number', value });
    // Keeps below the link's credit: an answer says that all before it has arrived.
    if (value % 5000 === 4999) await askPromise(echo, { type: 'count' }, LONG_MS);
  }

  assert.deepEqual(await askPromise(echo, { type: 'count' }, LONG_MS), {
    type: 'answer',
    answer: { count: 100_000, isInOrder: true },
  });
  assert.deepEqual(deadLetters, []);
});

test('messages come back from the other thread exactly once and in order', async (t) => {
  const { thread, echo, system } = setupThread(t);
  await thread.start();
  const got: number[] = [];
  const isDone = new Promise<void>((resolve) => {
    system.spawn<number>({
      name: 'sink',
      supervision: { type: 'stop' },
      create: () => ({
        receive: (value) => {
          got.push(value);
          if (got.length === 10_000) resolve();
        },
      }),
    });
  });

  echo.send({ type: 'tell-main', name: 'sink', times: 10_000 });
  await isDone;

  assert.ok(got.every((value, index) => value === index));
});

test('sends beyond the credit of the link are dead letters, asks beyond it fail with mailbox-full', async (t) => {
  const { thread, echo, deadLetters } = setupThread(t);
  await thread.start();

  for (let value = 0; value < 10_001; value++) echo.send({ type: 'number', value });
  const refused = await askPromise(echo, { type: 'count' }, LONG_MS);

  assert.equal(codeOf(refused), 'mailbox-full');
  assert.deepEqual(
    deadLetters.map(({ address, reason }) => ({ address, reason })),
    [{ address: 'echo-thread/echo', reason: 'link-full' }],
  );
});

test('a full mailbox, a missing actor and a deadline are told across threads', async (t) => {
  const { thread, echo } = setupThread(t);
  await thread.start();
  const narrow: ActorRef<number, number> = thread.link.ref('narrow');
  const missing: ActorRef<number, number> = thread.link.ref('missing');

  const outcomes = await Promise.all([
    askPromise(narrow, 1, 200),
    askPromise(narrow, 2, LONG_MS),
    askPromise(missing, 3, LONG_MS),
    askPromise(echo, { type: 'keep' }, 200),
  ]);

  assert.deepEqual(outcomes.map(codeOf), ['deadline', 'mailbox-full', 'stopped', 'deadline']);
});

test('a watcher hears of an actor that stops in another thread, and of one that never was', async (t) => {
  const { thread, echo, system } = setupThread(t);
  await thread.start();

  const heard = watched(system, [thread.link.ref('mortal'), thread.link.ref('missing')]);
  echo.send({ type: 'stop-mortal' });

  assert.deepEqual((await heard).sort(), ['echo-thread/missing', 'echo-thread/mortal']);
});

test('a message that is no plain data costs itself alone', async (t) => {
  const { thread, echo, deadLetters } = setupThread(t);
  await thread.start();

  echo.send({ type: 'echo', value: () => {} });
  const [bad, good] = await Promise.all([
    askPromise(echo, { type: 'echo', value: () => {} }, LONG_MS),
    askPromise(echo, { type: 'echo', value: 1 }, LONG_MS),
  ]);

  assert.equal(codeOf(bad), 'stopped');
  assert.deepEqual(good, { type: 'answer', answer: 1 });
  assert.deepEqual(
    deadLetters.map((letter) => letter.reason),
    ['not-cloneable'],
  );
});

const DEATHS: readonly {
  readonly name: string;
  readonly die: (thread: WorkerThread<EchoConfig>, echo: ActorRef<EchoMessage, unknown>) => void;
}[] = [
  { name: 'throws', die: (_thread, echo) => echo.send({ type: 'throw' }) },
  { name: 'calls process.exit', die: (_thread, echo) => echo.send({ type: 'exit' }) },
  { name: 'is terminated', die: (thread) => void thread.kill() },
  {
    name: 'is terminated while it spins',
    die: (thread, echo) => {
      echo.send({ type: 'spin' });
      void thread.kill();
    },
  },
];

for (const { name, die } of DEATHS) {
  test(`when a thread ${name}, asks fail and watchers hear at once, and it comes back for refs that were held`, async (t) => {
    const { thread, echo, system, events, metrics } = setupThread(t, { supervision: RESTART });
    await thread.start();
    const asks = [1, 2, 3].map(() => askPromise(echo, { type: 'keep' }, LONG_MS));
    const heard = watched(system, [thread.link.ref('mortal')]);
    await askPromise(echo, { type: 'greet' }, LONG_MS);
    const isBack = once(events, 'running');

    die(thread, echo);

    assert.deepEqual((await Promise.all(asks)).map(codeOf), ['thread-died', 'thread-died', 'thread-died']);
    assert.deepEqual(await heard, ['echo-thread/mortal']);
    await isBack;
    assert.deepEqual(await askPromise(echo, { type: 'greet' }, LONG_MS), { type: 'answer', answer: 'good day' });
    assert.equal(metrics.values.get('carillon_thread_restarts_total{echo-thread}'), 1);
  });
}

test('an answer that a thread gave before its end is not lost', async (t) => {
  const { thread, echo } = setupThread(t);
  await thread.start();

  const outcome = await askPromise(echo, { type: 'greet-and-exit' }, LONG_MS);

  assert.deepEqual(outcome, { type: 'answer', answer: 'good day' });
});

test('while a thread is gone sends are dead letters, asks fail and watchers hear at once', async (t) => {
  const { thread, echo, system, deadLetters } = setupThread(t);
  await thread.start();
  await thread.stop();

  echo.send({ type: 'greet' });
  const outcome = await askPromise(echo, { type: 'greet' }, LONG_MS);

  assert.equal(codeOf(outcome), 'thread-died');
  assert.deepEqual(
    deadLetters.map((letter) => letter.reason),
    ['thread-died'],
  );
  assert.deepEqual(await watched(system, [echo]), ['echo-thread/echo']);
});

test('a thread that dies more often than allowed ends the process', async (t) => {
  const { thread, echo, events } = setupThread(t, { supervision: RESTART });
  await thread.start();
  const stopProcess = once(events, 'stop-process');

  for (const _restart of [1, 2]) {
    const isBack = once(events, 'running');
    echo.send({ type: 'exit' });
    await isBack;
  }
  echo.send({ type: 'exit' });

  const [error, address] = await stopProcess;
  assert.ok(error instanceof CodedError);
  assert.equal(error.code, 'thread-died');
  assert.equal(address, 'echo-thread');
  assert.equal(thread.state, 'stopped');
});

test('an actor in a thread that asks for the end of the process gets it, whatever the thread’s own policy', async (t) => {
  const { thread, events } = setupThread(t, { supervision: RESTART });
  await thread.start();
  const stopProcess = once(events, 'stop-process');

  thread.link.ref('vital').send('anything' as never);

  const [error, address] = await stopProcess;
  assert.ok(error instanceof CodedError);
  assert.equal(error.code, 'storage-failed');
  assert.match(error.message, /on fire/);
  assert.equal(address, 'echo-thread/vital');
});

test('a start that is refused keeps its code, and is not tried again', async (t) => {
  const { thread } = setupThread(t, { supervision: RESTART, config: { start: 'refuse' } });

  await assert.rejects(thread.start(), { code: 'settings', message: 'greeting: must be polite' });

  assert.equal(thread.state, 'stopped');
});

test('a thread that dies during a control call fails the call with thread-died', async (t) => {
  const { thread } = setupThread(t, { config: { start: 'exit' } });

  await assert.rejects(thread.start(), { code: 'thread-died' });
});

test('a control call to a thread that never answers ends at its deadline', async (t) => {
  const { thread } = setupThread(t, { config: { start: 'hang' }, startDeadlineMs: 100 });

  await assert.rejects(thread.start(), { code: 'deadline' });
});

test('inspect fails at once when the thread is terminated in the middle, and after it', async (t) => {
  const { thread, echo } = setupThread(t);
  await thread.start();
  const isSpinning = new SharedArrayBuffer(4);
  echo.send({ type: 'spin', isSpinning });
  while (Atomics.load(new Int32Array(isSpinning), 0) === 0) await new Promise((resolve) => setImmediate(resolve));
  // A spinning thread answers nothing; only its death can settle this call.
  const inspected = assert.rejects(thread.inspect(), { code: 'thread-died' });

  await thread.kill();

  await inspected;
  await assert.rejects(thread.inspect(), { code: 'thread-died' });
});

/** Watches from an actor, and gives the addresses it heard of once all have stopped. */
function watched(system: ActorSystem, refs: readonly ActorRef<never, unknown>[]): Promise<string[]> {
  return new Promise((resolve) => {
    const heard: string[] = [];
    system.spawn<string>({
      name: 'watcher',
      supervision: { type: 'stop' },
      create: (context) => {
        for (const ref of refs) context.watch(ref, ref.address);
        return {
          receive: (address) => {
            heard.push(address);
            if (heard.length === refs.length) resolve(heard);
          },
        };
      },
    });
  });
}

function codeOf(outcome: AskOutcome<unknown>): string {
  return outcome.type === 'failed' ? outcome.code : 'answer';
}
