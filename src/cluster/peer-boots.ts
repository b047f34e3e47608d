/**
 * The highest boot that was heard of each peer. What is meant for one life of a node must not reach its next, and what
 * an earlier life said no longer counts. Everything that hears peers on one thread may share one of these.
 */
export class PeerBoots {
  readonly #boots = new Map<string, number>();

  /** 0 for a peer that was never heard: frames to it go to whichever life it is in. */
  of(nodeId: string): number {
    return this.#boots.get(nodeId) ?? 0;
  }

  /** False where the peer was already heard in a later life. */
  hear(nodeId: string, boot: number): boolean {
    const known = this.of(nodeId);
    if (boot <= known) return boot === known;
    this.#boots.delete(nodeId);
    this.#boots.set(nodeId, boot);
    if (this.#boots.size > PEERS_MAX) this.#forgetOldest();
    return true;
  }

  /** Agents come and go under new ids. One that is forgotten too early only loses the guard until it is heard again. */
  #forgetOldest(): void {
    for (const oldest of this.#boots.keys()) {
      this.#boots.delete(oldest);
      return;
    }
  }
}

const PEERS_MAX = 10_000;
