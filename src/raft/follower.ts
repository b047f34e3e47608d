/** The follower's side: accept what fits, say precisely where it does not, take a snapshot (§5.3, §7). */
import { strict as assert } from 'node:assert';
import type { PlacedConfiguration } from './configuration.ts';
import { NO_HINT } from './replication.ts';
import type { RaftState } from './state.ts';
import { type Append, type EntryId, type Heartbeat, type LogPoint, UNKNOWN_CHAIN } from './types.ts';

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
    reject(state, message.from, previous.index, hint);
    return;
  }
  // Same index and term, so the same prefix (I3). If not, some server has broken its promise: no vote is safe here.
  const chain = log.point(previous.index).chain;
  // A wounded log knows its base by the state alone: from here on it goes by what the leader says.
  if (chain === UNKNOWN_CHAIN) log.restore(previous, log.configurations.at(previous.index));
  assert(
    chain === previous.chain || chain === UNKNOWN_CHAIN,
    `raft: log of ${message.from} differs below ${previous.index}, term ${previous.term}`,
  );
  const lastMatching = log.accept(previous, entries);
  log.commitTo(Math.min(message.commit, lastMatching));
  accept(state, message.from, lastMatching);
}

export function handleHeartbeat(state: RaftState, message: Heartbeat): void {
  // The leader knows that we have this much, so it cannot lie beyond our log; unless we have lost what it knows of.
  if (!state.isWounded) state.log.commitTo(message.commit);
  const { id: from, term } = state;
  const { from: to, position } = message;
  state.send(state.markWound({ type: 'heartbeat-answer', from, to, term, position }));
}

/**
 * The state machine stands at `point` now, by a snapshot. If the log has that place it stays, else it starts anew
 * there: a tail that conflicts must not survive (known bug: an endless loop of snapshots).
 */
export function restore(state: RaftState, point: LogPoint, configuration: PlacedConfiguration): void {
  assert(point.index > state.log.handedOn, `raft: snapshot ${point.index} is older than what was handed on`);
  const { log } = state;
  if (log.matches(point)) {
    log.commitTo(point.index);
    log.handedOn = point.index;
    log.appliedTo(point.index);
  } else {
    assert(state.role !== 'leader' && point.index > log.committed, 'raft: a snapshot contradicts what is committed');
    log.restore(point, configuration);
  }
  state.readEntries = [];
  if (state.leader !== null && state.role === 'follower') accept(state, state.leader, log.committed);
}

/** The log matches the leader's up to `index`. */
export function accept(state: RaftState, to: string, index: number): void {
  answer(state, to, index, false, NO_HINT);
}

/** Also to a leader of an older term, which learns the present one from it. */
export function reject(state: RaftState, to: string, index: number, hint: EntryId): void {
  answer(state, to, index, true, hint);
}

function answer(state: RaftState, to: string, index: number, isRejected: boolean, hint: EntryId): void {
  const { id: from, term } = state;
  state.sendAfterAppend(state.markWound({ type: 'append-answer', from, to, term, index, isRejected, hint }));
}
