/** `carillon cluster members` and `leader`; what changes servers is in `cluster-servers.ts`. */
import type { Command } from 'commander';
import {
  type ClientFlags,
  clientGroup,
  parseItems,
  parseReply,
  textOf,
  withClientFlags,
  withSession,
} from './client-command.ts';
import { addServerCommands } from './cluster-servers.ts';
import { table } from './output.ts';

export function clusterCommands(): Command {
  const cluster = clientGroup('cluster', 'look at the nodes of the cluster, change its servers');

  withClientFlags(cluster.command('members').description('list all nodes')).action((flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'members' });
      if (isJson) {
        print(`${reply.text}\n`);
        return 0;
      }
      const rows = parseItems(reply).map((member) => [
        textOf(member['Name']),
        member['is_server'] === true ? (member['is_leader'] === true ? 'leader' : 'server') : 'agent',
        textOf(member['statusText']),
        `${textOf(member['slots_used'])}/${textOf(member['slots'])}`,
        tagsText(member['Tags']),
        textOf(member['address']),
        textOf(member['version']),
      ]);
      print(table(['NAME', 'ROLE', 'STATUS', 'SLOTS', 'TAGS', 'ADDRESS', 'VERSION'], rows, 'no members'));
      return 0;
    }),
  );

  withClientFlags(cluster.command('leader').description('say which server leads')).action((flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'leader' });
      const leader = parseReply(reply);
      print(isJson ? `${reply.text}\n` : `${textOf(leader['Name'])} ${textOf(leader['address'])}\n`);
      return 0;
    }),
  );
  addServerCommands(cluster);
  return cluster;
}

/** Without what stands in columns of its own. */
function tagsText(tags: unknown): string {
  if (tags === null || typeof tags !== 'object') return '-';
  const shown = Object.entries(tags).filter(([key]) => key !== 'server' && key !== 'version');
  return textOf(shown.map(([key, value]) => `${key}=${String(value)}`).join(' '));
}
