/**
 * Settings of a node. Each has one name: a flag (`--http-addr`), a variable (`CARILLON_HTTP_ADDR`) and a key in the
 * settings file (`http-addr`); a flag wins over a variable, that over the file. All mistakes are told at once.
 *
 *   settings-table.ts   which there are, for which commands, with which defaults
 *   settings-text.ts    how the text of one is read
 *   settings-rules.ts   what they must not be together
 *   cli/secrets.ts      the files that some of them name
 */
import { availableParallelism, hostname } from 'node:os';
import { CodedError, type Fault } from './base/errors.ts';
import type { Zones } from './jobs/zone.ts';
import { brokenRules } from './settings-rules.ts';
import {
  HOST_NAME,
  type HttpAddress,
  type NodeCommand,
  type NodeSettings,
  PROCESSORS,
  REQUIRED,
  SETTINGS,
  type SettingName,
  type SettingRow,
  settingsFor,
  variableOf,
} from './settings-table.ts';

/** Of a node that always answers HTTP: `dev` and `server`. */
export interface Settings extends NodeSettings {
  readonly http: HttpAddress;
}

/** What was given where, as text: flags by name, the environment, the parsed settings file. */
export interface Given {
  readonly flags: Readonly<Record<string, string | readonly string[] | boolean | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: unknown;
  /** Default: that of the machine. */
  readonly hostName?: string;
}

/** Throws `settings` with all faults. */
export function readSettings(node: 'dev' | 'server', given: Given, zones: Zones): Settings;
export function readSettings(node: NodeCommand, given: Given, zones: Zones): NodeSettings;
export function readSettings(node: NodeCommand, given: Given, zones: Zones): NodeSettings {
  const { settings, faults } = checkSettings(node, given, zones);
  if (faults.length > 0) throw settingsError(faults);
  return settings as NodeSettings;
}

/** For those who have more to check before they tell all: `settings` lacks what is at fault. */
export function checkSettings(
  node: NodeCommand,
  given: Given,
  zones: Zones,
): { readonly settings: Partial<NodeSettings>; readonly faults: readonly Fault[] } {
  const faults = unknownKeys(node, given.file);
  const names = new Set<string>();
  const settings: Record<string, unknown> = { ...unusedSettings(node, zones), given: names };
  for (const [name, row, standard] of settingsFor(node)) {
    const own = given.flags[name] ?? given.environment[variableOf(name)] ?? fileValue(given.file, name);
    if (own !== undefined) names.add(name);
    const isMissing = own === undefined || (own === '' && standard === REQUIRED);
    const result = isMissing ? readStandard(name, row, standard, given, zones) : readOwn(name, row, own, zones);
    if (result.fault === undefined) settings[row.key] = result.value;
    else faults.push(result.fault);
  }
  faults.push(...brokenRules(node, settings));
  return { settings, faults };
}

export function settingsError(faults: readonly Fault[]): CodedError {
  const lines = faults.map(({ field, value, allowed, message }) => {
    const shown = value === undefined ? '' : `${JSON.stringify(value)} `;
    return `${field}: ${shown}${message}; allowed: ${allowed}`;
  });
  return new CodedError('settings', lines.join('\n'), { faults });
}

type Result = { readonly value: unknown; readonly fault?: undefined } | { readonly fault: Fault };

function readOwn(name: SettingName, row: SettingRow, own: string | readonly string[] | boolean, zones: Zones): Result {
  const text = typeof own === 'object' ? own.join('\n') : String(own);
  const value = row.read(text, zones);
  if (value !== undefined) return { value };
  return { fault: { field: name, value: withoutCredentials(own), allowed: row.allowed, message: 'is not allowed' } };
}

function readStandard(name: SettingName, row: SettingRow, standard: string, given: Given, zones: Zones): Result {
  switch (standard) {
    case REQUIRED: {
      const message = `must be given, by --${name} or ${variableOf(name)}`;
      return { fault: { field: name, value: undefined, allowed: row.allowed, message } };
    }
    case HOST_NAME: {
      const host = (given.hostName ?? hostname()).replace(/\..*$/s, '').toLowerCase();
      const value = row.read(host, zones);
      if (value !== undefined) return { value };
      const message = `is the name of this host and not allowed: give another, by --${name} or ${variableOf(name)}`;
      return { fault: { field: name, value: host, allowed: row.allowed, message } };
    }
    case PROCESSORS:
      return { value: 8 * availableParallelism() };
    case '':
      return { value: row.none === undefined ? row.read('', zones) : row.none };
    default:
      return { value: row.read(standard, zones) };
  }
}

/** What the command does not take has a value all the same, so that one type serves all. */
function unusedSettings(node: NodeCommand, zones: Zones): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const row of Object.values(SETTINGS) as SettingRow[]) {
    const [standard = ''] = Object.values(row.standards);
    if (row.standards[node] === undefined) {
      settings[row.key] = standard === '' && row.none !== undefined ? row.none : row.read(standard, zones);
    }
  }
  return settings;
}

function unknownKeys(node: NodeCommand, file: unknown): Fault[] {
  if (file === undefined) return [];
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    return [{ field: 'settings file', value: file, allowed: 'a JSON object', message: 'is no object' }];
  }
  const known: readonly string[] = settingsFor(node).map(([name]) => name);
  const allowed = known.join(', ');
  return Object.entries(file)
    .filter(([key]) => !known.includes(key))
    .map(([key, value]) => {
      const message = Object.hasOwn(SETTINGS, key) ? `is no setting of ${node}` : 'is no setting';
      return { field: key, value: withoutCredentials(value), allowed, message };
    });
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

/** An address of NATS may hold a password, which must not stand in a terminal or a log. */
function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials);
  return typeof value === 'string' ? value.replace(/\/\/.*@/g, '//…@') : value;
}
