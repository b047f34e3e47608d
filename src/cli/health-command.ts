/** `carillon health`: 0 when the node that answers can work, 1 when it cannot, 125 when nothing answers. */
import type { Command } from 'commander';
import { CodedError } from '../base/errors.ts';
import { accepted, type ClientReply } from './client.ts';
import { type ClientFlags, clientGroup, parseReply, textOf, withClientFlags, withSession } from './client-command.ts';

const UNHEALTHY = 1;

export function healthCommand(): Command {
  const health = clientGroup('health', 'ask a node whether it can work').addHelpText(
    'after',
    '\nExit code: 0 healthy, 1 unhealthy, 125 no answer.',
  );
  return withClientFlags(health).action((flags: ClientFlags) =>
    withSession(flags, async ({ client, isJson, print }) => {
      // Without --json what probes see is enough: it needs no token, and an agent has it too.
      const reply = await client.call({ operation: isJson ? 'health' : 'ready', timeoutMs: 10_000 });
      // An unhealthy node answers 503, which is an answer here and no failure.
      const { isHealthy, lines } = read(reply.status === 503 ? reply : accepted(reply));
      print(isJson ? `${reply.text}\n` : lines);
      return isHealthy ? 0 : UNHEALTHY;
    }),
  );
}

interface Health {
  readonly isHealthy: boolean;
  readonly lines: string;
}

function read(reply: ClientReply): Health {
  return reply.text.startsWith('{') ? readDocument(reply) : readProbe(reply);
}

function readDocument(reply: ClientReply): Health {
  const body = parseReply(reply);
  const issues = Array.isArray(body['issues']) ? body['issues'].map((issue) => `  ${String(issue)}\n`) : [];
  return {
    isHealthy: body['status'] === 'healthy',
    lines: `${textOf(body['status'])}, leader: ${textOf(body['leader_name'])}\n${issues.join('')}`,
  };
}

/** A line for each check, `[-]` in front of those that failed, then `ready` or `not ready`. */
function readProbe({ status, text }: ClientReply): Health {
  const lines = text.trimEnd().split('\n');
  const isHealthy = lines.at(-1) === 'ready';
  if (!isHealthy && lines.at(-1) !== 'not ready') {
    throw new CodedError(
      'invalid',
      `the answer says nothing of health (status ${status}): does --url lead to Carillon?`,
    );
  }
  const issues = lines.filter((line) => line.startsWith('[-] ')).map((line) => `  ${line.slice(4)}\n`);
  return { isHealthy, lines: `${isHealthy ? 'healthy' : 'unhealthy'}\n${issues.join('')}` };
}
