/** Who waits for which run to end. Bounded; a wait that is over is forgotten. */
import { isFinished } from '../jobs/run.ts';
import type { FinishedRun } from './intent.ts';

interface Watcher {
  readonly untilMs: number;
  readonly tell: (finished: FinishedRun | null) => void;
  /** Called when the wait is over first. */
  readonly giveUp: () => void;
}

const WATCHERS_MAX = 10_000;

export class Watchers {
  readonly #byRun = new Map<string, Watcher[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False: there are too many already. */
  add(run: string, watcher: Watcher): boolean {
    if (this.#size >= WATCHERS_MAX) return false;
    const watchers = this.#byRun.get(run);
    if (watchers === undefined) this.#byRun.set(run, [watcher]);
    else watchers.push(watcher);
    this.#size += 1;
    return true;
  }

  /** `read` is called only where somebody waits. */
  tell(run: string, read: () => FinishedRun | null): void {
    const watchers = this.#byRun.get(run);
    if (watchers === undefined) return;
    this.#byRun.delete(run);
    this.#size -= watchers.length;
    const finished = read();
    for (const watcher of watchers) watcher.tell(finished);
  }

  /** Nobody will know these runs any more. */
  tellJob(uid: string): void {
    for (const run of this.#byRun.keys()) if (run.startsWith(`${uid}-`)) this.tell(run, () => null);
  }

  /** For all runs at once: those that have ended, and those that nobody knows any more. */
  tellEnded(read: (run: string) => FinishedRun | undefined): void {
    for (const run of this.#byRun.keys()) {
      const known = read(run);
      if (known === undefined || isFinished(known.run.state)) this.tell(run, () => known ?? null);
    }
  }

  dropOverdue(nowMs: number): void {
    for (const [run, watchers] of this.#byRun) {
      const kept = watchers.filter((watcher) => watcher.untilMs > nowMs);
      this.#size -= watchers.length - kept.length;
      if (kept.length === 0) this.#byRun.delete(run);
      else if (kept.length < watchers.length) this.#byRun.set(run, kept);
      for (const watcher of watchers) if (watcher.untilMs <= nowMs) watcher.giveUp();
    }
  }
}
