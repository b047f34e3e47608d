import type { Random } from '../../src/base/random.ts';
import type { Clock } from '../../src/base/time.ts';

export interface Repetition {
  readonly clock: Clock;
  readonly random: Random;
  /** Mean time between two; 0: never. */
  readonly everyMs: number;
  readonly isOver: () => boolean;
}

/** Runs something again and again, at times that are drawn. */
export function repeat(repetition: Repetition, run: () => void): void {
  const { clock, random, everyMs, isOver } = repetition;
  if (everyMs === 0) return;
  clock.after(random() * 2 * everyMs, () => {
    if (isOver()) return;
    run();
    repeat(repetition, run);
  });
}
