/** Fields of a log line. `job`, `run`, `execution`, `node` and `term` keep these names everywhere. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where log lines go. Production: `pino-log.ts`, JSON lines on stderr. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines carry these fields as well. */
  with(fields: LogFields): Log;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * Where measurements go. Names and labels are those of `METRICS` in `metrics.ts`; unknown names throw, so that a
 * typing mistake shows in the first test. Production: `prom-metrics.ts`, one registry a thread.
 */
export interface Metrics {
  count(name: string, labels?: Labels, by?: number): void;
  gauge(name: string, value: number, labels?: Labels): void;
  /** `value` in seconds where the name ends in `_seconds`. */
  observe(name: string, value: number, labels?: Labels): void;
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
};

export const noMetrics: Metrics = { count() {}, gauge() {}, observe() {} };
