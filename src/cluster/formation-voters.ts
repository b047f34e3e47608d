import type { Clock } from '../base/time.ts';
import { type IdentityFiles, joinCluster } from './identity.ts';
import type { Presence } from './presence.ts';

export interface VoterWatchOptions {
  readonly files: IdentityFiles;
  readonly clock: Clock;
  readonly onMustStop: (error: unknown) => void;
  readonly onVoters?: (formation: { readonly clusterUuid: string; readonly voters: readonly string[] }) => void;
}

const HEARD_MS = 5_000;

/** Notes, on an agent that runs, which servers vote by now: one look a beat, so that nobody can make it write more. */
export function watchVoters({ files, clock, onVoters, onMustStop }: VoterWatchOptions, presence: Presence): void {
  let isLooking = false;
  look();
  presence.onBeat(look);

  function look(): void {
    if (isLooking) return;
    isLooking = true;
    note()
      .catch(onMustStop)
      .finally(() => {
        isLooking = false;
      });
  }

  async function note(): Promise<void> {
    const { identity } = presence;
    const { clusterUuid } = identity;
    const voters = votersHeard(presence, clock.monotonic());
    if (clusterUuid === null || voters === undefined || voters.join() === identity.voters?.join()) return;
    presence.become({ identity: await joinCluster(files, identity, clusterUuid, voters) });
    onVoters?.({ clusterUuid, voters });
  }
}

/** What the server of this cluster says that knows the newest membership; of several the one that spoke last. */
function votersHeard({ peers, identity }: Presence, nowMs: number): readonly string[] | undefined {
  const servers = peers
    .heardWithin(HEARD_MS, nowMs)
    .filter(({ here }) => here.isServer && here.stage === 'running' && here.clusterUuid === identity.clusterUuid);
  const [newest] = servers.sort(
    (left, right) => right.here.membershipIndex - left.here.membershipIndex || right.heardMs - left.heardMs,
  );
  return newest?.here.voters ?? undefined;
}
