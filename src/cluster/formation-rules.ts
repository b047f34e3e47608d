/**
 * Genesis, as rules: what a server without a cluster does next, after what it heard. All of it is in the words that
 * everybody repeats, so a lost, late or doubled word changes nothing.
 *
 *     lowest of exactly `expect` servers   makes its own promise durable, which proposes {uuid, voters}
 *     the other voters                     make the same promise durable, and say so
 *     the proposer, once all have          joins, durably: from here on the cluster exists
 *     the other voters                     hear that it exists, and join
 *
 * Why no two clusters share a server: a cluster exists only if all its voters have promised, and only its proposer can
 * found it. A voter leaves a proposer only for a lower one, and only when the former can found nothing any more: it
 * gave up its own proposal to a lower one itself. Nobody takes up a proposal of its own again after that, so the word
 * that shows it holds for ever, however late it comes. A proposer may propose anew (a voter's disk is gone), under
 * another uuid: promises for the old one do not count.
 */
import type { GenesisPromise } from './identity.ts';
import type { Peer } from './presence-peers.ts';
import { describeNode, type Refusal } from './presence-rules.ts';

export interface FormationView {
  readonly nodeId: string;
  readonly name: string;
  readonly clusterName: string;
  readonly promise: GenesisPromise | null;
  /** Null: it founds no cluster, and waits for one that takes it. */
  readonly expect: number | null;
  /** Where the node's data is, for people. */
  readonly directory: string;
  /** Who was heard within `HEARD_MS`. */
  readonly peers: readonly Peer[];
  /** The last word of a node, however old. */
  readonly lastOf: (nodeId: string) => Peer | undefined;
  /** For how long the fresh servers have been the same. */
  readonly settledMs: number;
  readonly nowMs: number;
  /** Since when this node has been looking for its cluster. */
  readonly sinceMs: number;
}

export type Decision =
  | { readonly type: 'propose'; readonly voters: readonly string[] }
  | { readonly type: 'promise'; readonly promise: GenesisPromise }
  /** To join: as the proposer, who founds the cluster with it, or after having heard that it exists. */
  | { readonly type: 'join'; readonly clusterUuid: string; readonly voters: readonly string[] }
  | { readonly type: 'refuse'; readonly refusal: Refusal }
  | { readonly type: 'wait'; readonly message: string; readonly needsHelp: boolean };

/** Four words of those who form a cluster. */
export const HEARD_MS = 1_000;
export const SETTLE_MS = 500;
/** A proposer that is silent for so long is missing. */
export const MISSING_MS = 10_000;

export function decideServer(view: FormationView): Decision {
  const { promise, nodeId } = view;
  const existing = meetCluster(view);
  if (existing !== undefined) return existing;
  const offered = bestOffer(view);
  if (offered !== undefined) return { type: 'promise', promise: offered };
  if (promise === null) return considerProposing(view);
  return promise.proposer === nodeId ? leadProposal(view, promise) : awaitProposer(view, promise);
}

/** An agent belongs to whatever cluster of the name there is; `clusterUuid` is not null if it knows only that. */
export function decideAgent(
  peers: readonly Peer[],
  clusterName: string,
  clusterUuid: string | null,
): Exclude<Decision, { readonly type: 'propose' | 'promise' | 'refuse' }> {
  // What is not proven may be the last word of a cluster that is gone.
  const clusters = new Map(
    clustersAmong(peers)
      .filter(({ peer, ...cluster }) => peer.isProven && (clusterUuid ?? cluster.clusterUuid) === cluster.clusterUuid)
      .map((cluster) => [cluster.clusterUuid, cluster]),
  );
  const [first, second] = [...clusters.values()];
  if (first === undefined) {
    return wait(`waits for the servers of cluster ${clusterName}; heard so far: ${listOf(peers.filter(isServer))}`);
  }
  if (second === undefined) return { type: 'join', clusterUuid: first.clusterUuid, voters: first.voters };
  return help(
    `two clusters are called ${clusterName}: server ${describePeer(first.peer)} belongs to one, server ` +
      `${describePeer(second.peer)} to the other; stop one of them`,
  );
}

/**
 * Servers that want to found a cluster, those included that may still be refused; ascending, without this one. A
 * promise binds whatever the settings say by now.
 */
export function freshServers(peers: readonly Peer[]): Peer[] {
  return peers
    .filter(({ here }) => here.isServer && here.clusterUuid === null && (here.expect !== null || here.promise !== null))
    .sort((left, right) => (left.nodeId < right.nodeId ? -1 : 1));
}

