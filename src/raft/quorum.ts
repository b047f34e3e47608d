/** Majorities. Recomputed by sorting each time: with at most seven voters nothing cleverer pays, or is as plainly right. */

/** Whose majorities count: one of `voters`, and while a change is under way one of `outgoing` as well (thesis §4.3). */
export interface Electorate {
  readonly voters: readonly string[];
  readonly outgoing: readonly string[];
}

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

/** The highest index that a majority of each side has reached. */
export function jointCommittedIndex(electorate: Electorate, matchOf: (voter: string) => number): number {
  const incoming = committedIndex(electorate.voters.map(matchOf));
  if (electorate.outgoing.length === 0) return incoming;
  return Math.min(incoming, committedIndex(electorate.outgoing.map(matchOf)));
}

/** Won if both sides are won, lost if one is. */
export function jointVoteResult(electorate: Electorate, voteOf: (voter: string) => boolean | undefined): VoteResult {
  const incoming = voteResult(electorate.voters.map(voteOf));
  if (electorate.outgoing.length === 0) return incoming;
  const outgoing = voteResult(electorate.outgoing.map(voteOf));
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}
