#!/usr/bin/env node
/** The one executable: see `cli/` for its commands. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { devCommand } from './cli/dev-command.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

const program = new Command('carillon')
  .description('A distributed job scheduler: every nominal time has exactly one recorded outcome.')
  .version(version)
  .showHelpAfterError('(add --help for what there is)')
  .addHelpText(
    'after',
    '\nStart here:\n  $ carillon dev                 one node, everything in it\n  $ carillon job put --help      declare a job',
  );

program.addCommand(devCommand(version));
if (process.argv[2] !== 'dev') {
  // A node's start does not wait for what only clients need.
  const { registerClientCommands } = await import('./cli/client-commands.ts');
  registerClientCommands(program);
}

await program.parseAsync();
