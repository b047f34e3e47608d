import type { Log, LogFields } from './telemetry.ts';
import type { Clock } from './time.ts';

const MINUTE_MS = 60_000;

/**
 * A log whose warnings are at most so many a minute; the first one of the next minute says how many were left out.
 * The other levels pass.
 */
export function rateLimited(log: Log, clock: Clock, perMinute: number): Log {
  return limit(log, { clock, perMinute, sinceMs: Number.NEGATIVE_INFINITY, count: 0, omitted: 0 });
}

interface Window {
  readonly clock: Clock;
  readonly perMinute: number;
  sinceMs: number;
  count: number;
  omitted: number;
}

/** Logs made by `with` share one window, else each set of fields would have its own budget. */
function limit(log: Log, window: Window): Log {
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    error: (message, fields) => log.error(message, fields),
    warn: (message, fields) => warn(log, window, message, fields),
    with: (fields) => limit(log.with(fields), window),
  };
}

function warn(log: Log, window: Window, message: string, fields: LogFields | undefined): void {
  const nowMs = window.clock.monotonic();
  if (nowMs - window.sinceMs >= MINUTE_MS) {
    window.sinceMs = nowMs;
    window.count = 0;
  }
  if (window.count >= window.perMinute) {
    window.omitted += 1;
    return;
  }
  window.count += 1;
  const omitted = window.omitted === 0 ? {} : { omitted: window.omitted };
  window.omitted = 0;
  log.warn(message, { ...fields, ...omitted });
}
