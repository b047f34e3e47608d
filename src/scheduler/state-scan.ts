import type { StateRow } from './rows.ts';
import type { State } from './state.ts';

const PAGE_ROWS = 1_000;

/** Walks ranges of the state page by page, one after another, and calls `done` at the end or at the first error. */
export function scanAll(
  state: Pick<State, 'scan'>,
  ranges: readonly (readonly [from: string, to: string])[],
  each: (found: { readonly key: string; readonly row: StateRow }) => void,
  done: (error: Error | null) => void,
): void {
  const [first, ...rest] = ranges;
  if (first === undefined) return done(null);
  const [from, to] = first;
  state.scan({ from, to, limit: PAGE_ROWS }, (error, rows, nextFrom) => {
    if (error !== null) return done(error);
    for (const found of rows) each(found);
    scanAll(state, nextFrom === null ? rest : [[nextFrom, to], ...rest], each, done);
  });
}
