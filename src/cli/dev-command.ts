/** `carillon dev`: one node with everything in it, for a laptop and for trying things out. */
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { CodedError } from '../base/errors.ts';
import { readSettings, SETTINGS, type SettingName, variableOf } from '../config.ts';
import { createIntlZones } from '../jobs/intl-zones.ts';
import { describeStart } from './dev-banner.ts';
import { startDevNode } from './dev-node.ts';
import { putSampleJob } from './dev-sample.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';

export function devCommand(version: string): Command {
  const command = new Command('dev')
    .description('start one node with everything in it (no NATS, no cluster needed)')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : NODE_EXIT_CODES.settings));
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const flag = setting.placeholder === '' ? `--${name}` : `--${name} <${setting.placeholder}>`;
    const standard = setting.standard === '' || setting.standard === 'false' ? '' : `, default ${setting.standard}`;
    const option = new Option(flag, `${setting.help} (${variableOf(name)}${standard})`);
    if (name === 'tag') option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  return command
    .option('--config <FILE>', 'settings file, JSON with the names above as keys (CARILLON_CONFIG)')
    .option('--sample', 'put a job that fires every second, to have something to look at')
    .addHelpText('after', '\nExample:\n  $ carillon dev --data-dir ./data --tag my_role=web')
    .action(async (options: Record<string, string | string[] | boolean>) => {
      await run(options, version);
    });
}

async function run(options: Record<string, string | string[] | boolean>, version: string): Promise<void> {
  try {
    const settings = await settingsOf(options);
    // The consensus thread reads them for its log.
    process.env['CARILLON_LOG_LEVEL'] = settings.logLevel;
    process.env['CARILLON_NODE_NAME'] = settings.nodeName;
    const afterHttp = options['sample'] === true ? putSampleJob : () => Promise.resolve();
    const node = await startDevNode(settings, version, afterHttp);
    process.stdout.write(describeStart(settings, node, options['sample'] === true));
    await node.ended;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    process.stderr.write(`carillon dev: ${error.message}\n`);
    process.exit(NODE_EXIT_CODES[error.code] ?? 1);
  }
}

async function settingsOf(
  options: Record<string, string | string[] | boolean>,
): Promise<ReturnType<typeof readSettings>> {
  const flags: Record<string, string | readonly string[] | undefined> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const value = options[camelCase(name)];
    if (value !== undefined) flags[name] = typeof value === 'boolean' ? String(value) : value;
  }
  const path = (options['config'] as string | undefined) ?? process.env['CARILLON_CONFIG'];
  const file = path === undefined ? undefined : await readSettingsFile(path);
  return readSettings({ flags, environment: process.env, file }, createIntlZones());
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
