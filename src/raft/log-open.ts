/** Opening the log of a server: what `judge` says is made durable in one batch, before anybody relies on it. */
import type { Journal } from '../store/journal.ts';
import { endOfPrefix, type Row, type Storage, type Write } from '../store/storage.ts';
import { type Ballot, type BallotFile, decodeBallot, encodeBallot, newerVote } from './ballot.ts';
import { bootstrapEntry } from './bootstrap.ts';
import { EntryCache } from './entry-cache.ts';
import { decodeNote, EMPTY_HEAD, encodeHead, type LogHead } from './log-head.ts';
import {
  foreign,
  HEAD_KEY,
  judge,
  LogReader,
  lost,
  NOTE_KEY,
  RECORD_PREFIX,
  readHead,
  recordKey,
  type Verdict,
} from './log-opening.ts';
import { BlockEncoder, clusterHash } from './log-record.ts';
import { type LogContent, LogStore, storageFailed } from './log-store.ts';
import type { SnapshotMeta } from './raft-protocol.ts';
import type { LogReset } from './types.ts';

export interface LogStoreOptions {
  /** Nothing else may write to it, nor to the ballot. */
  readonly journal: Journal;
  readonly ballot: BallotFile;
  readonly clusterUuid: string;
  /** Where the durable state of the state machine stands; index 0 if there is none. */
  readonly state: SnapshotMeta;
  /** Default 16 MiB. */
  readonly cacheBytesMax?: number;
  /** Who votes by a log of an earlier build, which has compacted the one entry that said so: it never changed then. */
  readonly formerVoters?: readonly string[];
}

/** Has this server ever had a log, bootstrapped or joined, whatever is left of it? */
export async function hasLog(journal: Journal, ballot: BallotFile): Promise<boolean> {
  if (journal.get(HEAD_KEY) !== undefined || journal.damage.length > 0) return true;
  return (await ballot.read()) !== undefined;
}

/** Writes entry 1 (who votes) into an empty log. A log of the same cluster is left as it is. */
export async function bootstrapLog(
  journal: Journal,
  ballot: BallotFile,
  clusterUuid: string,
  voters: readonly string[],
): Promise<void> {
  const encoder = new BlockEncoder(clusterHash(clusterUuid));
  if (await hasLog(journal, ballot)) {
    readHead(encoder.cluster, journal.get(HEAD_KEY));
    return;
  }
  const entry = bootstrapEntry(voters);
  const durable = { index: 1, term: 1, chain: entry.chain };
  await writeAll(journal, [
    { type: 'put', key: recordKey(1), value: encoder.encode(0, [entry]) },
    { type: 'put', key: HEAD_KEY, value: encodeHead(encoder.cluster, { ...EMPTY_HEAD, term: 1, commit: 1, durable }) },
  ]);
}

/**
 * Proves the log whole and brings it into line with the state; an empty one is that of a server that joins. What is
 * missing makes it wounded. Throws `storage-failed` where nothing is left to go by, so that the server may not vote.
 */
export async function openLogStore(options: LogStoreOptions): Promise<LogStore> {
  const { journal, ballot: file, state } = options;
  const encoder = new BlockEncoder(clusterHash(options.clusterUuid));
  const ballotBytes = await file.read();
  const ballot = readBallot(encoder.cluster, ballotBytes);
  const lostEnd = journal.damage.find(({ to }) => to === null)?.where ?? null;
  const isFresh = await isUntouched(journal, ballotBytes, state);
  const found = isFresh ? EMPTY_HEAD : readHead(encoder.cluster, journal.get(HEAD_KEY));
  const head = found && withFormerVoters(found, options.formerVoters ?? []);
  if (ballot === null && (head === null || lostEnd !== null)) {
    throw lost(`${lostEnd ?? 'its head is lost'}, and the ballot file cannot be read: its vote may be lost`);
  }
  const cache = new EntryCache(options.cacheBytesMax ?? 16 * 1024 * 1024, (head?.base.index ?? 0) + 1);
  const reader = await readRecords(journal, encoder.cluster, head, state, cache);
  const noteBytes = journal.get(NOTE_KEY);
  const note = noteBytes === undefined ? undefined : decodeNote(noteBytes);
  const verdict = judge(reader, { state, note, lostEnd, configurations: ballot?.configurations ?? null });
  const content = contentAfter(reader, verdict, ballot, state);
  const gone = verdict.reset === null ? [] : reader.records.map(({ first }) => recordKey(first));
  const deletes = [...gone, ...reader.unproven].map((key): Write => ({ type: 'delete', key }));
  const isChanged = content.head !== head || deletes.length > 0 || journal.damage.length > 0;
  if (isChanged || isFresh) {
    const value = encodeHead(encoder.cluster, content.head);
    await writeAll(journal, [...deletes, { type: 'put', key: HEAD_KEY, value }]);
  }
  const { term, vote } = content.head;
  const ballotNow = encodeBallot(encoder.cluster, { term, vote, configurations: content.configurations });
  // After the head: a ballot alone would mean that a log was lost.
  if (ballotBytes === undefined || !ballotNow.equals(ballotBytes)) await replaceBallot(file, ballotNow);
  if (verdict.reset !== null) cache.restart(verdict.reset.point.index + 1);
  return new LogStore(journal, file, encoder, content, cache);
}

