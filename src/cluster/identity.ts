import { strict as assert } from 'node:assert';
import { CodedError } from '../base/errors.ts';
import { isId } from './envelope.ts';

/** Who a node is: minted once with its data directory, kept in `node.json`, the boot counter raised at each start. */
export interface Identity {
  readonly nodeId: string;
  /** Null until the node belongs to a cluster. */
  readonly clusterUuid: string | null;
  /**
   * nodeIds of the servers that vote, as far as this node was told; null: it was not. On a server those of the moment
   * when it joined: they name it only where it has founded the cluster with the others.
   */
  readonly voters: readonly string[] | null;
  /** What a server without a cluster has promised; null once it belongs to one. */
  readonly promise: GenesisPromise | null;
  readonly clusterName: string;
  readonly nodeName: string;
  /** 1 at the first start. Durable before anybody hears it, so no two lives of a node share one. */
  readonly boot: number;
}

/** The word of a server to found one cluster and no other (`formation.ts`). */
export interface GenesisPromise {
  readonly clusterUuid: string;
  /** nodeIds, ascending. */
  readonly voters: readonly string[];
  /** The first of the voters. */
  readonly proposer: string;
}

/** More voters than anybody needs; what names more is not understood. */
export const VOTERS_MAX = 31;

/** What identity needs of a data directory; `Disk` of `store/` has it. */
export interface IdentityFiles {
  readonly label: string;
  storageNames(): Promise<readonly string[]>;
  readFile(name: string): Promise<Uint8Array | undefined>;
  replaceFile(name: string, content: Uint8Array): Promise<void>;
}

export interface IdentityWanted {
  readonly clusterName: string;
  readonly nodeName: string;
  /** A new random nodeId: 32 hex characters. */
  readonly mint: () => string;
}

/**
 * Reads or mints the identity of a directory and begins a new boot. A directory that is another node's, another
 * cluster's, of a newer version or not understood is refused and left as it is.
 */
export async function openIdentity(files: IdentityFiles, wanted: IdentityWanted): Promise<Identity> {
  const content = await files.readFile(FILE_NAME);
  if (content === undefined) return saveIdentity(files, await mint(files, wanted));
  const found = parse(content, files.label);
  refuseForeign(found, wanted, files.label);
  assert(found.boot < BOOT_MAX, 'the boot counter is used up');
  return saveIdentity(files, { ...found, boot: found.boot + 1 });
}

/**
 * Joins a node to its cluster, once and for all; called again it notes other voters. Uuid and voters become durable in
 * one step, and a promise is settled with it.
 */
export function joinCluster(
  files: IdentityFiles,
  identity: Identity,
  clusterUuid: string,
  voters: readonly string[] | null = null,
): Promise<Identity> {
  assert(isId(clusterUuid), `not a cluster uuid: ${clusterUuid}`);
  const sorted = voters === null ? null : [...voters].sort();
  assert(sorted === null || areVoters(sorted), `not voters: ${voters}`);
  const { clusterUuid: current } = identity;
  assert(current === null || current === clusterUuid, `node ${identity.nodeId} already belongs to cluster ${current}`);
  return saveIdentity(files, { ...identity, clusterUuid, voters: sorted, promise: null });
}

/** Makes a promise durable. It must be said to nobody before. */
export function keepPromise(files: IdentityFiles, identity: Identity, promise: GenesisPromise): Promise<Identity> {
  assert(isPromise(promise), `not a promise: ${JSON.stringify(promise)}`);
  assert(identity.clusterUuid === null, `node ${identity.nodeId} already belongs to cluster ${identity.clusterUuid}`);
  const { promise: current } = identity;
  // Promises go to lower proposers only: that is what makes an old word as good as a new one (formation-rules.ts).
  assert(current === null || promise.proposer <= current.proposer, `node ${identity.nodeId} promised to a lower one`);
  return saveIdentity(files, { ...identity, promise });
}

