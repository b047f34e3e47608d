import { strict as assert } from 'node:assert';
import { VOTERS_MAX } from './membership.ts';
import type { RaftState } from './state.ts';

/**
 * What must hold after every step, cheap enough for production: a server that finds itself wrong stops. I8 (order of
 * the indexes) and I11 (what a leader believes of its followers) of the reference.
 */
export function checkInvariants(state: RaftState): void {
  const { log } = state;
  assert(log.applied <= log.handedOn, 'raft: applied beyond what was handed on');
  assert(log.handedOn <= log.committed, 'raft: handed on beyond the commit index');
  assert(log.committed <= log.lastIndex, 'raft: commit index beyond the log');
  assert(log.base.index <= log.applied, 'raft: compacted beyond what is applied');
  if (state.role === 'leader') checkLeader(state);
  else assert(state.progress.size === 0, 'raft: progress without leadership');
  assert(state.role !== 'candidate' || state.vote === state.id, 'raft: a candidate that did not vote for itself');
  assert(
    state.role === 'follower' || state.role === 'leader' || state.leader === null,
    'raft: a candidate with a leader',
  );
}

function checkLeader(state: RaftState): void {
  const { log, limits } = state;
  assert(state.leader === state.id && state.vote === state.id, 'raft: a leader that did not elect itself');
  for (const member of log.configurations.members)
    assert(state.progress.has(member), 'raft: a member without progress');
  const { voters, outgoing } = state.electorate;
  assert(
    voters.length >= 1 && voters.length <= VOTERS_MAX && outgoing.length <= VOTERS_MAX,
    'raft: one to seven voters',
  );
  assert(!state.isWounded, 'raft: a leader whose log has lost entries');
  for (const progress of state.progress.values()) {
    assert(progress.match < progress.next, 'raft: next is not above match');
    assert(progress.next <= log.lastIndex + 1, 'raft: next beyond the log');
    assert(progress.inflights.count <= limits.inflightMessagesMax, 'raft: too many appends in flight');
  }
}
