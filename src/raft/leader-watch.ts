/**
 * What a follower thinks of its leader. As long as it was heard within an election timeout the follower stands by it
 * (its lease). A hint of the transport, that nobody listens where the leader was, shortens that to two heartbeats: a
 * leader that is well speaks in between, so that no hint, and not the same wrong hint at all followers, deposes it.
 *
 *   heard ──── silent for two ticks: probed each tick ──── silent for an election timeout: election
 *     ▲                                  └─ hint: election at once or a tick later, again soon if nothing comes of it
 *     └───────── any word of it: the hint was wrong
 */
import { randomInteger } from '../base/random.ts';
import { startElection } from './election.ts';
import type { RaftState } from './state.ts';

/** Has this node heard a leader so recently that a vote for another would only disturb? (thesis §4.2.3) */
export function isWithinLease(state: RaftState): boolean {
  const leaseTicks = state.isLeaderGone ? SILENT_TICKS : state.limits.electionTicks;
  return state.leader !== null && state.electionElapsed < leaseTicks;
}

/** The leader that this follower has not heard for two heartbeats; a frame to it may tell more. */
export function silentLeader(state: RaftState): string | null {
  return state.role === 'follower' && state.electionElapsed >= SILENT_TICKS ? state.leader : null;
}

/** The hint. Only asks sooner whether an election could be won: the term rises only once a majority agrees. */
export function suspectLeader(state: RaftState, node: string): void {
  if (state.role !== 'follower' || state.leader !== node || state.isLeaderGone) return;
  state.isLeaderGone = true;
  state.hurriedElections = 1;
  state.electionTimeout = Math.max(state.electionElapsed, SILENT_TICKS) + randomInteger(state.random, 0, 1);
  if (state.electionElapsed < state.electionTimeout) return;
  state.electionElapsed = 0;
  startElection(state);
}

const SILENT_TICKS = 2;
