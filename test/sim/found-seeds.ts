/**
 * Seeds that have shown a fault once, with what it was. They stay, though each change of what nodes say to one another,
 * and of what this harness draws, makes a seed tell another story. To see one again, take the commit and undo the fix.
 */
export interface FoundSeed {
  readonly seed: number;
  readonly what: string;
  /** The last commit in which the seed shows it, with its fix undone; of this repository. */
  readonly commit: string;
}

export const FOUND_SEEDS: readonly FoundSeed[] = [
  {
    seed: 7,
    what: 'a job fired though it was disabled, and a repeat was answered before the server had applied the first call',
    commit: '0ff6cfe~1',
  },
  { seed: 13, what: 'a refused call was taken for the uid of a job, and the scheduler stopped', commit: '0ff6cfe~1' },
  {
    seed: 14,
    what: 'the toggle of a child whose ephemeral parent was gone stopped every server',
    commit: '0ff6cfe~1',
  },
  {
    seed: 24,
    what: 'a new leader’s beacons were taken for an old one’s, so no node worked for it',
    commit: '0ff6cfe~1',
  },
  {
    seed: 45,
    what: 'a disk that was to fail struck after the faults were over (a mistake of this harness)',
    commit: 'caf72e7~1',
  },
  {
    seed: 1_028,
    what: 'a leader whose clock was set back and then right slept as long as it had been behind',
    commit: 'when clocks began to jump',
  },
  {
    seed: 25,
    what: 'a repeat had a second effect: the first leader of a new cluster had gone by a clock that was days behind',
    commit: 'when the world grew',
  },
  {
    seed: 123,
    what: 'who was to take over asked others in lives that were over, for it had not heard them since they started anew',
    commit: 'when the world grew',
  },
  {
    seed: 162,
    what: 'a server whose disk hung was elected by the votes of others, and led a term that its disk had not heard of',
    commit: 'when the world grew',
  },
];
