/**
 * Who is still there, judged by how long nobody heard from them, on the monotonic clock of the one who judges. Suspected
 * means silent for longer than L; down means silent for a margin more, in which the other side has noticed by itself
 * that it lost us. Nodes that were never heard are unknown, which is not down.
 */
export interface LivenessSettings {
  /** L. Default 5,000 ms. */
  readonly silentMsMax?: number;
  /** Default 2,000 ms. */
  readonly marginMs?: number;
  /** At the bound, the node that was silent for the longest is forgotten. Default 10,000. */
  readonly nodesMax?: number;
}

export type NodeState = 'unknown' | 'alive' | 'suspected' | 'down';

/** `older-boot`: a cloned or rolled-back disk, or a frame of an earlier life. It does not count as a sign of life. */
export type Heard = 'new' | 'same-boot' | 'newer-boot' | 'older-boot';

export class Liveness {
  readonly #silentMsMax: number;
  readonly #downAfterMs: number;
  readonly #nodesMax: number;
  /** Longest silent first: each sign of life moves a node to the end. */
  readonly #nodes = new Map<string, Sign>();

  constructor({ silentMsMax = 5_000, marginMs = 2_000, nodesMax = 10_000 }: LivenessSettings = {}) {
    this.#silentMsMax = silentMsMax;
    this.#downAfterMs = silentMsMax + marginMs;
    this.#nodesMax = nodesMax;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** `atMs` never goes back from call to call. */
  heard(nodeId: string, boot: number, atMs: number): Heard {
    const known = this.#nodes.get(nodeId);
    if (known !== undefined && boot < known.boot) return 'older-boot';
    this.#nodes.delete(nodeId);
    this.#nodes.set(nodeId, { boot, atMs });
    this.#forgetSurplus();
    if (known === undefined) return 'new';
    return boot > known.boot ? 'newer-boot' : 'same-boot';
  }

  stateOf(nodeId: string, nowMs: number): NodeState {
    const sign = this.#nodes.get(nodeId);
    return sign === undefined ? 'unknown' : this.#judge(sign, nowMs);
  }

  isAlive(nodeId: string, nowMs: number): boolean {
    return this.stateOf(nodeId, nowMs) === 'alive';
  }

  /** The highest boot counter that was heard. */
  bootOf(nodeId: string): number | undefined {
    return this.#nodes.get(nodeId)?.boot;
  }

  silentMs(nodeId: string, nowMs: number): number | undefined {
    const sign = this.#nodes.get(nodeId);
    return sign === undefined ? undefined : nowMs - sign.atMs;
  }

  /** Nodes in a state, longest silent first. */
  nodesIn(state: Exclude<NodeState, 'unknown'>, nowMs: number): string[] {
    const found: string[] = [];
    for (const [nodeId, sign] of this.#nodes) {
      if (this.#judge(sign, nowMs) === state) found.push(nodeId);
    }
    return found;
  }

  forget(nodeId: string): void {
    this.#nodes.delete(nodeId);
  }

  #judge(sign: Sign, nowMs: number): Exclude<NodeState, 'unknown'> {
    const silentMs = nowMs - sign.atMs;
    if (silentMs <= this.#silentMsMax) return 'alive';
    return silentMs <= this.#downAfterMs ? 'suspected' : 'down';
  }

  #forgetSurplus(): void {
    if (this.#nodes.size <= this.#nodesMax) return;
    for (const longestSilent of this.#nodes.keys()) {
      this.#nodes.delete(longestSilent);
      return;
    }
  }
}

interface Sign {
  readonly boot: number;
  readonly atMs: number;
}
