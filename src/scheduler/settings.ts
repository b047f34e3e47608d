/** Settings of the whole cluster: replicated, written at genesis from the flags, changed by `carillon cluster set`. */
export interface Settings {
  /** Zone of jobs that name none. Default `UTC`. */
  readonly defaultZone: string;
  /** How many matching nodes a job without `targets` and without counts runs on. Default `all`, as Dkron. */
  readonly defaultTargets: 'all' | number;
  /** How long fires are kept, ms. Default 400 days. */
  readonly keepFiresMs: number;
  /** Pending runs at most, in the whole cluster. Default 100,000. */
  readonly pendingRunsMax: number;
}

export const DEFAULT_SETTINGS: Settings = {
  defaultZone: 'UTC',
  defaultTargets: 'all',
  keepFiresMs: 400 * 24 * 3_600_000,
  pendingRunsMax: 100_000,
};
