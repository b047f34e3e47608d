import type { Command } from 'commander';
import { clusterCommands } from './cluster-commands.ts';
import { healthCommand } from './health-command.ts';
import { jobCommands } from './job-commands.ts';

/** Adds all commands that talk to a running node. */
export function registerClientCommands(program: Command): void {
  program.addCommand(jobCommands());
  program.addCommand(clusterCommands());
  program.addCommand(healthCommand());
}
