/**
 * Settings of a node. Each has one name: a flag (`--http-addr`), a variable (`CARILLON_HTTP_ADDR`) and a key in the
 * settings file (`http-addr`); a flag wins over a variable, that over the file. All mistakes are told at once.
 */
import { availableParallelism } from 'node:os';
import { isLoopbackHost } from './api/foreign-pages.ts';
import { CodedError, type Fault } from './base/errors.ts';
import { LOG_LEVELS, type LogLevel } from './base/pino-log.ts';
import { parseDuration } from './jobs/duration.ts';
import { isNodeName } from './jobs/ids.ts';
import type { Zones } from './jobs/zone.ts';

export interface Settings {
  readonly nodeName: string;
  readonly cluster: string;
  readonly http: { readonly host: string; readonly port: number };
  /** '' for a temporary one. */
  readonly dataDir: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  /** '' for none given. */
  readonly natsUrl: string;
  readonly natsCreds: string;
  readonly threads: number;
  readonly functionsDir: string;
  readonly inheritEnv: boolean;
  readonly logLevel: LogLevel;
  readonly defaultZone: string;
  readonly defaultTargets: 'all' | number;
  readonly keepFiresMs: number;
  readonly insecureNoAuth: boolean;
  /** How long running work may go on after the first signal. */
  readonly drainMs: number;
  /** Names of those that a flag, a variable or the file gave. */
  readonly given: ReadonlySet<string>;
}

interface SettingRow {
  readonly key: Exclude<keyof Settings, 'given'>;
  readonly help: string;
  readonly placeholder: string;
  /** As it would be written. */
  readonly standard: string;
  readonly allowed: string;
  /** Undefined: not allowed. */
  readonly read: (text: string, zones: Zones) => unknown;
}

const NAME = 'lower-case letters, digits, _ and -; at most 63';
const readName = (text: string) => (isNodeName(text) ? text : undefined);
const readText = (text: string) => text;
const readYesNo = (text: string) => (text === 'true' ? true : text === 'false' ? false : undefined);

