#!/usr/bin/env node
/** The one executable: see `cli/` for its commands. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { devCommand } from './cli/dev-command.ts';
import { agentCommand, serverCommand } from './cli/node-commands.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

const NODE_COMMANDS: readonly string[] = ['dev', 'server', 'agent'];

const program = new Command('carillon')
  .description('A distributed job scheduler: every nominal time has exactly one recorded outcome.')
  .version(version)
  .showHelpAfterError('(add --help for what there is)')
  .addHelpText(
    'after',
    '\nStart here:\n  $ carillon dev                 one node, everything in it\n  $ carillon server --help       a server of a cluster\n  $ carillon job put --help      declare a job',
  );

// What a command runs on is loaded when it runs: a health check does not wait for the code of a node.
program.addCommand(devCommand(version)).addCommand(serverCommand(version)).addCommand(agentCommand(version));
if (!NODE_COMMANDS.includes(process.argv[2] ?? '')) {
  // A node's start does not wait for what only clients need.
  const { registerClientCommands } = await import('./cli/client-commands.ts');
  registerClientCommands(program);
}

await program.parseAsync();
