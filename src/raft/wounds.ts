/**
 * A log that has lost entries which it had acknowledged (decision 0016). Until it has them again the server takes part
 * in nothing that a majority decides: it neither votes nor stands, and what it acknowledges does not count.
 *
 *   wounded server                        leader
 *     read-request, wounded  ───────────► counts it no more, then asks a quorum of the others
 *     ◄─────────────── read-answer index  all that its lost acknowledgements helped to commit is at or below the index
 *     … follows like a learner …
 *     own log durable and committed up to the index: hasHealed ──► the shell makes it durable ──► healed
 */
import type { Progress } from './progress.ts';
import type { RaftState } from './state.ts';
import { UNKNOWN_CHAIN } from './types.ts';

/** Leader: takes notice of what an answer says about the log it comes from. */
export function noteWound(progress: Progress, answer: { readonly isWounded?: true }): void {
  const isWounded = answer.isWounded === true;
  if (isWounded === progress.isWounded) return;
  progress.isWounded = isWounded;
  // Either way what was known of its log is of another time: what it has is learnt, and then counted, anew.
  progress.restart();
}

/** Leader: the first word of each wounded life, before it can heal. It may have lost more than the life before it had. */
export function noteWoundedLife(progress: Progress): void {
  progress.isWounded = true;
  progress.restart();
}

/** Wounded: asks its leader how far the log must reach, again and again until it knows. */
export function askHowFar(state: RaftState): void {
  const { id: from, leader: to, role, term } = state;
  if (!state.isWounded || role !== 'follower' || to === null || (state.wound?.index ?? null) !== null) return;
  if (state.wound === null) {
    state.wound = { readId: state.nextReadId, index: null, isHealed: false };
    state.nextReadId += 1;
  }
  state.send(state.markWound({ type: 'read-request', from, to, term, id: state.wound.readId }));
}

/** True if this was the answer that it waited for. It holds under each later leader: what was committed stays so. */
export function learnHowFar(state: RaftState, id: number, index: number): boolean {
  if (state.wound?.readId !== id) return false;
  if (state.wound.index === null) state.wound = { ...state.wound, index };
  checkHealed(state);
  return true;
}

/** After each step that may have made the log longer, or durable. */
export function checkHealed(state: RaftState): void {
  const { wound } = state;
  if (wound === null || wound.index === null || wound.isHealed || state.log.handOnEnd <= wound.index) return;
  // Its own base is known by the state alone until a leader has told what lies there.
  if (state.log.base.chain === UNKNOWN_CHAIN) return;
  state.wound = { ...wound, isHealed: true };
  state.hasHealed = true;
}
