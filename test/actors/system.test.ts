import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Actor, ActorContext, ActorSpec, AskOutcome } from '../../src/actors/actor.ts';
import { RecordingLog, setup } from './harness.ts';

const RESTART = {
  type: 'restart',
  restartsMax: 3,
  withinMs: 10_000,
  backoffMs: 100,
  backoffMsMax: 1000,
  escalate: 'stop',
} as const;

/** An actor made of one function. */
function actorOf<Message, Answer = never>(
  name: string,
  receive: (message: Message, reply: (answer: Answer) => void, context: ActorContext<Message, Answer>) => void,
  options: Partial<ActorSpec<Message, Answer>> = {},
): ActorSpec<Message, Answer> {
  return {
    name,
    supervision: { type: 'stop' },
    create: (context): Actor<Message, Answer> => ({ receive: (message, reply) => receive(message, reply, context) }),
    ...options,
  };
}

test('a send never runs receive before it returns, and order is kept', () => {
  const { system, settle } = setup();
  const got: number[] = [];
  const ref = system.spawn(actorOf<number>('one', (message) => got.push(message)));

  ref.send(1);
  ref.send(2);
  assert.deepEqual(got, []);
  settle();

  assert.deepEqual(got, [1, 2]);
});

test('100,000 messages through two actors arrive exactly once and in order', () => {
  const { system, settle } = setup();
  const got: number[] = [];
  const sink = system.spawn(
    actorOf<number>('sink', (message) => got.push(message), { mailbox: { capacity: 100_000, whenFull: 'refuse' } }),
  );
  const relay = system.spawn(
    actorOf<number>('relay', (message) => sink.send(message), { mailbox: { capacity: 100_000, whenFull: 'refuse' } }),
  );

  for (let index = 0; index < 100_000; index++) relay.send(index);
  settle();

  assert.equal(got.length, 100_000);
  assert.ok(got.every((value, index) => value === index));
});

test('an actor with a long mailbox does not keep the others waiting', () => {
  const { system, settle } = setup();
  const order: string[] = [];
  const busy = system.spawn(actorOf<number>('busy', () => order.push('busy')));
  const brief = system.spawn(actorOf<number>('brief', () => order.push('brief')));

  for (let index = 0; index < 5000; index++) busy.send(index);
  brief.send(1);
  settle();

  assert.ok(order.indexOf('brief') <= 64);
});

test('a full mailbox refuses sends as dead letters and asks with mailbox-full', () => {
  const { system, settle, deadLetters, metrics } = setup();
  const ref = system.spawn(actorOf<number, number>('full', () => {}, { mailbox: { capacity: 2, whenFull: 'refuse' } }));
  const outcomes: AskOutcome<number>[] = [];

  for (const message of [1, 2, 3]) ref.send(message);
  ref.ask(4, 1000, (outcome) => outcomes.push(outcome));
  assert.deepEqual(outcomes, [], 'an outcome never comes before ask has returned');
  settle();

  assert.deepEqual(
    deadLetters.map(({ address, message, reason }) => ({ address, message, reason })),
    [{ address: 'main/full', message: 3, reason: 'mailbox-full' }],
  );
  assert.equal(metrics.values.get('carillon_dead_letters_total{full}'), 1);
  assert.deepEqual(codes(outcomes), ['mailbox-full']);
});

test('a mailbox that drops its oldest keeps the newest, and the asker of a dropped ask is told', () => {
  const { system, settle, deadLetters } = setup();
  const got: number[] = [];
  const ref = system.spawn(
    actorOf<number, number>('gauge', (message) => got.push(message), {
      mailbox: { capacity: 2, whenFull: 'drop-oldest' },
    }),
  );
  const outcomes: AskOutcome<number>[] = [];

  ref.ask(1, 1000, (outcome) => outcomes.push(outcome));
  for (const message of [2, 3, 4]) ref.send(message);
  settle();

  assert.deepEqual(got, [3, 4]);
  assert.deepEqual(codes(outcomes), ['mailbox-full']);
  assert.deepEqual(
    deadLetters.map((letter) => letter.message),
    [2],
  );
});

