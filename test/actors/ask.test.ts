import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AskOutcome } from '../../src/actors/actor.ts';
import { askPromise } from '../../src/actors/ask.ts';
import { setup } from './harness.ts';

type Step = 'answer' | 'answer-late' | 'keep' | 'fail' | 'stop' | 'pass-time';

test('every ask has exactly one outcome, whatever happens to the one who is asked', () => {
  const steps = fc.constantFrom<Step>('answer', 'answer-late', 'keep', 'fail', 'stop', 'pass-time');
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 40 }), (story) => {
      const { system, advance, settle, clock } = setup({ pendingAsksMax: 8 });
      const kept: ((answer: number) => void)[] = [];
      const ref = system.spawn<Step, number>({
        name: 'target',
        supervision: {
          type: 'restart',
          restartsMax: 2,
          withinMs: 1000,
          backoffMs: 30,
          backoffMsMax: 60,
          escalate: 'stop',
        },
        mailbox: { capacity: 3, whenFull: 'drop-oldest' },
        create: () => ({
          receive(step, reply): void {
            if (step === 'fail') throw new Error('as told');
            if (step === 'answer') reply(1);
            else kept.push(reply);
          },
        }),
      });
      const outcomes = story.map((): AskOutcome<number>[] => []);

      story.forEach((step, index) => {
        if (step === 'pass-time') advance(20);
        if (step === 'stop') system.stop('target');
        if (step === 'answer-late') for (const reply of kept) reply(2);
        ref.ask(step, 50, (outcome) => outcomes[index]?.push(outcome));
        if (index % 4 === 3) settle();
      });
      advance(10_000);

      assert.ok(outcomes.every((ofOne) => ofOne.length === 1));
      assert.equal(system.asks.pendingCount, 0);
      assert.equal(clock.pending, 0);
    }),
  );
});

test('askPromise gives failures as values', async () => {
  const { system, settle } = setup();
  const ref = system.spawn<number, number>({
    name: 'doubler',
    supervision: { type: 'stop' },
    create: () => ({ receive: (message, reply) => reply(message * 2) }),
  });

  const answered = askPromise(ref, 21, 1000);
  settle();
  system.stop('doubler');
  const stopped = askPromise(ref, 21, 1000);
  settle();

  assert.deepEqual(await answered, { type: 'answer', answer: 42 });
  assert.deepEqual(await stopped, { type: 'failed', code: 'stopped', message: 'main/doubler has stopped' });
});
