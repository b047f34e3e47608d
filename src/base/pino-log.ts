/** `Log` over pino: JSON lines, or readable ones on a terminal; written at once, so that a dying process loses none. */
import { isatty } from 'node:tty';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { Log, LogFields } from './telemetry.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface PinoLogOptions {
  readonly level: LogLevel;
  /** Default: readable lines where stderr is a terminal. */
  readonly isReadable?: boolean;
  /** For tests; default: stderr. */
  readonly write?: (text: string) => void;
}

export function createPinoLog(options: PinoLogOptions): Log {
  const { write } = options;
  const sink: DestinationStream = write === undefined ? destination({ dest: STDERR, sync: true }) : { write };
  // Of the descriptor: `process.stderr` of a worker thread is a pipe to the main one, and no terminal ever.
  const isReadable = options.isReadable ?? isatty(STDERR);
  const stream = isReadable ? { write: (line: string) => sink.write(readableLine(line)) } : sink;
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(settings, stream));
}

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? NO_FIELDS, message),
    info: (message, fields) => logger.info(fields ?? NO_FIELDS, message),
    warn: (message, fields) => logger.warn(fields ?? NO_FIELDS, message),
    error: (message, fields) => logger.error(fields ?? NO_FIELDS, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}

const STDERR = 2;
const NO_FIELDS: LogFields = {};

/** `12:00:00.123 WARN  message  key=value …` */
function readableLine(json: string): string {
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(json) as Record<string, unknown>;
  } catch {
    // Not a line of ours: better unreadable than lost.
    return json;
  }
  const { time, level, msg, ...fields } = line;
  const shown = Object.entries(fields).map(([key, value]) => `${key}=${valueText(value)}`);
  const clock = String(time).slice(11, 23);
  const tail = shown.length === 0 ? '' : `  ${shown.join(' ')}`;
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${String(msg ?? '')}${tail}\n`;
}

/** Text with blanks is quoted, but lines of a stack stay lines. */
function valueText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? '';
  return value.includes('\n') ? value : /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
