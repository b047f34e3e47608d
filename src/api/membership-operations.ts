/** Who the servers of the cluster are: looking, adding, replacing, removing, handing over. Servers are called by name. */
import { CodedError } from '../base/errors.ts';
import type { MembershipRequest } from '../dispatcher/membership-actor.ts';
import type { Configuration, ConfigurationChange, PeerStatus, RaftStatus } from '../raft/raft-protocol.ts';
import type { Answer } from './answer.ts';
import type { KnownServer, KnownServers } from './backend.ts';
import type { ApiContext, Call } from './call.ts';
import { type JsonOut, shorten } from './json-text.ts';
import { problem } from './problem.ts';
import { readServerQuery } from './query.ts';

export async function getCluster(context: ApiContext, _call: Call): Promise<Answer> {
  return carryOut(context, { type: 'status' });
}

/** A server that waits for a cluster becomes a learner, and votes once it has the log. */
export async function addServer(context: ApiContext, call: Call): Promise<Answer> {
  const { name, isLearner } = readServerQuery(call);
  const servers = await context.backend.servers();
  const namesake = servers.known.find((server) => server.name === name);
  if (namesake !== undefined) throw takenName(servers, namesake);
  const { node } = pickWaiting(servers, name);
  return change(context, { type: 'add', node, becomesVoter: !isLearner, replaces: null });
}

export async function promoteServer(context: ApiContext, call: Call): Promise<Answer> {
  const { name } = readServerQuery(call);
  const servers = await context.backend.servers();
  return change(context, { type: 'promote', node: pickKnown(servers, name).node });
}

export async function removeServer(context: ApiContext, call: Call): Promise<Answer> {
  const { name } = readServerQuery(call);
  const servers = await context.backend.servers();
  return change(context, { type: 'remove', node: pickKnown(servers, name).node });
}

/** The lost one leaves in the same step in which the new one begins to vote. */
export async function replaceServer(context: ApiContext, call: Call): Promise<Answer> {
  const { name, with: other } = readServerQuery(call);
  const servers = await context.backend.servers();
  const replaces = pickKnown(servers, name).node;
  const { node } = pickWaiting(servers, other ?? name);
  return change(context, { type: 'add', node, becomesVoter: true, replaces });
}

export async function transferLeadership(context: ApiContext, call: Call): Promise<Answer> {
  const { to } = readServerQuery(call, { needsName: false });
  const servers = to === null ? null : await context.backend.servers();
  const node = servers === null || to === null ? null : pickKnown(servers, to).node;
  return carryOut(context, { type: 'transfer', to: node });
}

function change(context: ApiContext, wanted: ConfigurationChange): Promise<Answer> {
  return carryOut(context, { type: 'configure', change: wanted });
}

async function carryOut({ backend }: ApiContext, request: MembershipRequest): Promise<Answer> {
  const answer = await backend.membership(request);
  if (answer.type === 'failed') return problem(answer.code, answer.message);
  const servers = await backend.servers();
  return { status: 200, headers: {}, body: writeCluster(answer.status, answer.leader, servers) };
}

function pickKnown({ known }: KnownServers, name: string): KnownServer {
  return pick(known, name, 'is no server of this cluster', 'the cluster has');
}

function pickWaiting({ waiting }: KnownServers, name: string): KnownServer {
  const start = `start it first, as any server but with an empty data directory (--node-name ${shown(name)})`;
  return pick(waiting, name, `does not wait for this cluster: ${start}`, 'waiting now');
}

/** Two servers of a name, one of them lost, are more voters than before and no more that answer. */
function takenName({ waiting }: KnownServers, { name, node }: KnownServer): CodedError {
  const isLost = waiting.some((server) => server.name === name);
  const remedy = isLost
    ? `the one that waits now takes its place by: carillon cluster replace ${name}`
    : `see carillon cluster status; a learner votes by: carillon cluster promote ${name}`;
  return new CodedError(
    'conflict',
    `${shown(name)} is a server of this cluster already (${node.slice(0, 8)}): ${remedy}`,
  );
}

/** By name or by the first characters of its id, as logs show it. */
function pick(servers: readonly KnownServer[], name: string, what: string, listed: string): KnownServer {
  const named = servers.filter((server) => server.name === name);
  const found = named.length > 0 ? named : name.length >= 8 ? servers.filter(({ node }) => node.startsWith(name)) : [];
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const all = servers.length === 0 ? 'none' : servers.map(describe).join(', ');
  if (first === undefined) throw new CodedError('not-found', `server ${shown(name)} ${what} (${listed}: ${all})`);
  throw new CodedError('conflict', `${found.length} servers are called ${shown(name)}: use the id of one (${all})`);
}

function describe({ name, node }: KnownServer): string {
  return `${name === '' ? 'unnamed' : name} ${node.slice(0, 8)}`;
}

function shown(name: string): string {
  return `'${shorten(JSON.stringify(name).slice(1, -1), 64)}'`;
}

type Role = 'voter' | 'joining' | 'leaving' | 'learner';

function writeCluster(status: RaftStatus, leader: string | null, { known, waiting }: KnownServers): JsonOut {
  const { configuration, isConfigurationCommitted, term, commitIndex, lastIndex, firstIndex } = status;
  const nameOf = (node: string) => [...known, ...waiting].find((server) => server.node === node)?.name ?? '';
  const members = rolesOf(configuration);
  return {
    leader: leader === null ? null : nameOf(leader),
    term,
    commit_index: commitIndex,
    last_index: lastIndex,
    first_index: firstIndex,
    // No change is under way.
    settled: isConfigurationCommitted && [...members.values()].every((role) => role === 'voter' || role === 'learner'),
    servers: [...members]
      .map(([node, role]) => {
        const replaces = configuration.learners.find((learner) => learner.node === node)?.replaces ?? null;
        const peer = node === leader ? null : status.peers.find((other) => other.node === node);
        return {
          name: nameOf(node),
          node,
          role,
          replaces: replaces === null ? null : nameOf(replaces),
          is_leader: node === leader,
          ...writePeer(peer, status),
        };
      })
      .sort((left, right) => (left.name + left.node < right.name + right.node ? -1 : 1)),
    waiting: waiting.filter(({ node }) => !members.has(node)).map(({ name, node }) => ({ name, node })),
  };
}

/** Null: the leader itself. Undefined: it knows nothing of that one yet. */
function writePeer(peer: PeerStatus | null | undefined, status: RaftStatus) {
  if (peer === null) return { alive: true, match_index: status.lastIndex, replication: 'leader', wounded: false };
  if (peer === undefined) return { alive: false, match_index: 0, replication: 'none', wounded: false };
  const { isActive: alive, matchIndex: match_index, state: replication, isWounded: wounded } = peer;
  return { alive, match_index, replication, wounded };
}

function rolesOf({ voters, outgoing, learners }: Configuration): Map<string, Role> {
  const roles = new Map<string, Role>();
  for (const node of outgoing) roles.set(node, 'leaving');
  for (const node of voters) roles.set(node, 'voter');
  for (const { node, becomesVoter } of learners) roles.set(node, becomesVoter ? 'joining' : 'learner');
  return roles;
}
