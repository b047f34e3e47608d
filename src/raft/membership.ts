/**
 * What a change of membership makes of a configuration (thesis §4, joint consensus only). Rules: the leader's side is in
 * `reconfiguration`.
 *
 *   add      learner, with or without the wish to vote          one plain entry, for the voters stay the same
 *   promote  a learner that is to vote once it has caught up    one plain entry
 *   remove   a learner: one plain entry; a voter: a joint entry, which the leader leaves again once it is committed
 *   (on its own, the leader: learners that have caught up become voters, and replace whom they replace, in a joint entry)
 */
import type { Configuration, ConfigurationChange, Learner } from './raft-protocol.ts';

export type ChangeResult =
  | { readonly type: 'changed'; readonly configuration: Configuration }
  /** The configuration says already what is asked for. */
  | { readonly type: 'unchanged' }
  /** Not possible, whoever asks and whenever. The message is for people. */
  | { readonly type: 'invalid'; readonly message: string };

export const VOTERS_MAX = 7;
export const LEARNERS_MAX = 7;

/** `configuration` is the one in force, and not joint. */
export function changeMembership(configuration: Configuration, change: ConfigurationChange): ChangeResult {
  switch (change.type) {
    case 'add':
      return add(configuration, change);
    case 'promote':
      return promote(configuration, change.node);
    case 'remove':
      return remove(configuration, change.node);
  }
}

/** These learners become voters, and those whom they replace leave: both majorities count until it is committed. */
export function promoteLearners(configuration: Configuration, nodes: readonly string[]): Configuration {
  const promoted = configuration.learners.filter(({ node }) => nodes.includes(node));
  const replaced = promoted.map(({ replaces }) => replaces);
  const staying = configuration.voters.filter((voter) => !replaced.includes(voter));
  return {
    voters: [...staying, ...promoted.map(({ node }) => node)].sort(),
    outgoing: configuration.voters,
    learners: configuration.learners.filter((learner) => !promoted.includes(learner)),
  };
}

/** The second half of a change. */
export function leaveJoint(configuration: Configuration): Configuration {
  return { ...configuration, outgoing: [] };
}

function add(configuration: Configuration, change: Extract<ConfigurationChange, { type: 'add' }>): ChangeResult {
  const { node, becomesVoter, replaces } = change;
  const { voters, learners } = configuration;
  const bytes = Buffer.byteLength(node, 'utf8');
  if (bytes === 0 || bytes > NODE_BYTES_MAX) return invalid(`a node’s id has 1 to ${NODE_BYTES_MAX} bytes`);
  if (voters.includes(node)) return addVoter(configuration, change);
  if (replaces !== null) {
    if (!becomesVoter) return invalid(`${node} cannot replace ${replaces} without becoming a voter`);
    if (!voters.includes(replaces)) return invalid(`${replaces} is no voter, so ${node} cannot replace it`);
    const rival = learners.find((learner) => learner.replaces === replaces && learner.node !== node);
    if (rival !== undefined) return invalid(`${replaces} is being replaced by ${rival.node} already`);
  }
  const others = learners.filter((learner) => learner.node !== node);
  if (others.length >= LEARNERS_MAX) return invalid(`there are ${others.length} learners already`);
  return withLearners(configuration, [...others, { node, becomesVoter, replaces }]);
}

/** Asked again after it was done, or a mistake. */
function addVoter({ voters }: Configuration, change: Extract<ConfigurationChange, { type: 'add' }>): ChangeResult {
  const { node, becomesVoter, replaces } = change;
  if (!becomesVoter) return invalid(`${node} is a voter: remove it first`);
  if (replaces !== null && voters.includes(replaces)) {
    return invalid(`${node} is a voter already: remove ${replaces} instead`);
  }
  return { type: 'unchanged' };
}

function promote(configuration: Configuration, node: string): ChangeResult {
  if (configuration.voters.includes(node)) return { type: 'unchanged' };
  const learner = configuration.learners.find((one) => one.node === node);
  if (learner === undefined) return invalid(`${node} is no learner: add it first`);
  const others = configuration.learners.filter((one) => one !== learner);
  return withLearners(configuration, [...others, { ...learner, becomesVoter: true }]);
}

function remove(configuration: Configuration, node: string): ChangeResult {
  const { voters, learners } = configuration;
  if (!voters.includes(node)) {
    return withLearners(
      configuration,
      learners.filter((learner) => learner.node !== node),
    );
  }
  if (voters.length === 1) return invalid(`${node} is the only voter`);
  return {
    type: 'changed',
    configuration: {
      voters: voters.filter((voter) => voter !== node),
      outgoing: voters,
      // There is nobody left to replace: the learner becomes a voter beside the others.
      learners: learners.map((learner) => (learner.replaces === node ? { ...learner, replaces: null } : learner)),
    },
  };
}

/** Looks ahead: all learners that are to vote must find room, or the change would wait for ever. */
function withLearners(configuration: Configuration, learners: readonly Learner[]): ChangeResult {
  const sorted = [...learners].sort((left, right) => (left.node < right.node ? -1 : 1));
  const next = { ...configuration, learners: sorted };
  if (isSame(configuration.learners, sorted)) return { type: 'unchanged' };
  const willVote = sorted.filter(({ becomesVoter }) => becomesVoter).map(({ node }) => node);
  const { voters } = promoteLearners(next, willVote);
  if (voters.length > VOTERS_MAX)
    return invalid(`there would be ${voters.length} voters, ${VOTERS_MAX} at most are possible`);
  return { type: 'changed', configuration: next };
}

function isSame(left: readonly Learner[], right: readonly Learner[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ node, becomesVoter, replaces }, position) => {
      const other = right[position];
      return node === other?.node && becomesVoter === other.becomesVoter && replaces === other.replaces;
    })
  );
}

function invalid(message: string): ChangeResult {
  return { type: 'invalid', message };
}

/** One byte says how long a name is in the bytes of a configuration. */
const NODE_BYTES_MAX = 255;
