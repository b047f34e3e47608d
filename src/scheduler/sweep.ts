/** What a leader's sweep reads from the rows: everything that the scheduler acts on, whatever events were lost. */
import { keys, type NodeRow, type WaitRow } from './rows.ts';
import type { State } from './state.ts';
import { scanAll } from './state-scan.ts';

export interface Found {
  readonly nodes: readonly NodeRow[];
  readonly open: ReadonlyMap<string, string>;
  readonly waits: ReadonlyMap<string, WaitRow>;
  readonly due: readonly (readonly [string, number])[];
  readonly purges: readonly string[];
}

/** Due jobs up to the horizon; all the others whole: their numbers are bounded by slots and pending runs. */
export function scanFound(state: State, horizonMs: number, done: (error: Error | null, found: Found) => void): void {
  const nodes: NodeRow[] = [];
  const open = new Map<string, string>();
  const waits = new Map<string, WaitRow>();
  const due: [string, number][] = [];
  const purges: string[] = [];
  scanAll(
    state,
    [
      ['node/', 'node0'],
      ['open/', 'open0'],
      ['wait/', 'wait0'],
      ['purge/', 'purge0'],
      ['due/', keys.dueEnd(horizonMs)],
    ],
    ({ key, row }) => {
      if (row.type === 'node') nodes.push(row);
      else if (row.type === 'open') open.set(key.slice('open/'.length), row.node);
      else if (row.type === 'wait') waits.set(key, row);
      else if (row.type === 'purge') purges.push(keys.uidOfPurge(key));
      else if (row.type === 'due') due.push(keys.partsOfDue(key));
    },
    (error) => done(error, { nodes, open, waits, due, purges }),
  );
}
