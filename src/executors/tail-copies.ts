/** A full tail that is to be sent now, and to whom. */
export interface TailDue {
  readonly execution: string;
  readonly servers: readonly string[];
}

export interface TailLimits {
  /** Delay before a tail is sent again: first, then doubled up to the maximum. */
  readonly resendMs: number;
  readonly resendMsMax: number;
}

interface Tail {
  readonly execution: string;
  readonly bytes: number;
  readonly storedBy: Set<string>;
  sentTo: readonly string[];
  /** Place among the servers from which on the next ones are looked for. */
  turn: number;
  nextMs: number;
  delayMs: number;
}

/**
 * Which full tails still need copies, and which servers are tried next. Each time a tail is sent the choice goes on
 * around the servers that do not have it, so that every one of them is tried sooner or later; one that has not stored
 * what it was sent comes after the others for a while. A rule: times are passed in (monotonic ms).
 */
export class TailCopies {
  readonly #limits: TailLimits;
  /** This node, where it is a server: a copy here costs no network. */
  readonly #own: string | null;
  readonly #tails = new Map<string, Tail>();
  /** Not sent yet, oldest first. */
  readonly #fresh = new Map<string, Tail>();
  /** Sent at least once, least recently sent first. */
  readonly #again = new Map<string, Tail>();
  /** Nothing is due again before. */
  #againFromMs = Number.POSITIVE_INFINITY;
  readonly #silentUntilMs = new Map<string, number>();
  #nextTurn = 0;

  constructor(limits: TailLimits, own: string | null) {
    this.#limits = limits;
    this.#own = own;
  }

  add(execution: string, bytes: number): void {
    const { resendMs: delayMs } = this.#limits;
    const tail = {
      execution,
      bytes,
      storedBy: new Set<string>(),
      sentTo: [],
      turn: this.#nextTurn,
      nextMs: 0,
      delayMs,
    };
    this.#nextTurn += 1;
    this.#tails.set(execution, tail);
    this.#fresh.set(execution, tail);
  }

  delete(execution: string): void {
    this.#tails.delete(execution);
    this.#fresh.delete(execution);
    this.#again.delete(execution);
  }

  /** A server has said that it holds this tail. */
  stored(execution: string, server: string): void {
    this.#silentUntilMs.delete(server);
    this.#tails.get(execution)?.storedBy.add(server);
  }

  /** How many servers hold it; as many as are wanted, and more, where there is no tail at all. */
  copies(execution: string): number {
    return this.#tails.get(execution)?.storedBy.size ?? Number.POSITIVE_INFINITY;
  }

  /**
   * What is due, up to about `bytesMax` bytes; it counts as sent. New tails and those that are sent again take turns:
   * neither kind can keep the other waiting.
   */
  takeDue(nowMs: number, servers: readonly string[], copiesWanted: number, bytesMax: number): readonly TailDue[] {
    const taken: Tail[] = [];
    let bytes = 0;
    const lines = [this.#fresh.values(), this.#dueAgain(nowMs)];
    for (let isOver = false; !isOver && bytes < bytesMax; ) {
      isOver = true;
      for (const line of lines) {
        const next = line.next();
        if (next.done === true) continue;
        isOver = false;
        taken.push(next.value);
        // What only waits for its finish to be committed costs nothing.
        if (next.value.storedBy.size < copiesWanted) bytes += next.value.bytes;
      }
    }
    return taken.flatMap((tail) => {
      const due = { execution: tail.execution, servers: this.#choose(tail, nowMs, servers, copiesWanted) };
      this.#sent(tail, nowMs, due.servers);
      return due.servers.length > 0 ? [due] : [];
    });
  }

  *#dueAgain(nowMs: number): Generator<Tail, undefined> {
    if (nowMs < this.#againFromMs) return undefined;
    let fromMs = Number.POSITIVE_INFINITY;
    for (const tail of this.#again.values()) {
      if (tail.nextMs <= nowMs) yield tail;
      else fromMs = Math.min(fromMs, tail.nextMs);
    }
    // All were looked at; those that are sent now come back in with their next time.
    this.#againFromMs = fromMs;
    return undefined;
  }

  #choose(tail: Tail, nowMs: number, servers: readonly string[], copiesWanted: number): readonly string[] {
    for (const server of tail.sentTo) {
      if (!tail.storedBy.has(server)) this.#silentUntilMs.set(server, nowMs + this.#limits.resendMsMax);
    }
    const start = tail.turn % Math.max(1, servers.length);
    const missing = [...servers.slice(start), ...servers.slice(0, start)].filter(
      (server) => !tail.storedBy.has(server),
    );
    const rank = (server: string): number => {
      if ((this.#silentUntilMs.get(server) ?? 0) > nowMs) return 2;
      return server === this.#own ? 0 : 1;
    };
    const chosen = missing
      .toSorted((left, right) => rank(left) - rank(right))
      .slice(0, Math.max(0, copiesWanted - tail.storedBy.size));
    const last = chosen.findLast((server) => server !== this.#own);
    if (last !== undefined) tail.turn = servers.indexOf(last) + 1;
    return chosen;
  }

  #sent(tail: Tail, nowMs: number, servers: readonly string[]): void {
    tail.sentTo = servers;
    tail.nextMs = nowMs + tail.delayMs;
    tail.delayMs = Math.min(2 * tail.delayMs, this.#limits.resendMsMax);
    this.#fresh.delete(tail.execution);
    this.#again.delete(tail.execution);
    this.#again.set(tail.execution, tail);
    this.#againFromMs = Math.min(this.#againFromMs, tail.nextMs);
  }
}
