/** When each node was last heard, by the leader's monotonic clock. Strangers are kept for a moment only. */
export interface PulseLimits {
  /** Heard within this: gets work. */
  readonly liveMs: number;
  /** Silent for longer: its session is closed. L plus margin. */
  readonly downMs: number;
}

export class Pulse {
  readonly #limits: PulseLimits;
  readonly #heardMs = new Map<string, number>();
  #sinceMs = 0;

  constructor(limits: PulseLimits) {
    this.#limits = limits;
  }

  /** A new leader gives everybody the time to be heard. */
  restart(nowMs: number): void {
    this.#heardMs.clear();
    this.#sinceMs = nowMs;
  }

  heard(node: string, nowMs: number): void {
    this.#heardMs.set(node, nowMs);
  }

  isLive(node: string, nowMs: number): boolean {
    const heardMs = this.#heardMs.get(node);
    return heardMs !== undefined && nowMs - heardMs <= this.#limits.liveMs;
  }

  isDown(node: string, nowMs: number): boolean {
    return nowMs - (this.#heardMs.get(node) ?? this.#sinceMs) > this.#limits.downMs;
  }

  /** Drops those who are not registered, but for who was heard just now: its session may be about to be opened. */
  keep(registered: ReadonlySet<string>, nowMs: number): void {
    for (const [node, heardMs] of this.#heardMs) {
      if (!registered.has(node) && nowMs - heardMs > this.#limits.downMs) this.#heardMs.delete(node);
    }
  }
}
