import type { ActorSpec } from '../../src/actors/actor.ts';

export type LampMessage =
  | { readonly type: 'switch-on'; readonly forMs: number }
  | { readonly type: 'is-on' }
  /** To itself, when the time is over. */
  | { readonly type: 'time-is-over' };

/** A lamp that goes out by itself. Asked `is-on`, it answers with true or false. */
export const lamp: ActorSpec<LampMessage, boolean> = {
  name: 'lamp',
  supervision: {
    type: 'restart',
    restartsMax: 5,
    withinMs: 60_000,
    backoffMs: 100,
    backoffMsMax: 5_000,
    escalate: 'stop',
  },
  create: (context) => {
    let isOn = false;
    let timer = context.after(0, { type: 'time-is-over' });
    return {
      receive(message, reply): void {
        switch (message.type) {
          case 'switch-on':
            if (message.forMs <= 0) throw new Error(`a lamp cannot burn for ${message.forMs} ms`);
            isOn = true;
            timer.cancel();
            timer = context.after(message.forMs, { type: 'time-is-over' });
            return;
          case 'is-on':
            return reply(isOn);
          case 'time-is-over':
            isOn = false;
        }
      },
    };
  },
};
