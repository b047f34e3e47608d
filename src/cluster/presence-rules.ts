/**
 * Who may exist beside whom, as rules over what was heard. A life that starts gives way to one that is there; a life
 * that runs gives way only to a newer one that runs as well.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { Identity } from './identity.ts';
import type { Peer } from './presence-peers.ts';
import type { Stage } from './presence-word.ts';

/** This life, as the others see it. */
export interface Standing {
  readonly identity: Identity;
  readonly isServer: boolean;
  readonly life: string;
  readonly stage: Stage;
  /** The highest boot of this node, past its start, that anybody answered to have heard; 0: none. */
  readonly knownBoot: number;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Why this life must not go on, before it runs. */
export function judgeStart(self: Standing, lives: readonly Peer[]): Refusal | undefined {
  const { identity } = self;
  const twin = lives.find((peer) => isTwin(self, peer) && givesWay(self, peer));
  if (twin !== undefined) {
    return {
      code: 'foreign-directory',
      message:
        `${describeSelf(identity)} is alive in another process (boot ${twin.boot}, this one is boot ` +
        `${identity.boot}): stop that process, or start this one with a directory of its own and another name`,
    };
  }
  if (isRolledBack(self)) {
    return {
      code: 'directory-unusable',
      message:
        `${describeSelf(identity)} was heard in boot ${self.knownBoot}, and its directory says boot ${identity.boot}: ` +
        'it is a copy or was rolled back, and must not vote. Start with the newest directory, or with an empty one',
    };
  }
  const foreigner = lives.find((peer) => peer.isProven && isOfAnotherCluster(self, peer));
  if (foreigner !== undefined) return { code: 'foreign-directory', message: twoClusters(self, foreigner) };
  const namesake = lives.find((peer) => peer.isProven && isNamesake(self, peer) && givesWay(self, peer));
  if (namesake !== undefined) {
    return {
      code: 'foreign-directory',
      message: `${nameTaken(self, namesake)}; stop that node, or start this one under another name`,
    };
  }
  return undefined;
}

export type Collision =
  /** The other life has this node's place: this one stops. */
  | { readonly type: 'replaced'; readonly message: string }
  /** Somebody must act; until then both go on. */
  | { readonly type: 'conflict'; readonly message: string };

/** What a running life makes of another one. */
export function judgeRunning(self: Standing, peer: Peer): Collision | undefined {
  const { identity } = self;
  // Who does not run yet hears this node and gives way.
  if (peer.here.stage !== 'running') return undefined;
  if (peer.nodeId === identity.nodeId) {
    // An older life hears this one, and stops.
    if (peer.here.life === self.life || peer.boot < identity.boot) return undefined;
    const message =
      peer.boot === identity.boot
        ? `${describeSelf(identity)} runs twice in boot ${identity.boot}, from copies of one directory: both stop`
        : `${describeSelf(identity)} runs in boot ${peer.boot} by now, this is boot ${identity.boot}: it stops`;
    return { type: 'replaced', message };
  }
  if (isOfAnotherCluster(self, peer)) return { type: 'conflict', message: twoClusters(self, peer) };
  if (peer.here.name === identity.nodeName) {
    return { type: 'conflict', message: `${nameTaken(self, peer)}; stop one of them` };
  }
  return undefined;
}

/** `s1 (0123abcd)`: nodeIds are long, and eight characters are enough to find one. */
export function describeNode(name: string, nodeId: string): string {
  return `${name} (${nodeId.slice(0, 8)})`;
}

function describeSelf({ nodeName, nodeId }: Identity): string {
  return `node ${describeNode(nodeName, nodeId)}`;
}

/** Of the same boot it is a copy of the directory, proven or not: a boot is used once. */
function isTwin({ identity, life }: Standing, peer: Peer): boolean {
  if (peer.nodeId !== identity.nodeId || peer.here.life === life) return false;
  return peer.isProven || peer.boot === identity.boot;
}

/** Once past the start, this boot is what the others know. */
function isRolledBack({ identity, stage, knownBoot }: Standing): boolean {
  return stage === 'starting' ? knownBoot >= identity.boot : knownBoot > identity.boot;
}

/** Servers make a cluster; an agent that was left behind must not keep one from starting. */
function isOfAnotherCluster({ identity }: Standing, { here }: Peer): boolean {
  if (identity.clusterUuid === null || here.clusterUuid === null) return false;
  return here.isServer && here.clusterUuid !== identity.clusterUuid;
}

function isNamesake({ identity }: Standing, { nodeId, here }: Peer): boolean {
  return here.name === identity.nodeName && nodeId !== identity.nodeId;
}

const STAGES: readonly Stage[] = ['starting', 'forming', 'running'];

/** Of two lives that exclude each other exactly one gives way: both see the same order. */
function givesWay(self: Standing, { nodeId, boot, here }: Peer): boolean {
  const { identity } = self;
  const own = STAGES.indexOf(self.stage);
  const other = STAGES.indexOf(here.stage);
  if (own !== other) return own < other;
  const isMember = identity.clusterUuid !== null;
  if (isMember !== (here.clusterUuid !== null)) return !isMember;
  if (nodeId !== identity.nodeId) return identity.nodeId > nodeId;
  return boot === identity.boot ? self.life > here.life : identity.boot < boot;
}

function nameTaken({ identity }: Standing, { nodeId, boot }: Peer): string {
  const { nodeName, clusterName } = identity;
  return (
    `the name ${nodeName} is taken in cluster ${clusterName}: node ${describeNode(nodeName, nodeId)} is alive in boot ` +
    `${boot}, this is node ${describeNode(nodeName, identity.nodeId)}`
  );
}

function twoClusters({ identity, isServer }: Standing, { nodeId, here }: Peer): string {
  const { clusterName, clusterUuid } = identity;
  const remedy = isServer
    ? 'stop the servers of one, or give it another name'
    : 'stop one, or start this agent with an empty directory to join the other';
  return (
    `two clusters are called ${clusterName}: this node belongs to ${clusterUuid?.slice(0, 8)}, server ` +
    `${describeNode(here.name, nodeId)} to ${here.clusterUuid?.slice(0, 8)}; ${remedy}`
  );
}
