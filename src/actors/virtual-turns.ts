import { Ring } from './ring.ts';
import type { Turns } from './turns.ts';

/** Turns that are taken when asked for, in the order in which they were scheduled. */
export class VirtualTurns implements Turns {
  readonly #runs = new Ring<() => void>();

  schedule(run: () => void): void {
    this.#runs.push(run);
  }

  /**
   * Takes turns until nobody wants one: then every mailbox is empty. More than `turnsMax` means actors that send to
   * each other for ever, and throws.
   */
  runAll(turnsMax = 100_000): void {
    for (let taken = 0; ; taken++) {
      const run = this.#runs.shift();
      if (run === undefined) return;
      if (taken >= turnsMax) throw new Error(`actors still had messages after ${turnsMax} turns without time moving`);
      run();
    }
  }
}
