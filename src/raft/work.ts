/** What `ready` hands out: the next write, and the next committed entries. Each once. */
import { limitBytes } from './log.ts';
import type { RaftState } from './state.ts';
import type { AppendWork, LogEntry, Room } from './types.ts';

export function takeAppend(state: RaftState): AppendWork | null {
  const { unstable, lastIndex } = state.log;
  const { term, vote } = state;
  const entries = unstable.hasNext ? unstable.next() : NO_ENTRIES;
  const point = unstable.isSnapshotInProgress ? null : unstable.snapshot;
  const reset = point === null ? null : { point, configuration: state.log.configurations.at(point.index) };
  const isChanged = term !== state.handedOut.term || vote !== state.handedOut.vote;
  const isWrite = entries.length > 0 || reset !== null || isChanged;
  if (!isWrite && state.answers.length === 0) return null;
  // The commit index goes along with other writes only: alone it is not worth a sync, a leader tells it again.
  const hardState = isWrite ? { term, vote, commit: state.log.committed } : null;
  if (hardState !== null) state.handedOut = hardState;
  // Attested anew with each write, so that what an older term's receipt may not mark is marked by the next.
  const last = unstable.entries.length > 0 ? { index: lastIndex, term: state.log.term(lastIndex) as number } : null;
  unstable.acceptInProgress();
  const answers = state.answers;
  state.answers = [];
  const first = entries[0];
  const chainBefore = first === undefined ? 0 : state.log.point(first.index - 1).chain;
  return { reset, entries, chainBefore, hardState, answers, receipt: { term, last, resetIndex: point?.index ?? 0 } };
}

export function takeCommitted(state: RaftState, room: Room): readonly LogEntry[] {
  const { log } = state;
  if (state.isInstalling || room.committedEntries <= 0 || room.committedBytes <= 0) return NO_ENTRIES;
  const low = log.handedOn + 1;
  const high = Math.min(log.handOnEnd, low + room.committedEntries);
  if (low >= high || state.isReadingToHandOn) return NO_ENTRIES;
  let entries: readonly LogEntry[] | undefined;
  if (state.readEntries[0]?.index === low) {
    entries = limitBytes(state.readEntries, 0, Math.min(high - low, state.readEntries.length), room.committedBytes);
    state.readEntries = [];
  } else {
    entries = log.slice(low, high, room.committedBytes);
  }
  if (entries === undefined) {
    state.isReadingToHandOn = true;
    const bytesMax = Math.min(room.committedBytes, state.limits.appendBytesMax);
    state.reads.push({ target: null, term: state.term, low, high, bytesMax });
    return NO_ENTRIES;
  }
  log.handedOn += entries.length;
  return entries;
}

const NO_ENTRIES: readonly LogEntry[] = [];
