/**
 * Leadership that is handed over (thesis §3.10), so that a server can stop without a second of silence: no proposals
 * any more, the follower gets what it lacks, and once it is level it is told to stand for election at once. Its vote
 * requests say so, since everybody else has heard the leader a moment ago. What comes too late changes nothing: after
 * one election timeout the leader goes on as before.
 */
import { sendAppend } from './replication.ts';
import type { RaftState } from './state.ts';

/** To `target`, or to the follower that is furthest. False if there is nobody to hand over to, or nothing to hand over. */
export function beginTransfer(state: RaftState, target: string | null): boolean {
  const isPossible = state.role === 'leader' && state.voters.some((voter) => voter !== state.id);
  if (!isPossible || (target !== null && !canTakeOver(state, target))) return false;
  // A second request neither prolongs the first, nor moves it unless it names somebody else.
  if (state.transfer !== null && (target === null || target === state.transfer.target)) return true;
  const chosen = target ?? furthestFollower(state);
  state.transfer = { target: chosen, isNamed: target !== null, elapsed: 0 };
  if (chosen !== null && !tellIfLevel(state, chosen)) sendAppend(state, chosen, true);
  return true;
}

/** A follower was heard. Also repeats the word that got lost. */
export function continueTransfer(state: RaftState, peer: string): void {
  const { transfer } = state;
  if (transfer === null || peer === state.id) return;
  if (transfer.target === null && canTakeOver(state, peer)) state.transfer = { ...transfer, target: peer };
  if (state.transfer?.target === peer) tellIfLevel(state, peer);
}

/** A target that is gone makes room for the next follower that is heard; one that was asked for ends the transfer. */
export function leaveTarget(state: RaftState, peer: string): void {
  if (state.transfer?.target !== peer) return;
  state.transfer = state.transfer.isNamed ? null : { ...state.transfer, target: null };
}

/** The configuration has changed: who does not vote any more cannot take over, and is waited for no longer. */
export function reviewTransfer(state: RaftState): void {
  const target = state.transfer?.target ?? null;
  if (target !== null && !canTakeOver(state, target)) state.transfer = null;
}

/** A leader that does not vote any more names who goes on, if anybody is level, and spares the others a timeout. */
export function nameSuccessor(state: RaftState): void {
  const successor = furthestFollower(state);
  if (successor !== null) tellIfLevel(state, successor);
}

export function tickTransfer(state: RaftState): void {
  const { transfer, limits } = state;
  if (transfer === null) return;
  const elapsed = transfer.elapsed + 1;
  state.transfer = elapsed < limits.electionTicks ? { ...transfer, elapsed } : null;
}

function canTakeOver(state: RaftState, peer: string): boolean {
  if (peer === state.id || !state.electorate.voters.includes(peer)) return false;
  return state.progress.get(peer)?.isWounded === false;
}

/** Null if nobody has been heard since the last check of the quorum. */
function furthestFollower(state: RaftState): string | null {
  const active = [...state.progress].filter(
    ([peer, progress]) => progress.isRecentlyActive && canTakeOver(state, peer),
  );
  const [best] = active.sort(([, left], [, right]) => right.match - left.match);
  return best?.[0] ?? null;
}

function tellIfLevel(state: RaftState, to: string): boolean {
  if (state.progressOf(to).match < state.log.lastIndex) return false;
  state.send({ type: 'timeout-now', from: state.id, to, term: state.term });
  return true;
}
