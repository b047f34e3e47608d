/** Settings of a node as flags of its command, and what was given read from all places. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { CodedError } from '../base/errors.ts';
import { checkSettings, type Given, type Settings, settingsError } from '../config.ts';
import { createIntlZones } from '../jobs/intl-zones.ts';
import { type NodeCommand, type NodeSettings, REQUIRED, settingsFor, variableOf } from '../settings-table.ts';
import { checkSecrets, type Secrets } from './secrets.ts';

/** As commander hands them to an action. */
export type NodeOptions = Readonly<Record<string, string | string[] | boolean>>;

/** Adds a flag for each setting that the command takes, and `--config`. */
export function addSettingOptions(command: Command, node: NodeCommand): Command {
  for (const [name, row, standard] of settingsFor(node)) {
    const flag = row.placeholder === '' ? `--${name}` : `--${name} <${row.placeholder}>`;
    const option = new Option(flag, `${row.help} (${variableOf(name)}${standardText(standard)})`);
    if (name === 'tag') option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  return command.option('--config <FILE>', 'settings file, JSON with the names above as keys (CARILLON_CONFIG)');
}

/** Settings and the files that they name. Throws `settings` with all faults of both. */
export async function loadSettings(
  node: 'dev' | 'server',
  options: NodeOptions,
): Promise<{ readonly settings: Settings; readonly secrets: Secrets }>;
export async function loadSettings(
  node: NodeCommand,
  options: NodeOptions,
): Promise<{ readonly settings: NodeSettings; readonly secrets: Secrets }>;
export async function loadSettings(
  node: NodeCommand,
  options: NodeOptions,
): Promise<{ readonly settings: NodeSettings; readonly secrets: Secrets }> {
  const { settings, faults } = checkSettings(node, await readGiven(node, options), createIntlZones());
  const { secrets, faults: ofFiles } = await checkSecrets(settings);
  if (faults.length + ofFiles.length > 0) throw settingsError([...faults, ...ofFiles]);
  return { settings: settings as NodeSettings, secrets };
}

/** From flags, environment and settings file. Throws `settings` where the file cannot be read. */
export async function readGiven(node: NodeCommand, options: NodeOptions): Promise<Given> {
  const flags: Record<string, string | readonly string[]> = {};
  for (const [name] of settingsFor(node)) {
    const value = options[camelCase(name)];
    if (value !== undefined) flags[name] = typeof value === 'boolean' ? String(value) : value;
  }
  const path = (options['config'] as string | undefined) ?? process.env['CARILLON_CONFIG'];
  return { flags, environment: process.env, file: path === undefined ? undefined : await readSettingsFile(path) };
}

function standardText(standard: string): string {
  if (standard === '' || standard === 'false') return '';
  return standard === REQUIRED ? `, ${standard}` : `, default ${standard}`;
}

async function readSettingsFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CodedError('settings', `settings file ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}
