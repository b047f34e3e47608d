import type { PeerStatus, RaftStatus } from '../../src/raft/raft-protocol.ts';

/** What a leader `a` says of servers that are all well, but for `change` of the nodes it is for. */
export function statusOf(
  voters: readonly string[],
  change: Partial<PeerStatus> = {},
  changed: readonly string[] = change.node === undefined ? [] : [change.node],
): RaftStatus {
  const others = [...new Set([...voters, ...changed])].filter((node) => node !== 'a');
  return {
    type: 'status',
    role: 'leader',
    term: 3,
    leader: 'a',
    configuration: { voters, outgoing: [], learners: [] },
    isConfigurationCommitted: true,
    lastIndex: 20,
    commitIndex: 20,
    appliedIndex: 20,
    firstIndex: 1,
    isWounded: false,
    peers: others.map((node) => ({
      matchIndex: 20,
      state: 'replicate',
      isActive: true,
      isWounded: false,
      ...(changed.includes(node) ? change : {}),
      node,
    })),
  };
}
