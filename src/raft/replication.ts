/** The leader's side: append, send, follow what the followers have, commit (§5.3, §5.4.2). */
import { strict as assert } from 'node:assert';
import { chainEntry } from './chain.ts';
import type { Progress } from './progress.ts';
import { jointCommittedIndex } from './quorum.ts';
import type { EntryKind } from './raft-protocol.ts';
import type { RaftState } from './state.ts';
import { type AppendAnswer, entryBytes, type HeartbeatAnswer, type LogEntry } from './types.ts';
import { noteWound } from './wounds.ts';

/** Opens the term with an entry of its own, for entries of earlier terms are committed only through one (§5.4.2). */
export function becomeLeader(state: RaftState): void {
  state.becomeLeader();
  // What an earlier leader left uncommitted counts for the quota of nobody: it is bounded by what that one had.
  appendEntries(state, 'no-op', [EMPTY]);
  broadcastAppend(state);
}

/** Appends to the leader's own log. The leader's "I have it" travels the way of all votes: after durability. */
export function appendEntries(state: RaftState, kind: EntryKind, data: readonly Uint8Array[]): void {
  assert(state.role === 'leader');
  const entries: LogEntry[] = [];
  let { index, chain } = state.log.point(state.log.lastIndex);
  let bytes = 0;
  for (const content of data) {
    index += 1;
    const entry = chainEntry(chain, index, state.term, kind, content);
    chain = entry.chain;
    bytes += entryBytes(entry);
    entries.push(entry);
  }
  state.log.append(entries);
  state.uncommitted.push({ index, bytes });
  state.uncommittedBytes += bytes;
  const { id, term } = state;
  state.progressOf(id).next = index + 1;
  state.sendAfterAppend({ type: 'append-answer', from: id, to: id, term, index, isRejected: false, hint: NO_HINT });
}

/** To every follower: what it lacks, or at least the new commit index. */
export function broadcastAppend(state: RaftState): void {
  for (const peer of state.progress.keys()) {
    if (peer !== state.id) sendAppend(state, peer, true);
  }
}

/** The heartbeat of a tick. Its answer also gets what is stuck going again. */
export function broadcastHeartbeat(state: RaftState): void {
  for (const [peer, progress] of state.progress) {
    if (peer === state.id) continue;
    progress.isHeartbeatDue = true;
    sendHeartbeat(state, peer, progress);
  }
}

export function sendHeartbeat(state: RaftState, to: string, progress: Progress): void {
  const { id: from, term } = state;
  // Never beyond what the follower is known to have: it could not tell whose entries it would commit.
  const commit = Math.min(progress.match, state.log.committed);
  progress.sentCommit = Math.max(progress.sentCommit, commit);
  state.send({ type: 'heartbeat', from, to, term, commit, position: state.readQueue.position });
}

export function handleHeartbeatAnswer(state: RaftState, message: HeartbeatAnswer): void {
  const peer = message.from;
  const progress = state.progressOf(peer);
  progress.isRecentlyActive = true;
  progress.readPosition = Math.max(progress.readPosition, message.position);
  noteWound(progress, message);
  if (!progress.isHeartbeatDue) return;
  progress.isHeartbeatDue = false;
  // It listens, so what blocks a probe may have been lost; a full window gets an empty append that will be rejected.
  progress.isPaused = false;
  if (progress.match < state.log.lastIndex || progress.state === 'probe') sendAppend(state, peer, true);
}

export function handleAppendAnswer(state: RaftState, message: AppendAnswer): void {
  const peer = message.from;
  const progress = state.progressOf(peer);
  progress.isRecentlyActive = true;
  noteWound(progress, message);
  if (message.isRejected) {
    handleRejection(state, peer, progress, message);
    return;
  }
  assert(message.index <= state.log.lastIndex, `raft: ${peer} acknowledged ${message.index}, which does not exist`);
  const wasBlocked = progress.isBlocked;
  const isNews = progress.advance(message.index);
  if (isNews && peer === state.id) state.stalledTicks = 0;
  if (!isNews && !(progress.match === message.index && progress.state === 'probe')) return;

  if (progress.state === 'replicate') progress.inflights.freeUpTo(message.index);
  else if (progress.state === 'probe') progress.becomeReplicate();
  else if (progress.match + 1 >= state.log.firstIndex) progress.becomeReplicate();

  if (advanceCommit(state)) broadcastAppend(state);
  else if (peer !== state.id && (wasBlocked || progress.canRaiseCommit(state.log.committed))) {
    sendAppend(state, peer, true);
  }
  if (peer === state.id) return;
  // Several messages' worth may have waited for the window.
  while (sendAppend(state, peer, false));
}

