/**
 * Who leads (§5.2, §5.4.1, thesis §9.6). A server that hears no leader first asks, without changing anything, whether
 * it could win (pre-vote); only then does it raise its term. So a server that comes back from a partition, or whose
 * log is behind, disturbs nobody.
 */
import { strict as assert } from 'node:assert';
import { type VoteResult, voteResult } from './quorum.ts';
import { becomeLeader } from './replication.ts';
import type { RaftState } from './state.ts';
import type { Message, VoteAnswer, VoteRequest } from './types.ts';

/** The election timeout has passed, or someone asked for an election. Gives whether it began. */
export function startElection(state: RaftState): boolean {
  if (!canStand(state)) return false;
  campaign(state, 'pre-vote');
  return true;
}

/** The leader of this term wants this node to follow it: no need to ask first, nobody is disturbed (thesis §3.10). */
export function startTransferElection(state: RaftState): void {
  if (canStand(state)) campaign(state, 'transfer');
}

export function handleVoteRequest(state: RaftState, message: VoteRequest): void {
  // A pre-vote for a later term neither needs nor costs the vote of this one.
  const canVote =
    state.vote === message.from ||
    (state.vote === null && state.leader === null) ||
    (message.isPreVote && message.term > state.term);
  const isGranted = canVote && state.isVoter && state.log.isUpToDate(message.last);
  if (isGranted && !message.isPreVote) {
    state.electionElapsed = 0;
    state.vote = message.from;
  }
  answer(state, message, isGranted);
}

/** A vote that is refused for its old term: the answer tells the asker the term of today. */
export function refuseVote(state: RaftState, message: VoteRequest): void {
  answer(state, message, false);
}

/** To a candidate of either kind. */
export function handleVoteAnswer(state: RaftState, message: VoteAnswer): void {
  if (message.isPreVote !== (state.role === 'pre-candidate')) return;
  if (!state.voters.includes(message.from)) return;
  if (!state.votes.has(message.from)) state.votes.set(message.from, message.isGranted);
  const result = tally(state);
  if (result === 'lost') state.becomeFollower(state.term, null);
  if (result !== 'won') return;
  if (message.isPreVote) campaign(state, 'vote');
  else becomeLeader(state);
}

function canStand(state: RaftState): boolean {
  if (state.role === 'leader' || !state.isVoter || state.isInstalling) return false;
  return state.log.unstable.snapshot === null;
}

function campaign(state: RaftState, kind: 'pre-vote' | 'vote' | 'transfer'): void {
  const isPreVote = kind === 'pre-vote';
  if (isPreVote) state.becomePreCandidate();
  else state.becomeCandidate();
  const { id: from, log } = state;
  // The pre-vote is asked for the term that the candidate would take.
  const term = isPreVote ? state.term + 1 : state.term;
  for (const to of state.voters) {
    if (to === from) {
      state.sendAfterAppend({ type: 'vote-answer', from, to, term, isPreVote, isGranted: true });
    } else {
      const request = { type: 'vote-request', from, to, term, isPreVote, last: log.last } as const;
      state.send(kind === 'transfer' ? { ...request, isTransfer: true } : request);
    }
  }
}

function tally(state: RaftState): VoteResult {
  assert(state.votes.size <= state.voters.length);
  return voteResult(state.voters.map((voter) => state.votes.get(voter)));
}

/** A grant carries the term asked for, so that the pre-candidate can tell it from an old one; a refusal our own. */
function answer(state: RaftState, message: VoteRequest, isGranted: boolean): void {
  const reply: Message = {
    type: 'vote-answer',
    from: state.id,
    to: message.from,
    term: isGranted ? message.term : state.term,
    isPreVote: message.isPreVote,
    isGranted,
  };
  state.sendAfterAppend(reply);
}
