import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './telemetry.ts';

const RESOLUTION_MS = 10;

/** Watches how late this thread's event loop is. `sample` reports the longest delay since the last one. */
export class LoopDelay {
  readonly #thread: string;
  readonly #histogram: IntervalHistogram;

  constructor(thread: string) {
    this.#thread = thread;
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
  }

  sample(metrics: Metrics): void {
    // The histogram counts the whole interval of its timer.
    const delaySeconds = Math.max(0, this.#histogram.max / 1e9 - RESOLUTION_MS / 1000);
    this.#histogram.reset();
    metrics.gauge('carillon_event_loop_delay_seconds', delaySeconds, { thread: this.#thread });
  }
}