/** The shell could not deliver to this follower: stop the optimistic stream. */
export function handleUnreachable(state: RaftState, peer: string): void {
  const progress = state.progress.get(peer);
  if (progress?.state === 'replicate') progress.becomeProbe();
}

/** The shell has sent a snapshot of `index`, or has failed to. */
export function handleSnapshotSent(state: RaftState, peer: string, index: number, isDone: boolean): void {
  const progress = state.progress.get(peer);
  if (progress?.state !== 'snapshot') return;
  progress.pendingSnapshot = isDone ? index : 0;
  progress.becomeProbe();
  // Waits for the follower's own word (its append answer) or for the next heartbeat's.
  progress.isPaused = true;
}

/** Entries that the shell read for a follower. Without any, they were compacted in the meantime. */
export function handleEntriesRead(state: RaftState, peer: string, entries: readonly LogEntry[]): void {
  const progress = state.progress.get(peer);
  if (progress === undefined || !progress.isReading) return;
  progress.isReading = false;
  const first = entries[0];
  if (
    first !== undefined &&
    !progress.isBlocked &&
    progress.next === first.index &&
    first.index >= state.log.firstIndex
  ) {
    sendEntries(state, peer, progress, entries);
  }
  while (sendAppend(state, peer, false));
}

/** Sends what comes next to a follower, if it may be sent now. An empty message carries the commit index. */
export function sendAppend(state: RaftState, peer: string, sendIfEmpty: boolean): boolean {
  const progress = state.progressOf(peer);
  if (progress.isBlocked) return false;
  const { log, limits } = state;
  if (progress.next - 1 < log.base.index) return wantSnapshot(state, peer, progress);

  let entries: readonly LogEntry[] = [];
  if (!(progress.state === 'replicate' && progress.inflights.isFull)) {
    const end = Math.min(log.lastIndex + 1, progress.next + limits.appendEntriesMax);
    const found = log.slice(progress.next, end, limits.appendBytesMax);
    if (found === undefined) {
      progress.isReading = true;
      const [low, high] = [progress.next, Math.min(log.stableIndex + 1, end)];
      state.reads.push({ target: peer, term: state.term, low, high, bytesMax: limits.appendBytesMax });
      return false;
    }
    entries = found;
  }
  if (entries.length === 0 && !sendIfEmpty) return false;
  sendEntries(state, peer, progress, entries);
  return true;
}

function sendEntries(state: RaftState, to: string, progress: Progress, entries: readonly LogEntry[]): void {
  const { id: from, term, log } = state;
  const commit = log.committed;
  const previous = log.point(progress.next - 1);
  state.send({ type: 'append', from, to, term, previous, entries, commit });
  progress.sent(
    entries.length,
    entries.reduce((sum, entry) => sum + entryBytes(entry), 0),
  );
  progress.sentCommit = Math.max(progress.sentCommit, commit);
}

function wantSnapshot(state: RaftState, peer: string, progress: Progress): boolean {
  // One that does not answer would only bind a snapshot for nothing.
  if (!progress.isRecentlyActive) return false;
  progress.becomeSnapshot();
  state.snapshots.push(peer);
  return false;
}

/**
 * Both sides skip whole terms: the follower's hint is the newest place that may match as seen from there, and the
 * leader goes on from it to the newest place that may match as seen from here. At most one probe per term.
 */
function handleRejection(state: RaftState, peer: string, progress: Progress, message: AppendAnswer): void {
  let hint = message.hint.index;
  if (message.hint.term > 0)
    hint = state.log.findConflictByTerm(Math.min(hint, state.log.lastIndex), message.hint.term).index;
  // It has lost more, again: what it had when it was wounded first is gone as well.
  if (progress.isWounded && message.hint.index < progress.match) progress.restart();
  if (!progress.retreat(message.index, hint)) return;
  if (progress.state === 'replicate') progress.becomeProbe();
  sendAppend(state, peer, true);
}

/** Only an entry of the present term commits by counting; those before it are committed through it (§5.4.2). */
function advanceCommit(state: RaftState): boolean {
  const index = jointCommittedIndex(state.electorate, (voter) => {
    const progress = state.progressOf(voter);
    return progress.isWounded ? 0 : progress.match;
  });
  const { log } = state;
  if (index <= log.committed || log.term(index) !== state.term) return false;
  while (state.uncommitted[0] !== undefined && state.uncommitted[0].index <= index) {
    state.uncommittedBytes -= state.uncommitted.shift()?.bytes ?? 0;
  }
  return log.commitTo(index);
}

const EMPTY = new Uint8Array(0);
export const NO_HINT = { index: 0, term: 0 } as const;