function withFormerVoters(head: LogHead, formerVoters: readonly string[]): LogHead {
  if (head.base.index === 0 || head.configuration.index > 0 || formerVoters.length === 0) return head;
  const voters = [...formerVoters].sort();
  return { ...head, configuration: { configuration: { voters, outgoing: [], learners: [] }, index: 1 } };
}

/** Null if there is none or it is broken. */
function readBallot(cluster: number, bytes: Uint8Array | undefined): Ballot | null {
  const ballot = bytes === undefined ? undefined : decodeBallot(cluster, bytes);
  if (ballot === 'foreign') throw foreign();
  return ballot ?? null;
}

/** Nothing was ever written: no trace in any of the three places. */
async function isUntouched(journal: Journal, ballot: Uint8Array | undefined, state: SnapshotMeta): Promise<boolean> {
  if (journal.get(HEAD_KEY) !== undefined || ballot !== undefined || journal.damage.length > 0) return false;
  return state.index === 0 && (await scanAll(journal, RECORD_PREFIX)).length === 0;
}

async function readRecords(
  journal: Journal,
  cluster: number,
  head: LogHead | null,
  state: SnapshotMeta,
  cache: EntryCache,
): Promise<LogReader> {
  const reader = new LogReader(cluster, head, state, (entries) => cache.put(entries));
  for (let from = RECORD_PREFIX; ; ) {
    const rows = await scanAll(journal, from);
    for (const row of rows) reader.take(row);
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < ROWS_PER_SCAN) break;
    from = `${last.key} `;
  }
  reader.finish();
  return reader;
}

function contentAfter(reader: LogReader, verdict: Verdict, ballot: Ballot | null, state: SnapshotMeta): LogContent {
  const { wound, reset } = verdict;
  const { head, records, terms, chains, configurations } = reader;
  const newest = ballot === null ? head : newerVote(head, ballot);
  const isSame = newest.term === head.term && newest.vote === head.vote;
  const found: LogHead = isSame ? head : { ...head, term: newest.term, vote: newest.vote };
  if (reset !== null) return startedAt(found, reset, wound);
  if (wound === null) return { head: found, records, terms, chains, configurations };
  const position = terms.length - 1;
  const durable = { index: reader.lastIndex, term: terms[position] as number, chain: chains[position] as number };
  // What is proven may be what was there before a conflict was resolved: only what the state holds is surely committed.
  return { head: { ...found, commit: state.index, durable, wound }, records, terms, chains, configurations };
}

function startedAt(found: LogHead, { point, configuration }: LogReset, wound: string | null): LogContent {
  const isNewTerm = point.term > found.term;
  const head: LogHead = {
    term: isNewTerm ? point.term : found.term,
    vote: isNewTerm ? null : found.vote,
    commit: wound === null ? Math.max(found.commit, point.index) : point.index,
    base: point,
    durable: point,
    configuration,
    wound: wound ?? found.wound,
  };
  return { head, records: [], terms: [point.term], chains: [point.chain], configurations: [configuration] };
}

function scanAll(storage: Storage, from: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    storage.scan({ from, to: endOfPrefix(RECORD_PREFIX), limit: ROWS_PER_SCAN }, (error, rows) => {
      if (error === null) resolve(rows);
      else reject(storageFailed(error));
    });
  });
}

function writeAll(storage: Storage, batch: readonly Write[]): Promise<void> {
  return new Promise((resolve, reject) => {
    storage.write(batch, (error) => (error === null ? resolve() : reject(storageFailed(error))));
  });
}

function replaceBallot(file: BallotFile, content: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    file.replace(content, (error) => (error === null ? resolve() : reject(storageFailed(error))));
  });
}

const ROWS_PER_SCAN = 16;
