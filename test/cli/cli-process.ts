/** The client commands as the `carillon` executable would carry them, for the tests' child processes. */
import { Command } from 'commander';
import { registerClientCommands } from '../../src/cli/client-commands.ts';

const program = new Command('carillon');
registerClientCommands(program);
await program.parseAsync();
