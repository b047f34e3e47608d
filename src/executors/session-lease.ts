/**
 * Whether this node may start work: a leader has confirmed its session by the lease. A rule: times are monotonic ms and
 * passed in.
 *
 * The lease counts from when this node sent what the leader answers, since the leader counts its silence from when it
 * heard the same: so the lease is over before the session can be closed. What the node hears unasked proves nothing,
 * for its own words may not get through. A beacon only says whom to talk to.
 */
export class SessionLease {
  readonly #boot: number;
  readonly #leaseMs: number;
  #leader: string | null = null;
  #term = -1;
  #welcomedBy: string | null = null;
  #session: number | null = null;
  /** When the newest word of this node was sent that a leader has answered with the present session. */
  #answeredMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly boot: number; readonly leaseMs: number }) {
    this.#boot = options.boot;
    this.#leaseMs = options.leaseMs;
  }

  get leader(): string | null {
    return this.#leader;
  }

  get session(): number | null {
    return this.#session;
  }

  /** The leader does not know this boot, or has to confirm its session again. */
  isHelloDue(nowMs: number): boolean {
    return this.#welcomedBy !== this.#leader || !this.mayStart(nowMs);
  }

  mayStart(nowMs: number): boolean {
    return nowMs - this.#answeredMs <= this.#leaseMs;
  }

  /** A beacon; one of an older term is nobody's. */
  hear(leader: string, term: number): 'old' | 'same-leader' | 'new-leader' {
    if (term < this.#term) return 'old';
    const isNew = leader !== this.#leader || term !== this.#term;
    this.#leader = leader;
    this.#term = term;
    if (isNew) this.#welcomedBy = null;
    return isNew ? 'new-leader' : 'same-leader';
  }

  /** Sessions are log indexes, so a lower one is an old message. `echoMs` is when what it answers was sent here. */
  welcome(leader: string, boot: number, session: number, echoMs: number): 'old' | 'same-session' | 'new-session' {
    if (boot !== this.#boot || (this.#session !== null && session < this.#session)) return 'old';
    const isNew = session !== this.#session;
    // What was answered for another session says nothing about this one.
    if (isNew) this.#answeredMs = Number.NEGATIVE_INFINITY;
    if (leader === this.#leader) {
      this.#welcomedBy = leader;
      this.#answeredMs = Math.max(this.#answeredMs, echoMs);
    }
    this.#session = session;
    return isNew ? 'new-session' : 'same-session';
  }
}
