import { CodedError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { Presence } from './presence.ts';

export interface RemovalWatchOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  /** Index of the newest configuration that this server's log has. */
  readonly ownIndex: () => number;
  /** Whether that one names this server. */
  readonly isNamed: () => boolean;
  /** Called once. */
  readonly onRemoved: (error: CodedError) => void;
}

/** What was heard lately counts. */
const HEARD_MS = 5_000;
/** Longer than a server that is level needs to learn the same from its own log, which then decides. */
const CERTAIN_MS = 10_000;

/**
 * Notices on a running server that it belongs to the servers no longer. Its own log may never say so: whoever was
 * removed gets no entries any more. So it listens to the others: the newest configuration there is does not name it, and
 * that stays so. It would only stand about otherwise, looking like a server and answering from an old state.
 */
export function watchRemoval({ presence, clock, ownIndex, isNamed, onRemoved }: RemovalWatchOptions): void {
  let sinceMs: number | null = null;
  let isTold = false;
  presence.onBeat(() => {
    const nowMs = clock.monotonic();
    if (isNamedByNewest(nowMs)) {
      sinceMs = null;
      return;
    }
    sinceMs ??= nowMs;
    if (isTold || nowMs - sinceMs < CERTAIN_MS) return;
    isTold = true;
    const { nodeName, clusterName } = presence.identity;
    onRemoved(
      new CodedError(
        'foreign-directory',
        `server ${nodeName} was removed from cluster ${clusterName}, so it drains and stops. To bring it back start it ` +
          `with an empty data directory, and run: carillon cluster add ${nodeName}`,
      ),
    );
  });

  /** One that gets the whole log passes through configurations of times when it did not belong yet: the newest counts. */
  function isNamedByNewest(nowMs: number): boolean {
    const { nodeId, clusterUuid } = presence.identity;
    let newestIndex = ownIndex();
    let isMember = newestIndex === 0 || isNamed();
    let isAnybodyHeard = false;
    for (const { here } of presence.peers.heardWithin(HEARD_MS, nowMs)) {
      const isOfUs = here.isServer && here.stage === 'running' && here.clusterUuid === clusterUuid;
      if (!isOfUs) continue;
      isAnybodyHeard = true;
      if (here.membershipIndex <= newestIndex) continue;
      newestIndex = here.membershipIndex;
      isMember = here.voters?.includes(nodeId) === true || here.learners.includes(nodeId);
    }
    // In silence an old log says nothing.
    return isMember || !isAnybodyHeard;
  }
}
