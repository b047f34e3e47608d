/** What becomes of an execution that is open while the session that it was assigned to is over. */
import { lostFinish, refusedFinish } from '../executors/finishes.ts';
import type { Finish } from '../jobs/finish.ts';
import type { NodeRow } from '../scheduler/rows.ts';

/**
 * `node` is the registry's row now, undefined for one that is forgotten. Null while the node can still be asked.
 *
 * Of a session that was left it has never started, and may be placed anew. For suppose it did start:
 * - Only the boot that the session belongs to can have started it, since a node refuses what was assigned to another
 *   session; and that boot is the one that has left.
 * - A node says `leave` only when it holds nothing and owes nothing, and can start nothing any more. So the execution
 *   had ended before, its finish was in the outbox, and was let go there, which only an acknowledgement does.
 * - A leader acknowledges a finish when the entry that carries it is committed and applied. The node heard of that
 *   before it said `leave`, so a `close-session` that answers the leave stands behind that entry in every log in which
 *   it can be committed.
 * - Whoever sees this session closed by such an entry has therefore applied the finish, and the execution is not open.
 * Older sessions of the node are not vouched for: what is open there was given up.
 */
export function abandonedFinish(
  {
    execution,
    session,
    node,
  }: {
    readonly execution: string;
    /** That it was assigned to. */
    readonly session: number;
    readonly node: NodeRow | undefined;
  },
  nowMs: number,
): Finish | null {
  if (node?.isOpen === true) return null;
  if (node?.hasLeft === true && node.session === session) return refusedFinish(execution, 'never-started', nowMs);
  return lostFinish({ execution, startedAtMs: null }, 'the node was silent for too long', nowMs);
}
