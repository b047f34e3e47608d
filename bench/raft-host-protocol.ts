/** What the bench and its Raft hosts say to each other. */
import type { LookAnswer } from './raft-counter.ts';

export interface RaftHostConfig {
  /** nodeId: 32 hex characters. */
  readonly node: string;
  readonly voters: readonly string[];
  readonly clusterUuid: string;
  /** Of the cluster, in hex: frames are signed with it, as between servers. */
  readonly key: string;
  readonly directory: string;
  readonly natsPort: number;
  readonly natsToken: string;
  /** 0: the disk as it is. */
  readonly syncDelayMs: number;
}

export type ToHost = { readonly type: 'look'; readonly number: number; readonly isFresh: boolean } | { type: 'stop' };

export type FromHost =
  | { readonly type: 'up' }
  | { readonly type: 'seen'; readonly number: number; readonly seen: LookAnswer | null };

/** Where a host takes proposals. */
export function proposalSubject(node: string): string {
  return `bench.propose.${node}`;
}