const NO_EXPECT = 'waits for a cluster that takes it; to found one, start with --bootstrap-expect';

interface Cluster {
  readonly clusterUuid: string;
  readonly voters: readonly string[];
  /** Who says so. */
  readonly peer: Peer;
}

function clustersAmong(peers: readonly Peer[]): Cluster[] {
  return peers.flatMap((peer) => {
    const { clusterUuid, voters, isServer, stage } = peer.here;
    // A server that starts may be about to be refused.
    if (!isServer || stage !== 'running' || clusterUuid === null || voters === null) return [];
    return [{ clusterUuid, voters, peer }];
  });
}

function meetCluster(view: FormationView): Decision | undefined {
  const { nodeId, promise, peers } = view;
  const clusters = clustersAmong(peers);
  const own = clusters.find(({ voters, peer }) => voters.includes(nodeId) || peer.here.learners.includes(nodeId));
  if (own !== undefined) {
    const { clusterUuid, voters } = own;
    // The voters of the genesis stand in the first entry of the log, and those of today may be others.
    if (promise?.clusterUuid === clusterUuid) return { type: 'join', clusterUuid, voters: promise.voters };
    // Who was added later gets that entry from the others. It knows by these voters, which do not name it.
    return { type: 'join', clusterUuid, voters: voters.filter((voter) => voter !== nodeId) };
  }
  const foreign = clusters.find(({ peer }) => peer.isProven) ?? clusters[0];
  if (foreign === undefined) return undefined;
  if (foreign.peer.isProven && promise !== null) return { type: 'refuse', refusal: boundElsewhere(view, foreign) };
  if (foreign.peer.isProven) return help(waitsToBeAdded(view, foreign));
  return wait(`hears server ${describePeer(foreign.peer)} of a cluster ${view.clusterName}, and asks it`);
}

/** A promise binds: whoever it was given to may still found that cluster, and counts on this server. */
function boundElsewhere({ directory, clusterName, promise }: FormationView, cluster: Cluster): Refusal {
  const what =
    promise?.clusterUuid === cluster.clusterUuid
      ? `${directory} had promised to found it, and was removed before it joined`
      : `${directory} has promised to found another one`;
  return {
    code: 'foreign-directory',
    message:
      `cluster ${clusterName} exists (${describeServers(cluster, namesOf(cluster))}), and ${what}: empty the directory, ` +
      'then start again and add this server with `carillon cluster add`',
  };
}

function waitsToBeAdded(view: FormationView, cluster: Cluster): string {
  const { name, clusterName, directory } = view;
  const names = namesOf(cluster, view.peers);
  const exists = `cluster ${clusterName} exists (${describeServers(cluster, names)})`;
  if (names.includes(name)) {
    return (
      `${exists}. Its server ${name} had another data directory than ${directory}: start with that one or, if it is ` +
      `lost, run: carillon cluster replace ${name}`
    );
  }
  const lost = names.includes(undefined)
    ? '. If it is the one that was not heard, start it with the data directory and the name that it had. Else'
    : ':';
  return `${exists} and does not know this server${lost} add it by: carillon cluster add ${name}`;
}

function namesOf({ voters, peer }: Cluster, peers: readonly Peer[] = []): readonly (string | undefined)[] {
  return voters.map((nodeId, at) => {
    const heard = peers.find((other) => other.nodeId === nodeId);
    return heard?.here.name ?? (peer.here.voterNames[at] || undefined);
  });
}

function describeServers({ voters }: Cluster, names: readonly (string | undefined)[]): string {
  const known = names.filter((name) => name !== undefined).sort();
  const unknown = voters.filter((_, at) => names[at] === undefined);
  const shown = [...known, ...unknown.map((nodeId) => `one that was not heard (${nodeId.slice(0, 8)})`)];
  return `${countOf(voters.length)}: ${shown.join(', ')}`;
}

/** The proposal that this server must promise to now. */
function bestOffer({ nodeId, expect, promise, peers, lastOf }: FormationView): GenesisPromise | undefined {
  const offers = freshServers(peers).flatMap(({ nodeId: proposer, here }) => {
    const offer = here.promise;
    if (here.stage !== 'forming' || offer === null || offer.proposer !== proposer) return [];
    return offer.voters.length === expect && offer.voters.includes(nodeId) ? [offer] : [];
  });
  // Ascending by proposer, so the first is the lowest.
  return offers.find((offer) => {
    if (promise === null) return true;
    if (offer.proposer === promise.proposer) return offer.clusterUuid !== promise.clusterUuid;
    return offer.proposer < promise.proposer && hasGivenUp(promise.proposer);
  });

  function hasGivenUp(proposer: string): boolean {
    if (proposer === nodeId) return true;
    const its = lastOf(proposer)?.here.promise ?? null;
    return its !== null && its.proposer !== proposer;
  }
}

