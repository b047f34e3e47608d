/** `carillon health`: 0 when the node that answers can work, 1 when it cannot, 125 when nothing answers. */
import type { Command } from 'commander';
import { accepted } from './client.ts';
import { type ClientFlags, clientGroup, parseReply, textOf, withClientFlags, withSession } from './client-command.ts';

const UNHEALTHY = 1;

export function healthCommand(): Command {
  const health = clientGroup('health', 'ask a node whether it can work').addHelpText(
    'after',
    '\nExit code: 0 healthy, 1 unhealthy, 125 no answer.',
  );
  return withClientFlags(health).action((flags: ClientFlags) =>
    withSession(flags, async ({ client, isJson, print }) => {
      // An unhealthy node answers 503, which is an answer here and no failure.
      const reply = await client.call({ operation: 'health', timeoutMs: 10_000 });
      const body = reply.status === 503 ? parseReply(reply) : parseReply(accepted(reply));
      const isHealthy = body['status'] === 'healthy';
      if (isJson) print(`${reply.text}\n`);
      else {
        const issues = Array.isArray(body['issues']) ? body['issues'].map((issue) => `  ${String(issue)}\n`) : [];
        print(`${textOf(body['status'])}, leader: ${textOf(body['leader_name'])}\n${issues.join('')}`);
      }
      return isHealthy ? 0 : UNHEALTHY;
    }),
  );
}