/** By name, in the order of the help. */
export const SETTINGS = {
  'node-name': row('nodeName', 'NAME', 'dev', NAME, 'name of this node', readName),
  cluster: row('cluster', 'NAME', 'dev', NAME, 'name of the cluster', readName),
  'http-addr': row(
    'http',
    'HOST:PORT',
    '127.0.0.1:8080',
    'host:port, port 0 for a free one; other hosts than loopback need --insecure-no-auth',
    'where HTTP listens',
    readAddress,
  ),
  'data-dir': row(
    'dataDir',
    'DIR',
    '',
    'a directory that can be made and written',
    'where log and state lie; without it a temporary one',
    readText,
  ),
  tag: row('tags', 'K=V', '', 'key=value, any number of times', 'tag of this node, repeatable', readTags),
  slots: row(
    'slots',
    'N',
    String(8 * availableParallelism()),
    '0 to 10000',
    'executions at a time on this node; 0 keeps work off it',
    integer(0, 10_000),
  ),
  'nats-url': row(
    'natsUrl',
    'URL',
    '',
    'nats://host:port, several with commas',
    'NATS for the request/reply API; without it a nats-server on the PATH is started',
    readText,
  ),
  'nats-creds': row('natsCreds', 'FILE', '', 'a credentials file', 'credentials for NATS', readText),
  threads: row('threads', 'N', '2', '1 or 2', '1 keeps all actors on the main thread, for debugging', integer(1, 2)),
  'functions-dir': row(
    'functionsDir',
    'DIR',
    '',
    'a directory',
    'where modules of function jobs lie; without it there are none',
    readText,
  ),
  'inherit-env': row(
    'inheritEnv',
    '',
    'false',
    'true or false',
    'give shell and function jobs the whole environment of the node',
    readYesNo,
  ),
  'log-level': row('logLevel', 'LEVEL', 'info', LOG_LEVELS.join(', '), 'least level of log lines', (text) =>
    (LOG_LEVELS as readonly string[]).includes(text) ? text : undefined,
  ),
  'default-zone': row(
    'defaultZone',
    'ZONE',
    'UTC',
    'an IANA time zone',
    'zone of jobs that name none; of a new cluster',
    (text, zones) => (zones.table(text) === undefined ? undefined : text),
  ),
  'default-targets': row(
    'defaultTargets',
    'N',
    'all',
    'all, or 1 to 1000',
    'nodes for a job that does not say; of a new cluster',
    (text) => (text === 'all' ? text : integer(1, 1_000)(text)),
  ),
  'keep-fires': row(
    'keepFiresMs',
    'DURATION',
    '9600h',
    'a duration such as 9600h, at least 1h',
    'how long outcomes of nominal times are kept; of a new cluster',
    readKeep,
  ),
  'drain-timeout': row(
    'drainMs',
    'DURATION',
    '10s',
    'a duration such as 10s, at most 3h',
    'how long running work may go on after the first signal',
    (text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= 0 && ms <= 10_800_000 ? ms : undefined;
    },
  ),
  'insecure-no-auth': row(
    'insecureNoAuth',
    '',
    'false',
    'true or false',
    'listen on, and use a NATS on, other addresses than loopback without a token',
    readYesNo,
  ),
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof SETTINGS;

/** What was given where, as text: flags by name, the environment, the parsed settings file. */
export interface Given {
  readonly flags: Readonly<Record<string, string | readonly string[] | boolean | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: unknown;
}

/** Throws `settings` with all faults. */
export function readSettings(given: Given, zones: Zones): Settings {
  const faults: Fault[] = unknownKeys(given.file);
  const names = new Set<string>();
  const settings: Record<string, unknown> = { given: names };
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, SettingRow][]) {
    const own = given.flags[name] ?? given.environment[variableOf(name)] ?? fileValue(given.file, name);
    if (own !== undefined) names.add(name);
    const text = own ?? setting.standard;
    const value = setting.read(Array.isArray(text) ? text.join('\n') : String(text), zones);
    if (value === undefined) {
      faults.push({ field: name, value: text, allowed: setting.allowed, message: 'is not allowed' });
    } else settings[setting.key] = value;
  }
  const http = settings['http'] as Settings['http'] | undefined;
  if (http !== undefined && !isLoopbackHost(http.host) && settings['insecureNoAuth'] !== true) {
    const message = 'is not loopback, and there is no authentication: say --insecure-no-auth to allow it';
    faults.push({
      field: 'http-addr',
      value: `${http.host}:${http.port}`,
      allowed: '127.0.0.1, ::1 or localhost',
      message,
    });
  }
  if (faults.length > 0) throw new CodedError('settings', describe(faults), { faults });
  return settings as unknown as Settings;
}

export function variableOf(name: string): string {
  return `CARILLON_${name.toUpperCase().replaceAll('-', '_')}`;
}

function row(
  key: SettingRow['key'],
  placeholder: string,
  standard: string,
  allowed: string,
  help: string,
  read: SettingRow['read'],
): SettingRow {
  return { key, placeholder, standard, allowed, help, read };
}

function unknownKeys(file: unknown): Fault[] {
  if (file === undefined) return [];
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    return [{ field: 'settings file', value: file, allowed: 'a JSON object', message: 'is no object' }];
  }
  const known = Object.keys(SETTINGS);
  return Object.entries(file)
    .filter(([key]) => !known.includes(key))
    .map(([key, value]) => ({ field: key, value, allowed: known.join(', '), message: 'is no setting' }));
}

function fileValue(file: unknown, name: string): string | undefined {
  if (typeof file !== 'object' || file === null || !Object.hasOwn(file, name)) return undefined;
  const value = (file as Record<string, unknown>)[name];
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.join('\n');
  return Object.entries(value)
    .map(([key, text]) => `${key}=${String(text)}`)
    .join('\n');
}

function describe(faults: readonly Fault[]): string {
  const lines = faults.map(
    ({ field, value, allowed, message }) => `${field}: ${JSON.stringify(value)} ${message}; allowed: ${allowed}`,
  );
  return lines.join('\n');
}

function readAddress(text: string): Settings['http'] | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** One tag a line, or separated by commas in a variable. */
function readTags(text: string): Readonly<Record<string, string>> | undefined {
  const tags: [string, string][] = [];
  for (const part of text.split(/[\n,]/)) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    if (equals < 1) return undefined;
    tags.push([part.slice(0, equals), part.slice(equals + 1)]);
  }
  return Object.fromEntries(tags);
}

function integer(low: number, high: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? value : undefined;
  };
}

function readKeep(text: string): number | undefined {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= 3_600_000 ? ms : undefined;
}