test('an ask has exactly one outcome: the first answer wins, later ones and the deadline do nothing', () => {
  const { system, settle, advance, clock } = setup();
  const ref = system.spawn(
    actorOf<number, number>('adder', (message, reply) => {
      reply(message + 1);
      reply(message + 2);
    }),
  );
  const outcomes: AskOutcome<number>[] = [];

  ref.ask(1, 1000, (outcome) => outcomes.push(outcome));
  settle();
  assert.equal(clock.pending, 0, 'the deadline is cancelled by the answer');
  advance(5000);

  assert.deepEqual(outcomes, [{ type: 'answer', answer: 2 }]);
});

test('an ask without an answer ends at its deadline, and an answer after that does nothing', () => {
  const { system, advance } = setup();
  let answerLate: (answer: number) => void = () => {};
  const ref = system.spawn(
    actorOf<number, number>('slow', (_message, reply) => {
      answerLate = reply;
    }),
  );
  const outcomes: AskOutcome<number>[] = [];

  ref.ask(1, 1000, (outcome) => outcomes.push(outcome));
  advance(999);
  assert.deepEqual(outcomes, []);
  advance(1);
  answerLate(5);
  advance(1);

  assert.deepEqual(codes(outcomes), ['deadline']);
});

test('asks beyond the bound of the system fail at once', () => {
  const { system, settle } = setup({ pendingAsksMax: 2 });
  const ref = system.spawn(actorOf<number, number>('mute', () => {}));
  const outcomes: AskOutcome<number>[] = [];

  for (const message of [1, 2, 3]) ref.ask(message, 1000, (outcome) => outcomes.push(outcome));
  settle();

  assert.deepEqual(codes(outcomes), ['mailbox-full']);
  assert.equal(system.asks.pendingCount, 2);
});

test('when an actor stops for good its askers get `stopped` and its waiting messages become dead letters', () => {
  const { system, settle, deadLetters, clock } = setup();
  const ref = system.spawn(actorOf<number, number>('mute', () => {}));
  const outcomes: AskOutcome<number>[] = [];
  ref.ask(1, 1000, (outcome) => outcomes.push(outcome));
  settle();
  ref.ask(2, 1000, (outcome) => outcomes.push(outcome));
  ref.send(3);

  system.stop('mute');
  ref.ask(4, 1000, (outcome) => outcomes.push(outcome));
  ref.send(5);
  settle();

  assert.deepEqual(codes(outcomes), ['stopped', 'stopped', 'stopped']);
  assert.deepEqual(
    deadLetters.map((letter) => letter.message),
    [3, 5],
  );
  assert.equal(clock.pending, 0);
  assert.equal(system.find('mute'), undefined);
});

test('an actor that stops itself finishes the message first', () => {
  const { system, settle } = setup();
  const story: string[] = [];
  const ref = system.spawn<string>({
    name: 'self',
    supervision: { type: 'stop' },
    create: () => ({
      receive: (message) => {
        system.stop('self');
        story.push(message);
      },
      stop: () => story.push('stop'),
    }),
  });

  ref.send('first');
  ref.send('second');
  settle();

  assert.deepEqual(story, ['first', 'stop']);
});

test('a failed actor is made anew after its backoff, with its mailbox but without the failing message', () => {
  const log = new RecordingLog();
  const { system, settle, advance, metrics } = setup({ log });
  const got: string[] = [];
  let lives = 0;
  const ref = system.spawn<string>({
    name: 'shaky',
    supervision: RESTART,
    create: () => {
      const life = ++lives;
      return {
        receive: (message) => {
          if (message === 'bad') throw new Error('cannot digest');
          got.push(`${life}:${message}`);
        },
      };
    },
  });

  for (const message of ['a', 'bad', 'b', 'c']) ref.send(message);
  settle();
  assert.deepEqual(got, ['1:a']);
  assert.deepEqual(system.inspect(), [{ name: 'shaky', depth: 2, oldestAgeMs: 0, restarts: 0, state: 'restarting' }]);
  advance(99);
  assert.deepEqual(got, ['1:a']);
  advance(1);

  assert.deepEqual(got, ['1:a', '2:b', '2:c']);
  assert.equal(metrics.values.get('carillon_actor_restarts_total{shaky}'), 1);
  assert.equal(log.lines[0]?.fields['actor'], 'main/shaky');
  assert.match(String(log.lines[0]?.fields['error']), /cannot digest/);
});

