/** The bytes of a configuration: in entries of its kind, in the head of the log, beside a snapshot. */
import type { Configuration, Learner } from './raft-protocol.ts';

/** A configuration and the index of the entry that it stands in. */
export interface PlacedConfiguration {
  readonly configuration: Configuration;
  /** 0: none has been heard of yet, and the configuration is empty. */
  readonly index: number;
}

/** Of a server that has joined and has no entry yet: it follows whoever leads, and never stands for election. */
export const NO_CONFIGURATION: PlacedConfiguration = {
  configuration: { voters: [], outgoing: [], learners: [] },
  index: 0,
};

/**
 * `u8 version │ voters │ outgoing │ learners`, each a `u8 count` and its items; a node is `u8 length │ UTF-8`, a learner
 * `node │ u8 1 if it becomes a voter │ the node it replaces, or one of length 0`. Version 1 had voters alone, and is
 * still written for those: the first entry of a cluster has the same bytes as ever.
 */
export function encodeConfiguration({ voters, outgoing, learners }: Configuration): Uint8Array {
  const parts: Buffer[] = [];
  const putNode = (node: string): void => {
    const name = Buffer.from(node, 'utf8');
    parts.push(Buffer.from([name.length]), name);
  };
  const putAll = <Item>(items: readonly Item[], put: (item: Item) => void): void => {
    parts.push(Buffer.from([items.length]));
    for (const item of items) put(item);
  };
  const isPlain = outgoing.length === 0 && learners.length === 0;
  parts.push(Buffer.from([isPlain ? VERSION_VOTERS : VERSION]));
  putAll([...voters].sort(), putNode);
  if (!isPlain) {
    putAll([...outgoing].sort(), putNode);
    putAll([...learners].sort(byNode), ({ node, becomesVoter, replaces }) => {
      putNode(node);
      parts.push(Buffer.from([becomesVoter ? 1 : 0]));
      putNode(replaces ?? '');
    });
  }
  return Buffer.concat(parts);
}

/** Undefined where the bytes are not those of a configuration. */
export function decodeConfiguration(data: Uint8Array): Configuration | undefined {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let offset = 1;
  const takeByte = (): number => {
    const byte = buffer[offset];
    if (byte === undefined) throw new RangeError('configuration: cut short');
    offset += 1;
    return byte;
  };
  const takeNode = (): string => {
    const length = takeByte();
    if (offset + length > buffer.length) throw new RangeError('configuration: cut short');
    offset += length;
    return buffer.toString('utf8', offset - length, offset);
  };
  const takeAll = <Item>(take: () => Item): Item[] => Array.from({ length: takeByte() }, take);
  const takeLearner = (): Learner => {
    const node = takeNode();
    const becomesVoter = takeByte() === 1;
    const replaces = takeNode();
    return { node, becomesVoter, replaces: replaces === '' ? null : replaces };
  };
  try {
    const version = buffer[0];
    if (version !== VERSION_VOTERS && version !== VERSION) return undefined;
    const voters = takeAll(takeNode);
    const isPlain = version === VERSION_VOTERS;
    const outgoing = isPlain ? [] : takeAll(takeNode);
    const learners = isPlain ? [] : takeAll(takeLearner);
    return offset === buffer.length ? { voters, outgoing, learners } : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function byNode(left: Learner, right: Learner): number {
  return left.node < right.node ? -1 : 1;
}

const VERSION_VOTERS = 1;
const VERSION = 2;
