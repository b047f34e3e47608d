import type { Here } from './presence-word.ts';

/** What was last heard of another life. */
export interface Peer {
  readonly nodeId: string;
  readonly boot: number;
  readonly here: Here;
  /** Monotonic. */
  readonly heardMs: number;
  /** It has answered this life, so it lived after this life had begun: no late word of somebody gone. */
  readonly isProven: boolean;
}

/** Nodes remembered; beyond them the one that was silent longest is forgotten. */
export const PEERS_MAX = 4096;
/** Many lives that never get past their start are a crash loop, or rubbish. */
export const STARTING_MAX = 256;

/**
 * Everybody else who was heard: of each node its newest life past the start, and beside it lives that still start,
 * since those may be refused and must hide nobody.
 */
export class Peers {
  /** By nodeId. Least recently heard first, as is the other map. */
  readonly #arrived = new Map<string, Peer>();
  /** By life. */
  readonly #starting = new Map<string, Peer>();

  hear(heard: Peer): void {
    const { nodeId, here } = heard;
    if (here.stage === 'starting') {
      remember(this.#starting, here.life, heard, STARTING_MAX);
      return;
    }
    this.#starting.delete(here.life);
    const former = this.#arrived.get(nodeId);
    // Of an older life: late, or of a process that is about to notice that it was replaced.
    if (former !== undefined && former.boot > heard.boot) return;
    remember(this.#arrived, nodeId, heard, PEERS_MAX);
  }

  /** Starting lives included, but for those of a node whose earlier life was heard as lately. */
  heardWithin(ageMs: number, nowMs: number): Peer[] {
    const isRecent = ({ heardMs }: Peer) => nowMs - heardMs <= ageMs;
    const arrived = [...this.#arrived.values()].filter(isRecent);
    const nodeIds = new Set(arrived.map(({ nodeId }) => nodeId));
    return [...arrived, ...[...this.#starting.values()].filter((peer) => isRecent(peer) && !nodeIds.has(peer.nodeId))];
  }

  /** Every life of everybody that was heard so lately; for conflicts. */
  livesWithin(ageMs: number, nowMs: number): Peer[] {
    return [...this.#arrived.values(), ...this.#starting.values()].filter(({ heardMs }) => nowMs - heardMs <= ageMs);
  }

  /** The newest life past the start, however long ago it was heard. */
  get(nodeId: string): Peer | undefined {
    return this.#arrived.get(nodeId);
  }
}

function remember(peers: Map<string, Peer>, key: string, heard: Peer, countMax: number): void {
  const former = peers.get(key);
  const wasProven = former?.isProven === true && former.here.life === heard.here.life;
  peers.delete(key);
  peers.set(key, wasProven ? { ...heard, isProven: true } : heard);
  if (peers.size <= countMax) return;
  for (const oldest of peers.keys()) {
    peers.delete(oldest);
    return;
  }
}
