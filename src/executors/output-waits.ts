/** Somebody here who wants a tail that this server does not have. */
export interface OutputWait {
  /** Servers that may still have it: they were asked, and have not said that they do not. */
  readonly asked: Set<string>;
  /** Until then it may still arrive from its node, monotonic. */
  readonly arrivalUntilMs: number;
  /** The wait is over by then in any case. */
  readonly untilMs: number;
  /** Called once; null: it is nowhere, or the wait is over. */
  readonly done: (bytes: Uint8Array | null) => void;
}

/** Who waits for which tail. Bounded; a rule: times are passed in. */
export class OutputWaits {
  readonly #sizeMax: number;
  readonly #byExecution = new Map<string, Set<OutputWait>>();
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.#sizeMax;
  }

  has(execution: string): boolean {
    return this.#byExecution.has(execution);
  }

  add(execution: string, wait: OutputWait): void {
    const waits = this.#byExecution.get(execution);
    if (waits === undefined) this.#byExecution.set(execution, new Set([wait]));
    else waits.add(wait);
    this.#size += 1;
  }

  /** The tail is here now. */
  tell(execution: string, bytes: Uint8Array): void {
    for (const wait of this.#byExecution.get(execution) ?? []) this.#end(execution, wait, bytes);
  }

  /** This server does not have it. */
  missing(execution: string, server: string, nowMs: number): void {
    for (const wait of this.#byExecution.get(execution) ?? []) {
      wait.asked.delete(server);
      this.#endIfOver(execution, wait, nowMs);
    }
  }

  expire(nowMs: number): void {
    for (const [execution, waits] of this.#byExecution) {
      for (const wait of waits) this.#endIfOver(execution, wait, nowMs);
    }
  }

  #endIfOver(execution: string, wait: OutputWait, nowMs: number): void {
    const isHopeless = wait.asked.size === 0 && nowMs >= wait.arrivalUntilMs;
    if (isHopeless || nowMs >= wait.untilMs) this.#end(execution, wait, null);
  }

  #end(execution: string, wait: OutputWait, bytes: Uint8Array | null): void {
    const waits = this.#byExecution.get(execution);
    if (waits?.delete(wait) !== true) return;
    this.#size -= 1;
    if (waits.size === 0) this.#byExecution.delete(execution);
    wait.done(bytes);
  }
}
