import { roleOf } from './announcements.ts';
import type { PeerStatus, RaftStatus } from './raft-protocol.ts';
import type { RaftState } from './state.ts';

/** What an operator sees of a server. */
export function statusOf(state: RaftState): RaftStatus {
  const { term, leader, log, isConfigurationCommitted, isWounded } = state;
  return {
    type: 'status',
    role: roleOf(state),
    term,
    leader,
    configuration: log.configurations.latest.configuration,
    isConfigurationCommitted,
    lastIndex: log.lastIndex,
    commitIndex: log.committed,
    appliedIndex: log.applied,
    firstIndex: log.firstIndex,
    isWounded,
    peers: peersOf(state),
  };
}

/** Members only: of a server that is leaving it is of no interest how far it gets. */
function peersOf({ id, progress, log }: RaftState): PeerStatus[] {
  const peers: PeerStatus[] = [];
  for (const node of log.configurations.members) {
    const peer = progress.get(node);
    if (node === id || peer === undefined) continue;
    const { match: matchIndex, state, isRecentlyActive, wasRecentlyActive, isWounded } = peer;
    peers.push({ node, matchIndex, state, isActive: isRecentlyActive || wasRecentlyActive, isWounded });
  }
  return peers;
}
