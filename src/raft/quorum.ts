/** Majorities. Recomputed by sorting each time: with at most seven voters nothing cleverer pays, or is as plainly right. */

export type VoteResult = 'won' | 'lost' | 'pending';

export function majority(voters: number): number {
  return (voters >> 1) + 1;
}

/** The highest index that a majority of the voters has reached; `matches` has one item per voter. */
export function committedIndex(matches: readonly number[]): number {
  if (matches.length === 0) return 0;
  const sorted = [...matches].sort((left, right) => right - left);
  return sorted[majority(sorted.length) - 1] as number;
}

/** Undefined is a vote that has not been cast. */
export function voteResult(votes: readonly (boolean | undefined)[]): VoteResult {
  const needed = majority(votes.length);
  const granted = votes.filter((vote) => vote === true).length;
  const refused = votes.filter((vote) => vote === false).length;
  if (granted >= needed) return 'won';
  return votes.length - refused >= needed ? 'pending' : 'lost';
}
