/** What servers and agents of a cluster have in common. */
import type { Settings } from '../config.ts';
import type { Member } from './cluster-member.ts';
import { nodeConfig } from './node-parts.ts';

export interface ClusterNode {
  /** '' without HTTP. */
  readonly url: string;
  readonly directory: string;
  /** Resolves when the node has stopped after a signal. */
  readonly ended: Promise<void>;
}

/** What servers and agents start with alike. */
export function clusterConfig(
  settings: Omit<Settings, 'http'>,
  { identity, formation }: Pick<Member, 'identity' | 'formation'>,
  version: string,
) {
  const { leaseMs, leaseMarginMs: marginMs, removeGoneAfterMs } = settings;
  const timing = { leaseMs, marginMs, removeGoneAfterMs };
  return { ...nodeConfig(settings, version), timing, formation, identity };
}
