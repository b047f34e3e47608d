/** `carillon cluster status`, and what changes the servers of a cluster. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { CodedError } from '../base/errors.ts';
import { type ClientFlags, parseReply, type Session, textOf, withClientFlags, withSession } from './client-command.ts';
import { table } from './output.ts';

type Fields = Readonly<Record<string, unknown>>;

interface ChangeFlags extends ClientFlags {
  readonly wait: boolean;
  readonly learner?: boolean;
  readonly with?: string;
}

const POLL_MS = 500;
const WAIT_MS = 10 * 60_000;

export function addServerCommands(cluster: Command): void {
  withClientFlags(cluster.command('status').description('show who votes, who follows how far, and who waits')).action(
    (flags: ClientFlags) =>
      withSession(flags, async ({ ask, isJson, print }) => {
        const reply = await ask({ operation: 'cluster' });
        print(isJson ? `${reply.text}\n` : describeCluster(parseReply(reply)));
        return 0;
      }),
  );

  withClientFlags(
    cluster
      .command('add')
      .argument('<server>', 'name of a server that runs and waits for this cluster')
      .description('let a new server into the cluster: it gets the log first, then it votes')
      .option('--learner', 'it only follows, until it is promoted')
      .addOption(NO_WAIT),
  ).action((name: string, flags: ChangeFlags) =>
    withSession(flags, async (session) => {
      const query: Record<string, string> = flags.learner === true ? { learner: 'true' } : {};
      await session.ask({ operation: 'server-add', name, query });
      return untilRole(session, name, flags.learner === true ? 'learner' : 'voter', flags);
    }),
  );

  withClientFlags(
    cluster
      .command('promote')
      .argument('<server>', 'name of a learner')
      .description('let a learner vote, once it has the log')
      .addOption(NO_WAIT),
  ).action((name: string, flags: ChangeFlags) =>
    withSession(flags, async (session) => {
      await session.ask({ operation: 'server-promote', name });
      return untilRole(session, name, 'voter', flags);
    }),
  );

  withClientFlags(
    cluster
      .command('replace')
      .argument('<server>', 'name of the server that is lost')
      .description('put a new server in the place of one that is lost; it runs already, with an empty directory')
      .option('--with <name>', 'name of the new server (default: it has the name of the lost one)')
      .addOption(NO_WAIT),
  ).action((name: string, flags: ChangeFlags) =>
    withSession(flags, async (session) => {
      const query: Record<string, string> = flags.with === undefined ? {} : { with: flags.with };
      await session.ask({ operation: 'server-replace', name, query });
      return untilRole(session, flags.with ?? name, 'voter', flags);
    }),
  );

  withClientFlags(
    cluster
      .command('remove')
      .argument('<server>', 'name or id of a server of the cluster')
      .description('take a server out of the cluster; refused where the others could not decide without it'),
  ).action((name: string, flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'server-remove', name });
      print(isJson ? `${reply.text}\n` : `${name} is removed\n${describeCluster(parseReply(reply))}`);
      return 0;
    }),
  );

  withClientFlags(
    cluster
      .command('transfer')
      .argument('[server]', 'who shall lead (default: the one that is furthest)')
      .description('hand the leadership to another server'),
  ).action((to: string | undefined, flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'transfer', query: to === undefined ? {} : { to } });
      print(isJson ? `${reply.text}\n` : `${textOf(parseReply(reply)['leader'])} leads\n`);
      return 0;
    }),
  );
}

const NO_WAIT = new Option('--no-wait', 'do not wait until it votes');

/** Tells how far the new server is, until it is what it shall be. */
async function untilRole(
  { ask, isJson, print, note }: Session,
  name: string,
  role: 'voter' | 'learner',
  flags: ChangeFlags,
): Promise<number> {
  const endMs = Date.now() + WAIT_MS;
  let noted = '';
  for (;;) {
    const reply = await ask({ operation: 'cluster' });
    const view = parseReply(reply);
    // Of a name that two have for a while, the newcomer.
    const named = serversOf(view).filter((other) => other['name'] === name && other['role'] !== 'leaving');
    const server = named.find((other) => other['role'] === 'joining') ?? named[0];
    const isThere = server?.['role'] === role && view['settled'] === true;
    if (isThere || !flags.wait) {
      print(isJson ? `${reply.text}\n` : describeCluster(view));
      return 0;
    }
    const line = progressOf(name, server, view);
    if (line !== noted) note(`${line}\n`);
    noted = line;
    if (Date.now() > endMs) {
      throw new CodedError(
        'deadline',
        `${name} is not there after ${WAIT_MS / 60_000} min (${line}): the cluster goes on trying`,
      );
    }
    await pause(POLL_MS);
  }
}

function progressOf(name: string, server: Fields | undefined, view: Fields): string {
  if (server === undefined) return `${name} is being added`;
  if (server['alive'] !== true) return `${name} is being told that it belongs to the cluster`;
  if (server['replication'] === 'snapshot') return `${name} is getting the state`;
  const behind = Number(view['last_index']) - Number(server['match_index']);
  if (behind > 0) return `${name} lacks ${behind} entries of the log`;
  return `${name} has the log: the servers agree on its vote`;
}

function describeCluster(view: Fields): string {
  const last = Number(view['last_index']);
  const rows = serversOf(view).map((server) => [
    textOf(server['name'] === '' ? String(server['node']).slice(0, 8) : server['name']),
    server['is_leader'] === true ? 'leader' : roleText(server),
    server['alive'] === true ? 'alive' : 'not heard',
    server['is_leader'] === true ? '-' : String(Math.max(0, last - Number(server['match_index']))),
    server['wounded'] === true
      ? 'heals: its log had lost entries'
      : server['replication'] === 'snapshot'
        ? 'gets the state'
        : '-',
    String(server['node']).slice(0, 8),
  ]);
  const waiting = (view['waiting'] as readonly Fields[]).map(
    ({ name, node }) => `${textOf(name)} (${String(node).slice(0, 8)})`,
  );
  const lines = [
    table(['SERVER', 'ROLE', 'STATUS', 'BEHIND', 'NOTE', 'ID'], rows, 'no servers'),
    view['leader'] === null ? 'no server leads: this is what the server that was asked knows\n' : '',
    `term ${textOf(view['term'])}, committed up to ${textOf(view['commit_index'])}`,
    view['settled'] === true ? '' : ', a change is under way',
    '\n',
    waiting.length === 0 ? '' : `waiting to be added: ${waiting.join(', ')}\n`,
  ];
  return lines.join('');
}

function roleText({ role, replaces }: Fields): string {
  if (role === 'joining') return replaces === null ? 'joins' : `replaces ${textOf(replaces)}`;
  return role === 'leaving' ? 'leaves' : textOf(role);
}

function serversOf(view: Fields): readonly Fields[] {
  return view['servers'] as readonly Fields[];
}