/** Whether a value from a file or a wire is a list of voters: some nodeIds, ascending. */
export function areVoters(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > VOTERS_MAX) return false;
  return value.every((id, at) => typeof id === 'string' && isId(id) && (at === 0 || value[at - 1] < id));
}

export function isPromise(value: unknown): value is GenesisPromise {
  if (typeof value !== 'object' || value === null) return false;
  const { clusterUuid, voters, proposer } = value as Record<string, unknown>;
  return typeof clusterUuid === 'string' && isId(clusterUuid) && areVoters(voters) && voters[0] === proposer;
}

const FILE_NAME = 'node.json';
/** 2 has `voters` and `promise`. A program that does not know of the promise would break it, hence the number. */
const FORMAT = 2;
const FORMAT_MIN = 1;
const BOOT_MAX = 0xffff_ffff;

async function mint(files: IdentityFiles, { clusterName, nodeName, mint }: IdentityWanted): Promise<Identity> {
  const storages = await files.storageNames();
  if (storages.length > 0) {
    // A new nodeId over an old log would vote twice: once as each.
    throw unusable(`${files.label} has data (${storages.join(', ')}) but no ${FILE_NAME}`, 'Restore the file');
  }
  const nodeId = mint();
  assert(isId(nodeId), `not a nodeId: ${nodeId}`);
  return { nodeId, clusterUuid: null, voters: null, promise: null, clusterName, nodeName, boot: 1 };
}

/** As it is, durably. */
export async function saveIdentity(files: IdentityFiles, identity: Identity): Promise<Identity> {
  const { nodeId, clusterUuid, voters, promise, clusterName, nodeName, boot } = identity;
  const fields = { format: FORMAT, nodeId, clusterUuid, voters, promise, clusterName, nodeName, boot };
  const text = JSON.stringify(fields, null, 2);
  await files.replaceFile(FILE_NAME, new TextEncoder().encode(`${text}\n`));
  return identity;
}

function parse(content: Uint8Array, label: string): Identity {
  const fields = parseObject(content);
  const { format, nodeId, clusterUuid, voters = null, promise = null, clusterName, nodeName, boot } = fields ?? {};
  if (typeof format === 'number' && format > FORMAT) {
    throw new CodedError(
      'newer-directory',
      `${label} was written by a newer version (format ${format}, this one reads up to ${FORMAT}); start that version`,
    );
  }
  const isUuid = clusterUuid === null || (typeof clusterUuid === 'string' && isId(clusterUuid));
  const isBoot = typeof boot === 'number' && Number.isInteger(boot) && boot >= 1 && boot <= BOOT_MAX;
  if (
    typeof format !== 'number' ||
    format < FORMAT_MIN ||
    typeof nodeId !== 'string' ||
    !isId(nodeId) ||
    !isUuid ||
    !(voters === null || areVoters(voters)) ||
    !(promise === null || isPromise(promise)) ||
    typeof clusterName !== 'string' ||
    typeof nodeName !== 'string' ||
    !isBoot
  ) {
    throw unusable(`${label}/${FILE_NAME} is not understood`, 'Restore it from a backup');
  }
  return { nodeId, clusterUuid, voters, promise, clusterName, nodeName, boot };
}

function parseObject(content: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(content));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // What does not parse is refused by the caller, with the name of the file.
    return undefined;
  }
}

function refuseForeign(found: Identity, wanted: IdentityWanted, label: string): void {
  const differences: string[] = [];
  if (found.clusterName !== wanted.clusterName) {
    differences.push(`of cluster ${found.clusterName}, not ${wanted.clusterName}`);
  }
  if (found.nodeName !== wanted.nodeName) differences.push(`of node ${found.nodeName}, not ${wanted.nodeName}`);
  if (differences.length === 0) return;
  throw new CodedError(
    'foreign-directory',
    `${label} is the data directory ${differences.join(' and ')}; start with its own names or choose another directory`,
  );
}

function unusable(what: string, remedy: string): CodedError {
  return new CodedError('directory-unusable', `${what}. ${remedy}, or start with an empty directory as a new node`);
}