function leadProposal(view: FormationView, promise: GenesisPromise): Decision {
  const { clusterUuid, voters } = promise;
  const fresh = freshServers(view.peers);
  const missing = voters.filter((voter) => {
    if (voter === view.nodeId) return false;
    return fresh.find(({ nodeId }) => nodeId === voter)?.here.promise?.clusterUuid !== clusterUuid;
  });
  if (missing.length === 0) return { type: 'join', clusterUuid, voters };
  const again = considerProposing(view);
  if (again.type === 'wait') return again.needsHelp ? again : wait(`proposes a cluster; waits for ${nameAll(missing)}`);
  // The same servers as before: they only need time.
  const isSame = again.type === 'propose' && again.voters.join() === voters.join();
  return isSame ? wait(`proposes a cluster; waits for the promise of ${nameAll(missing)}`) : again;

  function nameAll(nodeIds: readonly string[]): string {
    return nodeIds.map((nodeId) => describeId(view, nodeId)).join(', ');
  }
}

function awaitProposer(view: FormationView, { proposer }: GenesisPromise): Decision {
  const { lastOf, nowMs, sinceMs, directory } = view;
  const last = lastOf(proposer);
  const silentMs = nowMs - Math.max(sinceMs, last?.heardMs ?? 0);
  const who = `server ${describeId(view, proposer)}`;
  if (silentMs >= MISSING_MS) {
    return help(
      `${who}, to which this one has promised to found a cluster, is missing since ${Math.round(silentMs / 1_000)} s: ` +
        `start it. If its disk is lost, empty ${directory} (no cluster has used it) and start again, to begin anew`,
    );
  }
  return wait(`has promised to found a cluster with ${who}, and waits for it`);
}

function considerProposing(view: FormationView): Decision {
  const { nodeId, name, expect, peers, settledMs } = view;
  if (expect === null) return wait(NO_EXPECT);
  const others = freshServers(peers);
  const count = others.length + 1;
  const names = [name, ...others.map(({ here }) => here.name)].sort().join(', ');
  const differing = others.filter(({ here }) => here.expect !== expect);
  if (differing.length > 0) {
    const theirs = differing.map(({ here }) => `${here.name} ${here.expect ?? 'nothing'}`).join(', ');
    return help(`--bootstrap-expect differs: ${name} says ${expect}, ${theirs}; start all with one number`);
  }
  if (count > expect) {
    const wants = `--bootstrap-expect says ${expect}: stop ${count - expect} of them or start all with ${count}`;
    return help(`${countOf(count)} wait (${names}), ${wants}`);
  }
  if (count < expect) return wait(`${count} of ${expect} servers wait (${names})`);
  const voters = [nodeId, ...others.map((peer) => peer.nodeId)].sort();
  const bound = others.find(({ here }) => here.promise !== null && !voters.includes(here.promise.proposer));
  if (bound?.here.promise) {
    const to = describeId(view, bound.here.promise.proposer);
    return help(
      `server ${describePeer(bound)} has promised to found a cluster with ${to}, which is not heard: ` +
        `start that one or, if its disk is lost, empty the directory of ${bound.here.name}`,
    );
  }
  const isSettled = expect === 1 || settledMs >= SETTLE_MS;
  const areAllForming = others.every(({ here }) => here.stage === 'forming');
  if (voters[0] !== nodeId || !isSettled || !areAllForming) {
    return wait(`all of ${countOf(count)} are here (${names})`);
  }
  return { type: 'propose', voters };
}

function isServer({ here }: Peer): boolean {
  return here.isServer;
}

function wait(message: string): Decision & { readonly type: 'wait' } {
  return { type: 'wait', message, needsHelp: false };
}

function help(message: string): Decision & { readonly type: 'wait' } {
  return { type: 'wait', message, needsHelp: true };
}

function describePeer({ nodeId, here }: Peer): string {
  return describeNode(here.name, nodeId);
}

function describeId({ lastOf }: FormationView, nodeId: string): string {
  const last = lastOf(nodeId);
  return last === undefined ? nodeId.slice(0, 8) : describePeer(last);
}

function listOf(peers: readonly Peer[]): string {
  return peers.length === 0 ? 'none' : peers.map(({ here }) => here.name).join(', ');
}

function countOf(servers: number): string {
  return servers === 1 ? '1 server' : `${servers} servers`;
}
