/** The follower's side: accept what fits, say precisely where it does not, take a snapshot (§5.3, §7). */
import { strict as assert } from 'node:assert';
import { NO_HINT } from './replication.ts';
import type { RaftState } from './state.ts';
import type { Append, EntryId, Heartbeat, LogPoint } from './types.ts';

export function handleAppend(state: RaftState, message: Append): void {
  const { log } = state;
  const { previous, entries } = message;
  if (previous.index < log.committed) {
    // Old news. What is committed here matches every later leader, so that is a true answer.
    accept(state, message.from, log.committed);
    return;
  }
  if (!log.matches(previous)) {
    // No place above the hint can match: the leader's terms up to `previous` are at most `previous.term`.
    const hint = log.findConflictByTerm(Math.min(previous.index, log.lastIndex), previous.term);
    answer(state, message.from, previous.index, true, hint);
    return;
  }
  // Same index and term, so the same prefix (I3). If not, some server has broken its promise: no vote is safe here.
  const chain = log.point(previous.index).chain;
  assert(
    chain === previous.chain,
    `raft: log of ${message.from} differs below ${previous.index}, term ${previous.term}`,
  );
  const lastMatching = log.accept(previous, entries);
  log.commitTo(Math.min(message.commit, lastMatching));
  accept(state, message.from, lastMatching);
}

export function handleHeartbeat(state: RaftState, message: Heartbeat): void {
  // The leader knows that we have this much, so it cannot lie beyond our log.
  state.log.commitTo(message.commit);
  state.send({ type: 'heartbeat-answer', from: state.id, to: message.from, term: state.term });
}

/**
 * The state machine stands at `point` now, by a snapshot. If the log has that place it stays, else it starts anew
 * there: a tail that conflicts must not survive (known bug: an endless loop of snapshots).
 */
export function restore(state: RaftState, point: LogPoint): void {
  assert(point.index > state.log.handedOn, `raft: snapshot ${point.index} is older than what was handed on`);
  const { log } = state;
  if (log.matches(point)) {
    log.commitTo(point.index);
    log.handedOn = point.index;
    log.appliedTo(point.index);
  } else {
    assert(state.role !== 'leader' && point.index > log.committed, 'raft: a snapshot contradicts what is committed');
    log.restore(point);
  }
  state.readEntries = [];
  if (state.leader !== null && state.role === 'follower') accept(state, state.leader, log.committed);
}

function accept(state: RaftState, to: string, index: number): void {
  answer(state, to, index, false, NO_HINT);
}

function answer(state: RaftState, to: string, index: number, isRejected: boolean, hint: EntryId): void {
  state.sendAfterAppend({ type: 'append-answer', from: state.id, to, term: state.term, index, isRejected, hint });
}
