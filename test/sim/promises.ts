/**
 * What servers promise one another, against what their disks have. What counts as a vote must be durable on the disk
 * of its sender by then (I10), nobody votes for two in a term, and neither term nor commit index nor what is compacted
 * ever goes back on a disk, over all lives (I9). Entries of one place and term are the same everywhere (I3), and a
 * leader's log only grows (I2): both are read from the appends, where each entry stands with the hash of all before it.
 */
import { decodeHead, EMPTY_HEAD, type LogHead } from '../../src/raft/log-head.ts';
import { HEAD_KEY, recordKey } from '../../src/raft/log-opening.ts';
import { clusterHash, decodeBlock } from '../../src/raft/log-record.ts';
import type { Append, EntryId, LogPoint } from '../../src/raft/types.ts';
import { decodeMessage } from '../../src/raft/wire.ts';
import type { MemoryDrive } from '../../src/store/memory-disk.ts';
import type { MemoryStorage } from '../../src/store/memory-storage.ts';
import { CLUSTER_UUID, nameOf } from './members.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import type { Voters } from './voters.ts';

/** What a server last showed on its disk. */
interface Shown {
  readonly bytes: Uint8Array | undefined;
  readonly head: LogHead;
}

/** Leaders of older terms may still speak; so many terms are remembered. */
const TERMS_MAX = 32;

export class Promises {
  readonly #allVoters: Voters;
  readonly #cluster = clusterHash(CLUSTER_UUID);
  /** By server and term: whom it voted for. */
  readonly #votes = new Map<string, string>();
  readonly #shown = new Map<string, Shown>();
  readonly #logs = new Map<string, { readonly crashes: number; readonly storage: MemoryStorage }>();
  /** By index, then term: the hash of the log up to there. */
  readonly #chains = new Map<number, Map<number, number>>();
  /** By term, then index: the term of the entry in its leader's log. */
  readonly #leaderLogs = new Map<number, Map<number, number>>();

  constructor(voters: Voters) {
    this.#allVoters = voters;
  }

