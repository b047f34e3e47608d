import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Mailbox } from '../../src/actors/mailbox.ts';

test('a mailbox behaves as a bounded list, whatever is pushed and taken', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('refuse' as const, 'drop-oldest' as const),
      fc.integer({ min: 1, max: 70 }),
      fc.array(fc.boolean(), { maxLength: 400 }),
      (whenFull, capacity, isPushes) => {
        const lost: unknown[] = [];
        const mailbox = new Mailbox<number>({ capacity, whenFull, onLost: (message) => lost.push(message) });
        const model: number[] = [];
        const modelLost: number[] = [];

        isPushes.forEach((isPush, step) => {
          if (isPush) {
            mailbox.push(step, step, step);
            if (model.length < capacity) model.push(step);
            else if (whenFull === 'refuse') modelLost.push(step);
            else {
              modelLost.push(...model.splice(0, 1));
              model.push(step);
            }
          } else if (model.length > 0) {
            assert.equal(mailbox.headAsk, model[0]);
            assert.equal(mailbox.shift(), model.shift());
          }
          assert.equal(mailbox.size, model.length);
          assert.equal(mailbox.oldestStampMs, model[0]);
        });

        assert.deepEqual(lost, modelLost);
      },
    ),
  );
});

test('a push says whether the message was taken', () => {
  const mailbox = new Mailbox<never>({ capacity: 1, whenFull: 'refuse', onLost: () => {} });

  assert.equal(mailbox.push('first', undefined, 0), true);
  assert.equal(mailbox.push('second', undefined, 0), false);
});
