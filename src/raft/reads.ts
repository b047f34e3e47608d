/** ReadIndex, both sides: a leader that asks a quorum whether it still leads, and a follower that asks its leader. */
import { jointCommittedIndex } from './quorum.ts';
import type { ReadAsk, ReadRound } from './read-queue.ts';
import { sendHeartbeat } from './replication.ts';
import type { RaftState } from './state.ts';
import type { ReadRequest } from './types.ts';
import { noteWoundedLife } from './wounds.ts';

/** `isForwarded`: the question or its answer may get lost, so it is to be repeated. */
export type AskReadResult =
  | { readonly type: 'asked'; readonly id: number; readonly isForwarded: boolean }
  | { readonly type: 'refused'; readonly code: 'no-leader' | 'overloaded'; readonly leader: string | null };

/** A read begins here. With `id` the same again, for the first question may have been lost. */
export function askRead(state: RaftState, id: number = state.nextReadId): AskReadResult {
  const { role, leader, id: from, term } = state;
  if (leader === null) return { type: 'refused', code: 'no-leader', leader };
  const isLeader = role === 'leader';
  if (isLeader && !state.readQueue.add({ node: from, id })) return { type: 'refused', code: 'overloaded', leader };
  if (!isLeader) state.send(state.markWound({ type: 'read-request', from, to: leader, term, id }));
  state.nextReadId = Math.max(state.nextReadId, id + 1);
  return { type: 'asked', id, isForwarded: !isLeader };
}

/** Leader. At the bound of the queue nothing is said: the asker repeats it, and gives up in time. */
export function handleReadRequest(state: RaftState, message: ReadRequest): void {
  const progress = state.progress.get(message.from);
  // Before the index of its read is chosen, so that nothing is committed above it by what was lost (decision 0016).
  if (progress !== undefined && message.isWounded === true) noteWoundedLife(progress);
  state.readQueue.add({ node: message.from, id: message.id });
}

/**
 * Leader: begins the next round. A new leader does not know what is committed before an entry of its own term is, and
 * its commit index may lie below what was acknowledged (known bug 8): until then reads wait.
 */
export function beginReadRound(state: RaftState): void {
  if (!state.readQueue.isDue || !state.hasCommittedInTerm) return;
  state.readQueue.begin(state.log.committed);
  // At once, for a read should not take a tick. Only those who count are asked.
  for (const voter of state.voters) if (voter !== state.id) sendHeartbeat(state, voter, state.progressOf(voter));
  confirmReads(state);
}

/** Leader: somebody has answered. The position that a quorum has answered counts like an index it has. */
export function confirmReads(state: RaftState): void {
  const { readQueue } = state;
  if (readQueue.round === null) return;
  const position = jointCommittedIndex(state.electorate, (voter) => {
    if (voter === state.id) return readQueue.position;
    const progress = state.progressOf(voter);
    return progress.isWounded ? 0 : progress.readPosition;
  });
  const round = readQueue.confirm(position);
  if (round !== null) answerAll(state, round);
}

function answerAll(state: RaftState, { asks, index }: ReadRound): void {
  for (const ask of asks) answer(state, ask, index);
}

function answer(state: RaftState, { node, id }: ReadAsk, index: number): void {
  if (node === state.id) state.readResults.push({ id, index });
  else state.send({ type: 'read-answer', from: state.id, to: node, term: state.term, id, index });
}
