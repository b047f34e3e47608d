/**
 * Term, vote and configurations, kept a second time in a small file of their own. Damage to one place must not let a
 * server vote twice in a term, nor count the wrong servers; the file is written only when one of them changes.
 *
 *   u8 version │ u32 cluster │ u48 term │ u8 1 if there is a vote │ u16 length │ vote │ u16 count │ configurations
 *   u32 CRC32 of all before it            configuration: u48 index │ u16 length │ bytes as in its entry
 */
import { CodedError } from '../base/errors.ts';
import type { Disk } from '../store/disk.ts';
import { decodeConfiguration, encodeConfiguration, type PlacedConfiguration } from './configuration.ts';
import { seal, unseal } from './log-head.ts';

export interface Vote {
  readonly term: number;
  readonly vote: string | null;
}

export interface Ballot extends Vote {
  /** Of the log, ascending: from the one in force at some base of it on. */
  readonly configurations: readonly PlacedConfiguration[];
}

/** Replaced atomically, durable before `done(null)`. */
export interface BallotFile {
  read(): Promise<Uint8Array | undefined>;
  replace(content: Uint8Array, done: (error: Error | null) => void): void;
}

export function ballotFileOn(disk: Pick<Disk, 'readFile' | 'replaceFile'>): BallotFile {
  return {
    read: () => disk.readFile(FILE_NAME),
    replace: (content, done) => {
      disk.replaceFile(FILE_NAME, content).then(
        () => done(null),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
  };
}

export function encodeBallot(cluster: number, { term, vote, configurations }: Ballot): Buffer {
  const name = Buffer.from(vote ?? '', 'utf8');
  const start = Buffer.alloc(14);
  start[0] = VERSION;
  start.writeUInt32BE(cluster, 1);
  start.writeUIntBE(term, 5, 6);
  start[11] = vote === null ? 0 : 1;
  start.writeUInt16BE(name.length, 12);
  const count = Buffer.alloc(2);
  count.writeUInt16BE(configurations.length);
  const parts: Uint8Array[] = [start, name, count];
  for (const { configuration, index } of configurations) {
    const content = encodeConfiguration(configuration);
    const header = Buffer.alloc(8);
    header.writeUIntBE(index, 0, 6);
    header.writeUInt16BE(content.length, 6);
    parts.push(header, content);
  }
  return seal(Buffer.concat([...parts, Buffer.alloc(4)]));
}

/** Undefined if it is damaged; `foreign` if it is sound and of another cluster. */
export function decodeBallot(cluster: number, bytes: Uint8Array): Ballot | 'foreign' | undefined {
  const buffer = unseal(bytes);
  if (buffer === undefined || buffer.length < 20 || buffer[0] !== VERSION) return undefined;
  if (buffer.readUInt32BE(1) !== cluster) return 'foreign';
  const voteEnd = 14 + buffer.readUInt16BE(12);
  const configurations: PlacedConfiguration[] = [];
  let offset = voteEnd + 2;
  for (let count = buffer.readUInt16BE(voteEnd); count > 0; count -= 1) {
    const end = offset + 8 + buffer.readUInt16BE(offset + 6);
    const configuration = decodeConfiguration(buffer.subarray(offset + 8, end));
    if (configuration === undefined) return undefined;
    configurations.push({ configuration, index: buffer.readUIntBE(offset, 6) });
    offset = end;
  }
  const vote = buffer[11] === 1 ? buffer.toString('utf8', 14, voteEnd) : null;
  return { term: buffer.readUIntBE(5, 6), vote, configurations };
}

/** Within a term a vote is given once and never taken back, so the one with a vote is the newer. */
export function newerVote(left: Vote, right: Vote): Vote {
  if (left.term !== right.term) return left.term > right.term ? left : right;
  if (left.vote !== null && right.vote !== null && left.vote !== right.vote) {
    throw new CodedError(
      'storage-failed',
      `raft log: two votes in term ${left.term}, ${left.vote} and ${right.vote}; replace this server (carillon cluster replace)`,
    );
  }
  return left.vote === null ? right : left;
}

const FILE_NAME = 'ballot';
const VERSION = 1;
