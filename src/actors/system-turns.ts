import type { Turns } from './turns.ts';

/**
 * Turns of Node's event loop. An immediate runs after the I/O of the same round and before the next timers, so a
 * system with endless work gets slice after slice and still starves neither sockets nor timers.
 */
export const systemTurns: Turns = {
  schedule(run: () => void): void {
    setImmediate(run);
  },
};
