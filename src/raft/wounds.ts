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

/** Leader: takes notice of what an answer says about the log it comes from. */
export function noteWound(progress: Progress, answer: { readonly isWounded?: true }): 'healed' | 'wounded' | null {
  const isWounded = answer.isWounded === true;
  if (isWounded === progress.isWounded) return null;
  progress.isWounded = isWounded;
  if (!isWounded) return 'healed';
  progress.restart();
  return 'wounded';
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
  state.wound = { ...wound, isHealed: true };
  state.hasHealed = true;
}
