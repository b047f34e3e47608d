import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import type { EnvelopeRefusal } from './envelope.ts';
import type { Channel } from './transport.ts';

export interface RefusedFramesOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Frames that were dropped unread: counted each, and told to people now and then. They are never answered. */
export class RefusedFrames {
  readonly #metrics: Metrics;
  readonly #log: Log;

  constructor({ clock, log, metrics }: RefusedFramesOptions) {
    this.#metrics = metrics;
    this.#log = rateLimited(log, clock, LINES_PER_MINUTE);
  }

  note(reason: EnvelopeRefusal, channel: Channel): void {
    this.#metrics.count('carillon_invalid_frames_total', { reason });
    // What was meant for a former life is normal after each restart.
    if (reason === 'boot') return;
    this.#log.warn('a frame was refused', { reason, channel, hint: HINTS[reason] });
  }
}

const LINES_PER_MINUTE = 6;
const HINTS: Readonly<Partial<Record<EnvelopeRefusal, string>>> = {
  mac: 'its sender has another cluster key: compare the files of --cluster-key-file',
  cluster: 'another cluster uses this cluster name on the same NATS: give one of them another name',
  version: 'its sender runs a version of Carillon that this one does not understand',
  replay:
    'somebody on this NATS sends again what nodes have said, or a copy of its sender runs: see who has the password',
};
