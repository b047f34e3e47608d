/** `carillon dev`: one node with everything in it, for a laptop and for trying things out. */
import { Command } from 'commander';
import { CodedError } from '../base/errors.ts';
import { endWithCode } from '../base/system-native-work.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';
import { addSettingOptions, loadSettings, type NodeOptions } from './setting-options.ts';

export function devCommand(version: string): Command {
  const command = new Command('dev')
    .description(
      'start one node with everything in it; it needs no NATS, but starts a nats-server if one is on the PATH',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : NODE_EXIT_CODES.settings));
  return addSettingOptions(command, 'dev')
    .option('--sample', 'put a job that fires every second, to have something to look at')
    .addHelpText('after', '\nExample:\n  $ carillon dev --data-dir ./data --tag my_role=web')
    .action(async (options: NodeOptions) => {
      await run(options, version);
    });
}

async function run(options: NodeOptions, version: string): Promise<void> {
  try {
    const { settings, secrets } = await loadSettings('dev', options);
    // The consensus thread reads them for its log.
    process.env['CARILLON_LOG_LEVEL'] = settings.logLevel;
    process.env['CARILLON_NODE_NAME'] = settings.nodeName;
    const { startDevNode } = await import('./dev-node.ts');
    const { describeStart } = await import('./dev-banner.ts');
    const { putSampleJob } = await import('./dev-sample.ts');
    const afterHttp = async (url: string) => {
      if (options['sample'] === true) await putSampleJob(url, secrets.apiToken);
    };
    const node = await startDevNode(settings, secrets, version, afterHttp);
    process.stdout.write(describeStart(settings, node, options['sample'] === true));
    await node.ended;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    process.stderr.write(`carillon dev: ${error.message}\n`);
    endWithCode(NODE_EXIT_CODES[error.code] ?? 1);
  }
}
