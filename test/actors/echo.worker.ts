import type { ActorRef } from '../../src/actors/actor.ts';
import { serveThread } from '../../src/actors/thread-entry.ts';
import { CodedError } from '../../src/base/errors.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';

export interface EchoConfig {
  readonly greeting: string;
  /** How `start` behaves: fails with a code, ends the thread, or never settles. */
  readonly start?: 'refuse' | 'exit' | 'hang';
}

export type EchoMessage =
  | { readonly type: 'echo'; readonly value: unknown }
  | { readonly type: 'greet' }
  /** Is never answered. */
  | { readonly type: 'keep' }
  | { readonly type: 'throw' }
  | { readonly type: 'exit' }
  /** Answers, and ends the thread as soon as the answer is posted. */
  | { readonly type: 'greet-and-exit' }
  /** Answers nothing any more; sets the first word of `isSpinning`, which nothing else could tell. */
  | { readonly type: 'spin'; readonly isSpinning?: SharedArrayBuffer }
  | { readonly type: 'number'; readonly value: number }
  /** Answered with how many numbers came, and whether each was one more than the one before. */
  | { readonly type: 'count' }
  | { readonly type: 'tell-main'; readonly name: string; readonly times: number }
  | { readonly type: 'stop-mortal' };

serveThread<EchoConfig>({
  log: silentLog,
  metrics: noMetrics,
  start(config, system, link): void | Promise<void> {
    if (config.start === 'refuse') throw new CodedError('settings', 'greeting: must be polite');
    if (config.start === 'exit') process.exit(7);
    if (config.start === 'hang') return new Promise(() => {});
    system.spawn<EchoMessage, unknown>({
      name: 'echo',
      supervision: { type: 'stop' },
      mailbox: { capacity: 1_000_000, whenFull: 'refuse' },
      create: () => {
        let count = 0;
        let isInOrder = true;
        return {
          receive(message, reply): void {
            switch (message.type) {
              case 'echo':
                return reply(message.value);
              case 'greet':
                return reply(config.greeting);
              case 'keep':
                return;
              case 'throw':
                setImmediate(() => {
                  throw new Error('a bug outside of any actor');
                });
                return;
              case 'exit':
                return process.exit(3);
              case 'greet-and-exit':
                reply(config.greeting);
                system.atTurnEnd(() => system.atTurnEnd(() => process.exit(3)));
                return;
              case 'spin':
                if (message.isSpinning !== undefined) Atomics.store(new Int32Array(message.isSpinning), 0, 1);
                for (;;);
              case 'number':
                isInOrder &&= message.value === count;
                count++;
                return;
              case 'count':
                return reply({ count, isInOrder });
              case 'tell-main': {
                const target: ActorRef<number> = link.ref(message.name);
                for (let value = 0; value < message.times; value++) target.send(value);
                return;
              }
              case 'stop-mortal':
                return system.stop('mortal');
            }
          },
        };
      },
    });
    system.spawn({ name: 'mortal', supervision: { type: 'stop' }, create: () => ({ receive() {} }) });
    system.spawn({
      name: 'vital',
      supervision: { type: 'stop-process' },
      create: () => ({
        receive() {
          throw new CodedError('storage-failed', 'the disk is on fire');
        },
      }),
    });
    system.spawn({
      name: 'narrow',
      supervision: { type: 'stop' },
      mailbox: { capacity: 1, whenFull: 'refuse' },
      create: () => ({ receive() {} }),
    });
  },
  stop() {},
});
