/** `open` while the fire's run is pending or was assigned and nothing is known of its start. */
export type FireOutcome = 'open' | 'ran' | 'skipped' | 'missed';

export type SkipReason = 'overlap' | 'paused' | 'disabled' | 'not-yet' | 'calendar' | 'expired' | 'limit';
export type MissReason = 'window-passed' | 'no-target' | 'shed';
/** '' for open and ran. */
export type FireReason = '' | SkipReason | MissReason;