test('a restart ends timers, watches and pending asks of the life before, and asks that it had begun with', () => {
  const { system, settle, advance, deadLetters } = setup();
  const got: string[] = [];
  system.spawn(actorOf<string, string>('other', () => {}));
  const other = system.find<string, string>('other');
  assert.ok(other);
  const ref = system.spawn(
    actorOf<string, string>(
      'shaky',
      (message, _reply, context) => {
        got.push(message);
        if (message === 'prepare') {
          context.after(500, 'timer');
          context.watch(other, 'other-stopped');
          context.ask(other, 'question', 800, (outcome) => `outcome-${outcome.type}`);
        }
        if (message === 'bad') throw new Error('cannot digest');
      },
      { supervision: RESTART },
    ),
  );
  const outcomes: AskOutcome<string>[] = [];

  ref.send('prepare');
  ref.ask('held', 10_000, (outcome) => outcomes.push(outcome));
  ref.send('bad');
  settle();
  assert.deepEqual(codes(outcomes), ['stopped']);
  advance(2000);
  system.stop('other');
  settle();

  assert.deepEqual(got, ['prepare', 'held', 'bad']);
  assert.deepEqual(deadLetters, []);
});

test('more restarts than allowed escalate: the actor stops', () => {
  const { system, advance } = setup();
  const ref = system.spawn(
    actorOf<number>(
      'hopeless',
      () => {
        throw new Error('always');
      },
      { supervision: RESTART },
    ),
  );

  for (let index = 0; index < 10; index++) ref.send(index);
  advance(100 + 200 + 400);

  assert.deepEqual(system.inspect(), []);
});

test('a create that throws counts as a failure on a restart, and goes to the caller on the first spawn', () => {
  const { system, advance } = setup();
  let lives = 0;
  const ref = system.spawn<number>({
    name: 'shaky',
    supervision: RESTART,
    create: () => {
      lives++;
      if (lives > 1) throw new Error('no second life');
      return {
        receive: () => {
          throw new Error('bad message');
        },
      };
    },
  });

  ref.send(1);
  advance(10_000);

  assert.equal(lives, 4);
  assert.deepEqual(system.inspect(), []);
  assert.throws(
    () => system.spawn({ name: 'stillborn', supervision: RESTART, create: () => assert.fail('not today') }),
    /not today/,
  );
  assert.equal(system.find('stillborn'), undefined);
});

test('when the process is to stop, no actor of the system gets another message', () => {
  const { system, settle, processStops } = setup();
  const got: number[] = [];
  const raft = system.spawn(
    actorOf<number>(
      'raft',
      () => {
        throw new Error('invariant broken');
      },
      { supervision: { type: 'stop-process' } },
    ),
  );
  const other = system.spawn(actorOf<number>('other', (message) => got.push(message)));

  raft.send(1);
  other.send(2);
  settle();

  assert.deepEqual(got, []);
  assert.equal(processStops.length, 1);
  assert.equal(processStops[0]?.address, 'main/raft');
  assert.match(String(processStops[0]?.error), /invariant broken/);
});

test('a watcher is told once when the actor has stopped for good, at once if it has already', () => {
  const { system, settle } = setup();
  const got: string[] = [];
  const mortal = system.spawn(actorOf<string>('mortal', () => {}));
  const watcher = system.spawn(
    actorOf<string>('watcher', (message, _reply, context) => {
      if (message.startsWith('watch')) context.watch(mortal, `gone after ${message}`);
      else got.push(message);
    }),
  );

  watcher.send('watch early');
  settle();
  assert.deepEqual(got, []);
  system.stop('mortal');
  settle();
  watcher.send('watch late');
  settle();

  assert.deepEqual(got, ['gone after watch early', 'gone after watch late']);
});

