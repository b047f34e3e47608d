/**
 * The leader's side of a change of membership (thesis §4, with joint consensus): takes one change at a time, makes
 * learners voters once they have caught up, and leaves a joint configuration as soon as it is committed, also one that
 * an earlier leader began. A configuration is in force as soon as it stands in the log, here and everywhere.
 */
import { strict as assert } from 'node:assert';
import { encodeConfiguration } from './configuration.ts';
import { changeMembership, leaveJoint, promoteLearners } from './membership.ts';
import { jointVoteResult } from './quorum.ts';
import type { Configuration, ConfigurationChange } from './raft-protocol.ts';
import { appendEntries, broadcastAppend } from './replication.ts';
import type { RaftState } from './state.ts';
import { nameSuccessor, reviewTransfer } from './transfer.ts';

export type ConfigureResult =
  /** Appended there; or that place says already what was asked. */
  | { readonly type: 'configured'; readonly index: number; readonly term: number }
  | {
      readonly type: 'refused';
      readonly code: 'no-leader' | 'not-leader' | 'conflict' | 'invalid';
      readonly leader: string | null;
      readonly message: string;
    };

export function configure(state: RaftState, change: ConfigurationChange): ConfigureResult {
  const { leader, role, log } = state;
  if (role !== 'leader') {
    return refuse(leader === null ? 'no-leader' : 'not-leader', leader, 'only the leader changes who agrees');
  }
  // Else two leaders could each begin a change that the other does not know of (known bug 2).
  if (!state.hasCommittedInTerm || state.transfer !== null) {
    return refuse('no-leader', null, 'leadership is changing: ask again');
  }
  const { configuration, index } = log.configurations.latest;
  if (configuration.outgoing.length > 0 || !state.isConfigurationCommitted) {
    return refuse('conflict', leader, `a change is under way (entry ${index}): ask again once it is over`);
  }
  const result = changeMembership(configuration, change);
  if (result.type === 'invalid') return refuse('invalid', leader, result.message);
  if (result.type === 'unchanged') return { type: 'configured', index, term: log.term(index) ?? state.term };
  if (!hasActiveMajority(state, result.configuration.voters)) {
    return refuse('conflict', leader, 'of the voters that would be left, too few answer to decide anything');
  }
  place(state, result.configuration);
  return { type: 'configured', index: log.lastIndex, term: state.term };
}

/** After each commit. */
export function continueReconfiguration(state: RaftState): void {
  if (state.role !== 'leader' || !state.hasCommittedInTerm || !state.isConfigurationCommitted) return;
  const { configuration } = state.log.configurations.latest;
  if (configuration.outgoing.length > 0) {
    // A successor that was told to stand must not find its log too short.
    if (state.transfer === null) place(state, leaveJoint(configuration));
  } else if (!configuration.voters.includes(state.id)) {
    // It has led without counting itself until here; all were told of the commit before.
    nameSuccessor(state);
    state.becomeFollower(state.term, null);
  }
}

/** Leader, each tick. */
export function tickReconfiguration(state: RaftState): void {
  letGo(state);
  continueReconfiguration(state);
  if (state.role !== 'leader') return;
  promoteCaughtUp(state);
  state.lastIndexAtTick = state.log.lastIndex;
}

/**
 * A learner has caught up if it has all that the log held one tick ago, and answers: so it lags by less than a
 * heartbeat, and will not hold up the commits that need it as a voter (thesis §4.2.1).
 */
function promoteCaughtUp(state: RaftState): void {
  const { configuration } = state.log.configurations.latest;
  if (configuration.learners.length === 0 || configuration.outgoing.length > 0) return;
  if (!state.hasCommittedInTerm || !state.isConfigurationCommitted || state.transfer !== null) return;
  const ready = configuration.learners.filter(({ node, becomesVoter }) => {
    const progress = state.progressOf(node);
    const isWell = progress.isRecentlyActive && !progress.isWounded && progress.state === 'replicate';
    return becomesVoter && isWell && progress.match >= state.lastIndexAtTick;
  });
  if (ready.length === 0) return;
  const promoted = ready.map(({ node }) => node);
  const next = promoteLearners(configuration, promoted);
  if (hasActiveMajority(state, next.voters)) place(state, next);
}

/** Else the change could never be committed, or would be the last one that is. */
function hasActiveMajority(state: RaftState, voters: readonly string[]): boolean {
  const electorate = { voters, outgoing: [] };
  return jointVoteResult(electorate, (voter) => voter === state.id || isActive(state, voter) || undefined) === 'won';
}

function isActive(state: RaftState, peer: string): boolean {
  const progress = state.progress.get(peer);
  if (progress === undefined || progress.isWounded) return false;
  return progress.isRecentlyActive || progress.wasRecentlyActive;
}

function place(state: RaftState, configuration: Configuration): void {
  assert(state.role === 'leader' && state.isConfigurationCommitted, 'raft: two changes of membership at once');
  appendEntries(state, 'configuration', [encodeConfiguration(configuration)]);
  const { members } = state.log.configurations;
  for (const member of members) {
    const progress = state.progress.get(member);
    if (progress === undefined) state.track(member, state.log.lastIndex);
    else progress.ticksToLeave = null;
  }
  for (const [peer, progress] of state.progress) {
    if (peer !== state.id && !members.includes(peer))
      progress.ticksToLeave = TIMEOUTS_TO_LEAVE * state.limits.electionTicks;
  }
  reviewTransfer(state);
  broadcastAppend(state);
}

/** Who has left goes on getting the log for a while: so it learns that it has, and does not wait for a leader. */
function letGo(state: RaftState): void {
  if (!state.isConfigurationCommitted) return;
  for (const [peer, progress] of state.progress) {
    if (progress.ticksToLeave === null) continue;
    progress.ticksToLeave -= 1;
    if (progress.ticksToLeave <= 0) state.progress.delete(peer);
  }
}

function refuse(
  code: 'no-leader' | 'not-leader' | 'conflict' | 'invalid',
  leader: string | null,
  message: string,
): ConfigureResult {
  return { type: 'refused', code, leader, message };
}

const TIMEOUTS_TO_LEAVE = 2;