  /** A frame of the raft channel leaves a server. */
  sent(node: SimNode, to: string, body: Uint8Array): void {
    const kind = body[KIND_AT];
    if (kind !== APPEND && kind !== APPEND_ANSWER && kind !== VOTE_ANSWER) return;
    const message = decodeMessage(body, node.id, to, this.#cluster);
    check(message !== undefined, () => `${node.name} sends a raft frame that nobody can read`);
    if (message.type === 'append') this.#appends(node, message);
    else if (message.type === 'append-answer' && !message.isRejected) {
      this.#acknowledges(node, message.term, message.index);
    } else if (message.type === 'vote-answer' && message.isGranted && !message.isPreVote) {
      this.#votesFor(node, to, message.term);
    }
  }

  /** Of its log, as its disk has it now; also of a server that is down. */
  durableHead(node: SimNode): LogHead {
    const { name, crashes, drive, isDiskDead, isFormed } = node;
    if (!isFormed) return EMPTY_HEAD;
    const shown = this.#shown.get(name);
    // A disk that has failed cannot be read either, and takes nothing more: it stands where it stood.
    if (isDiskDead) return shown?.head ?? EMPTY_HEAD;
    const bytes = this.#logOf(name, crashes, drive).get(HEAD_KEY);
    if (shown !== undefined && shown.bytes === bytes) return shown.head;
    const head = bytes === undefined ? EMPTY_HEAD : decodeHead(this.#cluster, bytes);
    check(head !== undefined && head !== 'foreign', () => `${name}: the head of its log is damaged`);
    if (shown !== undefined) checkOnward(name, shown.head, head);
    if (head.vote !== null) this.#voted(name, head.term, head.vote);
    this.#seen(name, head.durable);
    this.#shown.set(name, { bytes, head });
    return head;
  }

  /** Whether this entry is on the disk of this server, or was there and is compacted since. */
  holds(node: SimNode, { index, term }: EntryId): boolean {
    const { base, durable } = this.durableHead(node);
    if (index <= base.index) return true;
    if (index > durable.index) return false;
    if (node.isDiskDead) return durable.term >= term;
    const log = this.#logOf(node.name, node.crashes, node.drive);
    // A block holds the entries from its key on; the nearest below is the newest.
    for (let first = index; first > base.index; first -= 1) {
      const bytes = log.get(recordKey(first));
      if (bytes === undefined) continue;
      const entry = decodeBlock(this.#cluster, bytes)?.entries[index - first];
      return entry?.term === term;
    }
    return false;
  }

  #appends(node: SimNode, { term, previous, entries, commit }: Append): void {
    let log = this.#leaderLogs.get(term);
    if (log === undefined) {
      log = new Map();
      this.#leaderLogs.set(term, log);
      if (this.#leaderLogs.size > TERMS_MAX) this.#leaderLogs.delete(Math.min(...this.#leaderLogs.keys()));
    }
    if (previous.index > 0) this.#inLeaderLog(node, term, log, previous);
    for (const entry of entries) {
      this.#inLeaderLog(node, term, log, entry);
      this.#allVoters.sent(term, entry, commit);
    }
  }

  #inLeaderLog({ name }: SimNode, term: number, log: Map<number, number>, point: LogPoint): void {
    const before = log.get(point.index);
    if (before === undefined) log.set(point.index, point.term);
    check(
      before === undefined || before === point.term,
      () =>
        `${name} leads term ${term}, and its entry ${point.index} of term ${before} has become one of ${point.term}`,
    );
    this.#seen(name, point);
  }

  #seen(name: string, { index, term, chain }: LogPoint): void {
    let chains = this.#chains.get(index);
    if (chains === undefined) {
      chains = new Map();
      this.#chains.set(index, chains);
    }
    const before = chains.get(term);
    if (before === undefined) chains.set(term, chain);
    else check(before === chain, () => `${name}: entry ${index} of term ${term} is not what it is elsewhere`);
  }

  #acknowledges(node: SimNode, term: number, index: number): void {
    const head = this.durableHead(node);
    check(
      head.durable.index >= index,
      () => `${node.name} acknowledges entries up to ${index}, its disk has ${head.durable.index}`,
    );
    check(head.term >= term, () => `${node.name} acknowledges entries of term ${term}, its disk has term ${head.term}`);
  }

  #votesFor(node: SimNode, to: string, term: number): void {
    const head = this.durableHead(node);
    check(
      head.term > term || (head.term === term && head.vote === to),
      () => `${node.name} votes in term ${term}, its disk has term ${head.term}`,
    );
    this.#voted(node.name, term, to);
  }

  #voted(name: string, term: number, candidate: string): void {
    const key = `${name}/${term}`;
    const before = this.#votes.get(key);
    check(
      before === undefined || before === candidate,
      () => `${name} votes in term ${term} for ${nameOf(candidate)} and for ${nameOf(before ?? '')}`,
    );
    if (before === undefined) this.#votes.set(key, candidate);
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

function checkOnward(name: string, before: LogHead, now: LogHead): void {
  check(now.term >= before.term, () => `${name}: its disk had term ${before.term}, now ${now.term}`);
  check(now.commit >= before.commit, () => `${name}: its disk had commit index ${before.commit}, now ${now.commit}`);
  check(
    now.base.index >= before.base.index,
    () => `${name}: was compacted up to ${before.base.index}, now to ${now.base.index}`,
  );
  check(
    now.base.index <= now.durable.index,
    () => `${name}: compacted up to ${now.base.index}, durable up to ${now.durable.index}`,
  );
  check(
    now.term > before.term || before.vote === null || now.vote === before.vote,
    () => `${name}: its vote of term ${now.term} was ${nameOf(before.vote ?? '')}, now ${nameOf(now.vote ?? 'nobody')}`,
  );
  check(
    now.durable.index >= now.commit || now.commit <= before.commit,
    () => `${name}: commit index ${now.commit}, durable up to ${now.durable.index}`,
  );
}

/** Where a frame says what it is, and what is looked at here; see `wire.ts`. */
const KIND_AT = 3;
const APPEND = 1;
const APPEND_ANSWER = 2;
const VOTE_ANSWER = 4;
