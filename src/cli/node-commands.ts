/** `carillon server` and `carillon agent`: the nodes of a cluster over NATS. */
import { Command } from 'commander';
import { CodedError } from '../base/errors.ts';
import { endWithCode } from '../base/system-native-work.ts';
import type { NodeSettings } from '../settings-table.ts';
import type { ClusterNode } from './cluster-node.ts';
import { NODE_EXIT_CODES } from './node-exit-codes.ts';
import { addSettingOptions, loadSettings, type NodeOptions } from './setting-options.ts';

export function serverCommand(version: string): Command {
  return nodeCommand(
    'server',
    'start a server: it votes, keeps the state, answers clients, and can execute as well',
    '$ carillon server --node-name s1 --cluster demo --bootstrap-expect 3 --data-dir ./s1 \\\n' +
      '      --http-addr 127.0.0.1:8081 --nats-url nats://127.0.0.1:4222',
    async (options) => {
      const { settings, secrets } = await loadSettings('server', options);
      tellThreads(settings);
      const { startServerNode } = await import('./server-node.ts');
      await untilEnded('server', settings, version, startServerNode(settings, secrets, version));
    },
  );
}

export function agentCommand(version: string): Command {
  return nodeCommand(
    'agent',
    'start an agent: it executes what the servers assign to it',
    '$ carillon agent --node-name a1 --cluster demo --data-dir ./a1 --tag my_role=web \\\n' +
      '      --nats-url nats://127.0.0.1:4222',
    async (options) => {
      const { settings, secrets } = await loadSettings('agent', options);
      tellThreads(settings);
      const { startAgentNode } = await import('./agent-node.ts');
      await untilEnded('agent', settings, version, startAgentNode(settings, secrets, version));
    },
  );
}

function nodeCommand(
  kind: 'server' | 'agent',
  description: string,
  example: string,
  start: (options: NodeOptions) => Promise<void>,
): Command {
  const command = new Command(kind)
    .description(description)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : NODE_EXIT_CODES.settings));
  return addSettingOptions(command, kind)
    .addHelpText('after', `\nExample:\n  ${example}`)
    .action(async (options: NodeOptions) => {
      try {
        await start(options);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`carillon ${kind}: ${error.message}\n`);
        endWithCode(NODE_EXIT_CODES[error.code] ?? 1);
      }
    });
}

/** Other threads read them for their logs. */
function tellThreads({ logLevel, nodeName }: Pick<NodeSettings, 'logLevel' | 'nodeName'>): void {
  process.env['CARILLON_LOG_LEVEL'] = logLevel;
  process.env['CARILLON_NODE_NAME'] = nodeName;
}

async function untilEnded(
  kind: string,
  { nodeName, cluster, natsUrl }: Pick<NodeSettings, 'nodeName' | 'cluster' | 'natsUrl'>,
  version: string,
  starting: Promise<ClusterNode | null>,
): Promise<void> {
  const node = await starting;
  if (node === null) return;
  const lines = [
    '',
    `  carillon ${version}: ${kind} ${nodeName} of cluster ${cluster} is up`,
    '',
    ...(node.url === '' ? [] : [`  HTTP   ${node.url}`]),
    `  NATS   ${withoutSecrets(natsUrl)}`,
    `  Data   ${node.directory}`,
    '',
    '  Ctrl-C stops it.',
    '',
    '',
  ];
  process.stdout.write(lines.join('\n'));
  await node.ended;
}

/** A URL may hold a password. */
function withoutSecrets(urls: string): string {
  return urls.replaceAll(/\/\/[^@,/]*@/g, '//');
}
