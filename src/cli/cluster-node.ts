/** What servers and agents of a cluster have in common. */
import type { Settings } from '../config.ts';
import type { Member } from './cluster-member.ts';

export interface ClusterNode {
  /** '' without HTTP. */
  readonly url: string;
  readonly directory: string;
  /** Resolves when the node has stopped after a signal. */
  readonly ended: Promise<void>;
}

/** What servers and agents tell of themselves alike. */
export function nodeConfig(
  settings: Omit<Settings, 'http'>,
  { identity, formation }: Pick<Member, 'identity' | 'formation'>,
  version: string,
) {
  return {
    nodeName: settings.nodeName,
    cluster: settings.cluster,
    tags: settings.tags,
    slots: settings.slots,
    settings: {
      defaultZone: settings.defaultZone,
      defaultTargets: settings.defaultTargets,
      keepFiresMs: settings.keepFiresMs,
    },
    timing: { leaseMs: settings.leaseMs, marginMs: settings.leaseMarginMs },
    formation,
    identity,
    version,
  };
}