test('timers come ahead of waiting messages, and a cancelled one never comes, even when it was due', () => {
  const { system, settle, clock } = setup();
  const got: string[] = [];
  const timers: { cancel(): void }[] = [];
  const ref = system.spawn(
    actorOf<string>('timed', (message, _reply, context) => {
      got.push(message);
      if (message !== 'start') return;
      context.after(10, 'tick');
      timers.push(context.after(10, 'cancelled'));
    }),
  );
  ref.send('start');
  settle();

  ref.send('waiting');
  clock.advance(10);
  timers[0]?.cancel();
  settle();

  assert.deepEqual(got, ['start', 'tick', 'waiting']);
});

test('the outcome of an actor’s own ask arrives as a message, the deadline included', () => {
  const { system, settle, advance } = setup();
  const got: string[] = [];
  const echo = system.spawn(
    actorOf<string, string>('echo', (message, reply) => {
      if (message !== 'silence') reply(message);
    }),
  );
  const asker = system.spawn(
    actorOf<string>('asker', (message, _reply, context) => {
      if (message.startsWith('=')) got.push(message);
      else {
        context.ask(echo, message, 100, (outcome) => {
          return outcome.type === 'answer' ? `=${outcome.answer}` : `=${outcome.code}`;
        });
      }
    }),
  );

  asker.send('hello');
  asker.send('silence');
  settle();
  assert.deepEqual(got, ['=hello']);
  advance(100);

  assert.deepEqual(got, ['=hello', '=deadline']);
});

test('depth and age of the oldest message are measured when they are sampled', () => {
  const { system, clock, metrics } = setup();
  const ref = system.spawn(actorOf<number>('waiting', () => {}));

  ref.send(1);
  clock.advance(1500);
  ref.send(2);
  clock.advance(500);
  system.sample();

  assert.equal(metrics.values.get('carillon_mailbox_depth{waiting}'), 2);
  assert.equal(metrics.values.get('carillon_message_age_seconds{waiting}'), 2);
});

test('dead letters are logged at most six times a minute, with the number of those left out', () => {
  const log = new RecordingLog();
  const { system, clock } = setup({ log });
  const ref = system.spawn(actorOf<number>('gone', () => {}));
  system.stopAll();

  for (let index = 0; index < 100; index++) ref.send(index);
  clock.advance(60_000);
  ref.send(100);

  assert.equal(log.lines.length, 7);
  assert.deepEqual(log.lines[6]?.fields, { actor: 'main/gone', reason: 'stopped', omitted: 94 });
});

test('what an asker does with the outcome cannot hurt the actor that answered', () => {
  const log = new RecordingLog();
  const { system, settle } = setup({ log });
  const ref = system.spawn(actorOf<number, number>('echo', (message, reply) => reply(message)));
  const got: unknown[] = [];

  ref.ask(1, 1000, () => assert.fail('the asker is broken'));
  ref.ask(2, 1000, (outcome) => got.push(outcome));
  settle();

  assert.deepEqual(got, [{ type: 'answer', answer: 2 }]);
  assert.equal(system.inspect()[0]?.state, 'running');
  assert.equal(log.lines.length, 1);
});

test('names are checked and taken once', () => {
  const { system } = setup();
  system.spawn(actorOf<number>('one', () => {}));

  assert.throws(() => system.spawn(actorOf<number>('one', () => {})), /exists already/);
  assert.throws(() => system.spawn(actorOf<number>('No/Slash', () => {})), /use a-z/);
});

function codes(outcomes: readonly AskOutcome<unknown>[]): string[] {
  return outcomes.map((outcome) => (outcome.type === 'failed' ? outcome.code : 'answer'));
}
