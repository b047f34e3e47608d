/**
 * What a server says on the wire that counts as a vote must be durable on its own disk by then, and a server votes for
 * one candidate in a term, over all its lives.
 */
import { decodeHead, EMPTY_HEAD, type LogHead } from '../../src/raft/log-head.ts';
import { HEAD_KEY } from '../../src/raft/log-opening.ts';
import { clusterHash } from '../../src/raft/log-record.ts';
import { decodeMessage } from '../../src/raft/wire.ts';
import type { MemoryDrive } from '../../src/store/memory-disk.ts';
import type { MemoryStorage } from '../../src/store/memory-storage.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';

export class Promises {
  readonly #cluster: number;
  readonly #nameOf: (id: string) => string;
  readonly #votes = new Map<string, string>();
  readonly #heads = new Map<string, LogHead>();
  readonly #logs = new Map<string, { readonly crashes: number; readonly storage: MemoryStorage }>();

  constructor({ cluster, nameOf }: { readonly cluster: string; readonly nameOf: (id: string) => string }) {
    this.#cluster = clusterHash(cluster);
    this.#nameOf = nameOf;
  }

  /** A frame of the raft channel leaves a server. */
  sent(node: SimNode, to: string, body: Uint8Array): void {
    const message = decodeMessage(body, node.id, to, this.#cluster);
    check(message !== undefined, () => `${node.name} sends a raft frame that nobody can read`);
    if (message.type === 'append-answer' && !message.isRejected) {
      const { durable } = this.durableHead(node);
      check(
        durable.index >= message.index,
        () => `${node.name} acknowledges entries up to ${message.index}, its disk has ${durable.index}`,
      );
    } else if (message.type === 'vote-answer' && message.isGranted && !message.isPreVote) {
      const { term, vote } = this.durableHead(node);
      check(
        term > message.term || (term === message.term && vote === to),
        () => `${node.name} votes in term ${message.term}, its disk has term ${term}`,
      );
      const key = `${node.name}/${message.term}`;
      const before = this.#votes.get(key);
      check(
        before === undefined || before === to,
        () =>
          `${node.name} votes in term ${message.term} for ${this.#nameOf(to)} and for ${this.#nameOf(before ?? '')}`,
      );
      this.#votes.set(key, to);
    }
  }

  /** Of its log, as its disk has it now; also of a server that is down. */
  durableHead({ name, crashes, drive, isDoomed, isFormed }: SimNode): LogHead {
    if (!isFormed) return EMPTY_HEAD;
    // A disk that has failed cannot be read either, and takes nothing more: it stands where it stood.
    if (isDoomed) return this.#heads.get(name) ?? EMPTY_HEAD;
    const bytes = this.#logOf(name, crashes, drive).get(HEAD_KEY);
    const head = bytes === undefined ? EMPTY_HEAD : decodeHead(this.#cluster, bytes);
    check(head !== undefined && head !== 'foreign', () => `${name}: the head of its log is damaged`);
    this.#heads.set(name, head);
    return head;
  }

  /** A crash takes all handles away. */
  #logOf(name: string, crashes: number, drive: MemoryDrive): MemoryStorage {
    const known = this.#logs.get(name);
    if (known?.crashes === crashes) return known.storage;
    const storage = drive.database('log').open();
    this.#logs.set(name, { crashes, storage });
    return storage;
  }
}
