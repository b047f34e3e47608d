/**
 * Whether a server is in the queue group of the NATS API. NATS gives each call to any server of the group, and nobody
 * asks another one when an answer is bad: so a server joins once it has been ready, for what it knew before it went down
 * may be old. Then it stays, as HTTP does, even without a leader: calls that come during an election are kept until it
 * is over, and a cluster without a majority still shows its jobs and says `no-leader` to writes. The price is small: a
 * server that alone loses the leader while NATS still reaches it refuses its share of the writes; but whatever cuts it
 * off is mostly NATS itself.
 */
import type { HealthView } from './backend.ts';

/** A server that starts into a cluster without a majority never gets ready: it joins so long after its start. */
export const JOIN_ANYWAY_MS = 5_000;

/** What these say of is mended by the cluster, and calls are answered meanwhile; all others keep a server out. */
const STAYS: ReadonlySet<string> = new Set(['leader', 'session']);

export class NatsGroup {
  readonly #startedMs: number;
  #mayJoin = false;

  /** Times are monotonic. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  belongs(checks: HealthView['checks'], nowMs: number): boolean {
    const failed = checks.filter(({ isOk }) => !isOk);
    if (failed.length === 0 || nowMs - this.#startedMs >= JOIN_ANYWAY_MS) this.#mayJoin = true;
    return this.#mayJoin && failed.every(({ name }) => STAYS.has(name));
  }
}
