/**
 * Which changes of the servers are safe, as rules over what the leader's raft knows. Raft itself takes any change that
 * agrees with its algorithm; these refuse what would leave a cluster that cannot decide, or would soon not be able to.
 */
import { majority } from '../raft/quorum.ts';
import type { ConfigurationChange, RaftStatus } from '../raft/raft-protocol.ts';

export type Verdict = { readonly isSafe: true } | { readonly isSafe: false; readonly message: string };

export const SAFE: Verdict = { isSafe: true };

/** `status` is that of the leader. `nameOf` is for the message. */
export function judgeChange(
  status: RaftStatus,
  own: string,
  change: ConfigurationChange,
  nameOf: (node: string) => string,
): Verdict {
  if (change.type !== 'remove' || !status.configuration.voters.includes(change.node)) return SAFE;
  const rest = status.configuration.voters.filter((voter) => voter !== change.node);
  const alive = rest.filter((voter) => isWell(status, own, voter));
  const needed = majority(rest.length);
  if (rest.length === 0) return unsafe(`${nameOf(change.node)} is the only server that votes`);
  if (alive.length >= needed) return SAFE;
  const missing = rest.filter((voter) => !alive.includes(voter)).map(nameOf);
  return unsafe(
    `without ${nameOf(change.node)} the cluster could not decide: ${rest.length} would vote, ${needed} are needed, and ` +
      `${missing.join(', ')} cannot be reached. Start ${missing.length === 1 ? 'that one' : 'those'} first`,
  );
}

/** A transfer to a server that cannot take over costs the cluster its leader for nothing. */
export function judgeTransfer(status: RaftStatus, to: string, nameOf: (node: string) => string): Verdict {
  const { configuration, peers } = status;
  if (!configuration.voters.includes(to)) return unsafe(`${nameOf(to)} does not vote, so it cannot lead`);
  const peer = peers.find(({ node }) => node === to);
  if (peer?.isActive !== true) return unsafe(`${nameOf(to)} is not heard by the leader: start it first`);
  return peer.isWounded ? unsafe(`${nameOf(to)} has to heal first: its log had lost entries`) : SAFE;
}

/** For how long each server has been silent, as one leader has seen it. */
export class SilentServers {
  readonly #sinceMs = new Map<string, number>();

  look({ peers }: RaftStatus, nowMs: number): void {
    const present = new Set(peers.map(({ node }) => node));
    for (const node of this.#sinceMs.keys()) if (!present.has(node)) this.#sinceMs.delete(node);
    for (const { node, isActive } of peers) {
      if (isActive) this.#sinceMs.delete(node);
      else if (!this.#sinceMs.has(node)) this.#sinceMs.set(node, nowMs);
    }
  }

  forMs(node: string, nowMs: number): number {
    return nowMs - (this.#sinceMs.get(node) ?? nowMs);
  }

  /** Another leader looks from now on, or this one anew. */
  forget(): void {
    this.#sinceMs.clear();
  }
}

/** No server is removed on its own where fewer would vote then: it would make the cluster no safer. */
export const VOTERS_LEFT_MIN = 3;

export type Sweep =
  | { readonly type: 'none' }
  | { readonly type: 'remove'; readonly node: string; readonly silentMs: number }
  /** It is gone for long enough, and the others could not do without it. */
  | { readonly type: 'keep'; readonly node: string; readonly silentMs: number; readonly why: string };

/** The server that has been gone for `afterMs` and more, one at a time (autopilot). */
export function chooseGone(
  status: RaftStatus,
  own: string,
  silent: SilentServers,
  { afterMs, nowMs }: { readonly afterMs: number; readonly nowMs: number },
): Sweep {
  const { configuration, isConfigurationCommitted, peers } = status;
  if (configuration.outgoing.length > 0 || !isConfigurationCommitted) return { type: 'none' };
  const gone = peers
    .map(({ node }) => ({ node, silentMs: silent.forMs(node, nowMs) }))
    .filter(({ silentMs }) => silentMs >= afterMs)
    .sort((left, right) => right.silentMs - left.silentMs);
  const learner = gone.find(({ node }) => !configuration.voters.includes(node));
  const [longest] = gone;
  if (learner !== undefined) return { type: 'remove', ...learner };
  if (longest === undefined) return { type: 'none' };
  const rest = configuration.voters.filter((voter) => voter !== longest.node);
  if (rest.length < VOTERS_LEFT_MIN) {
    return { type: 'keep', ...longest, why: `only ${rest.length} servers would vote without it: replace it` };
  }
  // With another one gone as well, a cluster that shrinks step by step ends with whoever happens to be left.
  if (!rest.every((voter) => isWell(status, own, voter))) {
    return { type: 'keep', ...longest, why: 'not all other servers are well' };
  }
  return { type: 'remove', ...longest };
}

function isWell({ peers, isWounded }: RaftStatus, own: string, node: string): boolean {
  if (node === own) return !isWounded;
  const peer = peers.find((other) => other.node === node);
  return peer?.isActive === true && !peer.isWounded;
}

function unsafe(message: string): Verdict {
  return { isSafe: false, message };
}
