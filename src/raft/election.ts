/**
 * Who leads (§5.2, §5.4.1, thesis §9.6). A server that hears no leader first asks, without changing anything, whether
 * it could win (pre-vote); only then does it raise its term. So a server that comes back from a partition, or whose
 * log is behind, disturbs nobody.
 */
import { jointVoteResult } from './quorum.ts';
import { becomeLeader } from './replication.ts';
import type { RaftState } from './state.ts';
import type { Message, VoteAnswer, VoteRequest } from './types.ts';

/** The election timeout has passed, or someone asked for an election. Gives whether it began. */
export function startElection(state: RaftState): boolean {
  if (!canStand(state)) return false;
  campaign(state, 'pre-vote');
  return true;
}

/** Nobody was heard for an election timeout. Who may not stand forgets its leader, so that it can vote for another. */
export function electionTimedOut(state: RaftState): void {
  state.electionElapsed = 0;
  if (!startElection(state)) state.becomeFollower(state.term, null);
}

/** The leader of this term wants this node to follow it: no need to ask first, nobody is disturbed (thesis §3.10). */
export function startTransferElection(state: RaftState): void {
  if (canStand(state)) campaign(state, 'transfer');
}

/**
 * Whether this server is a voter is not asked: the candidate may know a newer configuration, in which it is one, and
 * could not win without it (known bug 33). The candidate counts the votes of its own configuration only.
 */
export function handleVoteRequest(state: RaftState, message: VoteRequest): void {
  // A pre-vote for a later term neither needs nor costs the vote of this one.
  const canVote =
    state.vote === message.from ||
    (state.vote === null && state.leader === null) ||
    (message.isPreVote && message.term > state.term);
  // A log that has lost entries cannot tell whose log is at least as new (decision 0016).
  const isGranted = canVote && !state.isWounded && state.log.isUpToDate(message.last);
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
  if (message.from !== state.id && !state.voters.includes(message.from)) return;
  if (!state.votes.has(message.from)) state.votes.set(message.from, message.isGranted);
  const result = jointVoteResult(state.electorate, (voter) => state.votes.get(voter));
  if (result === 'lost') state.becomeFollower(state.term, null);
  if (result !== 'won') return;
  if (message.isPreVote) campaign(state, 'vote');
  // Not before its own vote is durable, even if the others are enough: after a crash it would not know that it has led
  // this term, could win it again, and give out the same places for other entries.
  else if (state.votes.get(state.id) === true) becomeLeader(state);
}

function canStand(state: RaftState): boolean {
  if (state.role === 'leader' || !isOrWasVoter(state) || state.isWounded || state.isInstalling) return false;
  return state.log.unstable.snapshot === null;
}

/**
 * Is this server a voter, or was it one in the last configuration that it knows to be committed? The newest log may be
 * that of a server that is just leaving: nobody else could win then (thesis §4.2.2). Its own vote does not count.
 */
function isOrWasVoter(state: RaftState): boolean {
  if (state.isVoter) return true;
  const { configuration } = state.log.configurations.at(state.log.committed);
  return !state.isConfigurationCommitted && [...configuration.voters, ...configuration.outgoing].includes(state.id);
}

function campaign(state: RaftState, kind: 'pre-vote' | 'vote' | 'transfer'): void {
  const isPreVote = kind === 'pre-vote';
  if (isPreVote) state.becomePreCandidate();
  else state.becomeCandidate();
  const { id: from, log } = state;
  // The pre-vote is asked for the term that the candidate would take.
  const term = isPreVote ? state.term + 1 : state.term;
  state.sendAfterAppend({ type: 'vote-answer', from, to: from, term, isPreVote, isGranted: true });
  for (const to of state.voters) {
    if (to === from) continue;
    const request = { type: 'vote-request', from, to, term, isPreVote, last: log.last } as const;
    state.send(kind === 'transfer' ? { ...request, isTransfer: true } : request);
  }
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
