/** Which answers the judge may hold the product to as linearizable; the rest is held to what sessions promise. */
import type { Operation } from '../linearizability/history.ts';

/** By the contract: of a node that runs, and of one that is just starting. */
const STORAGE_EXIT_CODES = [7, 6] as const;

/** How a linearizable read is asked for; servers that do not know it ignore it. */
export const LINEARIZABLE_QUERY = 'consistent=true';

/**
 * `session`: reads come from the state of the server asked. `linearizable`: they see every write that was acknowledged
 * before, whoever took it.
 */
const READS: 'session' | 'linearizable' = 'linearizable';

/**
 * `local`: that there is no such job to delete is said by the state of the server that leads, or that believes so, without
 * an entry: it can miss a write that others have acknowledged. `linearizable`: it comes through the log.
 */
const NOT_FOUND: 'local' | 'linearizable' = 'linearizable';

/** How a node may end whose storage failed. */
export const STORAGE_ENDS: ReadonlySet<number | NodeJS.Signals | null> = new Set(STORAGE_EXIT_CODES);

/** Who reads everything once the cluster is at rest: then all servers must say the same, whatever reads promise. */
export const JUDGE = 'judge';

/** The others have no effect, so that leaving them out makes no history worse. */
export function isHeldLinearizable({ action, client, result }: Operation): boolean {
  if (action.type === 'get') return client === JUDGE || isLinearizable(READS);
  return !(result?.type === 'deleted' && !result.wasThere) || isLinearizable(NOT_FOUND);
}

function isLinearizable(promise: string): boolean {
  return promise === 'linearizable';
}
