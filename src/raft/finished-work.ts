/** What ports have finished, kept in the actor: so a full mailbox delays it, but cannot lose it. */
export class FinishedWork {
  readonly #wake: () => void;
  #runs: (() => void)[] = [];
  #isStopped = false;

  /** `wake` sends the actor a message, with which it calls `runAll`. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** For the callback of a port: `run` is called as part of a message to the actor. */
  add(run: () => void): void {
    if (this.#isStopped) return;
    this.#runs.push(run);
    if (this.#runs.length === 1) this.#wake();
  }

  runAll(): void {
    if (this.#runs.length === 0) return;
    const runs = this.#runs;
    this.#runs = [];
    for (const run of runs) run();
  }

  stop(): void {
    this.#isStopped = true;
  }
}
