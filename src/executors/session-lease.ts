/**
 * Whether this node may start work: it has heard a leader within the lease, and a leader has confirmed its session. A
 * rule: times are monotonic ms and passed in.
 *
 * A lapse of the lease takes the confirmation back, since the session may have been declared lost meanwhile.
 */
export class SessionLease {
  readonly #boot: number;
  readonly #leaseMs: number;
  #leader: string | null = null;
  #term = -1;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #welcomedBy: string | null = null;
  #session: number | null = null;
  #isConfirmed = false;

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
  get isHelloDue(): boolean {
    return this.#welcomedBy !== this.#leader || !this.#isConfirmed;
  }

  mayStart(nowMs: number): boolean {
    return this.#isConfirmed && nowMs - this.#heardAtMs <= this.#leaseMs;
  }

  /** A beacon; one of an older term is nobody's. */
  hear(leader: string, term: number, nowMs: number): 'old' | 'same-leader' | 'new-leader' {
    if (term < this.#term) return 'old';
    const isNew = leader !== this.#leader || term !== this.#term;
    if (nowMs - this.#heardAtMs > this.#leaseMs) this.#isConfirmed = false;
    this.#leader = leader;
    this.#term = term;
    this.#heardAtMs = nowMs;
    if (isNew) this.#welcomedBy = null;
    return isNew ? 'new-leader' : 'same-leader';
  }

  /** Sessions are log indexes, so a lower one is an old message. */
  welcome(leader: string, boot: number, session: number): 'old' | 'same-session' | 'new-session' {
    if (boot !== this.#boot || (this.#session !== null && session < this.#session)) return 'old';
    if (leader === this.#leader) {
      this.#welcomedBy = leader;
      this.#isConfirmed = true;
    }
    if (session === this.#session) return 'same-session';
    this.#session = session;
    return 'new-session';
  }
}
