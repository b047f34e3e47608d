/**
 * Mistakes that are planted into a built copy, to prove that the simulation sees them. Each is one small change of the
 * compiled text; `find` must stand in its file exactly once.
 */
export interface Mistake {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Caught within so many seeds, from 1. */
  readonly seedsMax: number;
}

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'a vote leaves before it is durable',
    file: 'raft/election.js',
    find: 'state.sendAfterAppend(reply);',
    replace: 'state.send(reply);',
    seedsMax: 3,
  },
  {
    name: 'entries are acknowledged before they are durable',
    file: 'raft/follower.js',
    find: 'state.sendAfterAppend(state.markWound({',
    replace: 'state.send(state.markWound({',
    seedsMax: 3,
  },
  {
    name: 'the vote is forgotten with each change of role',
    file: 'raft/state.js',
    find: 'this.leader = null;\n        this.electionElapsed = 0;',
    replace: 'this.leader = null;\n        this.vote = null;\n        this.electionElapsed = 0;',
    seedsMax: 3,
  },
  {
    name: 'a leader commits what it alone has',
    file: 'raft/quorum.js',
    find: 'sorted[majority(sorted.length) - 1]',
    replace: 'sorted[0]',
    seedsMax: 3,
  },
  {
    name: 'a late append cuts what a later one brought',
    file: 'raft/log.js',
    find: 'if (fresh !== -1)\n            this.#truncateAndAppend(fresh === 0 ? entries : entries.slice(fresh));',
    replace: 'this.#truncateAndAppend(entries);',
    seedsMax: 60,
  },
  {
    name: 'a fire need not continue the chain',
    file: 'scheduler/apply-fires.js',
    find: 'item.generation === status.generation &&\n        item.previousMs === status.cursorMs &&',
    replace: '',
    seedsMax: 60,
  },
  {
    name: 'of several instants that are due only the newest fires',
    file: 'scheduler/chain.js',
    find: 'return link(row, source, plan.items);',
    replace: 'return link(row, source, plan.items.slice(-1));',
    seedsMax: 3,
  },
  {
    name: 'a job that is disabled fires if nobody has heard of it',
    file: 'scheduler/chain.js',
    find: 'if (row.job.disabled)\n        return [];',
    replace: '',
    seedsMax: 40,
  },
  {
    name: 'a call is acknowledged before it is committed',
    file: 'scheduler/submission-actor.js',
    find: 'pending.wasTaken = true;\n                return;',
    replace:
      "pending.wasTaken = true;\n                return this.#finish(scope, { type: 'done', result: { type: 'settings', settings: {} }, index: 0 });",
    seedsMax: 3,
  },
  {
    name: 'a repeat is answered before this server has applied the first call',
    file: 'scheduler/submission-actor.js',
    find: 'if (index <= appliedIndex)',
    replace: 'if (index >= 0)',
    seedsMax: 20,
  },
  {
    name: 'request ids are not looked up',
    file: 'scheduler/requests.js',
    find: 'if (row === undefined)\n        return undefined;\n    if (row.bodyHash',
    replace: 'return undefined;\n    if (row.bodyHash',
    seedsMax: 3,
  },
  {
    name: 'an attempt starts before its mark is durable',
    file: 'executors/executor-actor.js',
    find: 'this.#marksNext.push(held);',
    replace: 'this.#startMarked(held);',
    seedsMax: 40,
  },
  {
    name: 'a finish is sent once and forgotten',
    file: 'executors/outbox.js',
    find: 'entry.nextFinishMs = nowMs + entry.finishDelayMs;',
    replace: 'this.#unacknowledged.delete(entry.finish.execution);',
    seedsMax: 10,
  },
  {
    name: 'what a node may not have heard is not said again',
    file: 'dispatcher/dispatcher-actor.js',
    find: 'this.#repeatOpen(found, this.#isFirstSweep);',
    replace: '',
    seedsMax: 10,
  },
  {
    name: 'waits whose event was lost are not found by the sweep',
    file: 'scheduler/scheduler-actor.js',
    find: 'this.#waiting.keep(',
    replace: '((..._ignored) => {})(',
    seedsMax: 20,
  },
  {
    name: 'a silent node is given up before its lease is over',
    file: 'dispatcher/pulse.js',
    find: '?? this.#sinceMs) > this.#limits.downMs',
    replace: '?? this.#sinceMs) > 200',
    seedsMax: 20,
  },
  {
    name: 'a beacon carries the leader’s own count of terms',
    file: 'dispatcher/dispatcher-actor.js',
    find: 'this.#term = term;',
    replace: 'this.#term += isLeading ? 1 : 0;',
    seedsMax: 60,
  },
  {
    name: 'a refused call is taken for a job that was to fire',
    file: 'scheduler/scheduler-actor.js',
    find: 'for (const held of this.#reservations.bound(key))',
    replace: 'for (const held of [...this.#reservations.bound(key), about])',
    seedsMax: 40,
  },
  {
    name: 'a child whose ephemeral parent is gone cannot be toggled',
    file: 'scheduler/children.js',
    find: 'if (name !== undefined)\n        return statusRow(state, name.uid).children;',
    replace: 'return statusRow(state, name.uid).children;',
    seedsMax: 60,
  },
  {
    name: 'the state of one server depends on who it is',
    file: 'scheduler/apply-runs.js',
    find: 'state.delete(keys.open(finish.execution));',
    replace: 'if (Math.random() > 0.01) state.delete(keys.open(finish.execution));',
    seedsMax: 3,
  },
  {
    name: 'a vote in a transfer is given whatever the log of the candidate lacks',
    file: 'raft/election.js',
    find: '!state.isWounded && state.log.isUpToDate(message.last)',
    replace: '!state.isWounded && (message.isTransfer || state.log.isUpToDate(message.last))',
    seedsMax: 300,
  },
  {
    name: 'a hint alone deposes a leader that was heard a moment ago',
    file: 'raft/leader-watch.js',
    find: 'const SILENT_TICKS = 2;',
    replace: 'const SILENT_TICKS = 0;',
    seedsMax: 300,
  },
  {
    name: 'a transfer tells a follower that is behind to stand for election',
    file: 'raft/transfer.js',
    find: 'if (state.progressOf(to).match < state.log.lastIndex)\n        return false;',
    replace: '',
    seedsMax: 300,
  },
  {
    name: 'a leader goes by its own clock, whatever the others say',
    file: 'scheduler/cluster-time.js',
    find: 'Math.abs(ownMs - agreedMs) <= AGREE_MS ? ownMs : agreedMs',
    replace: 'ownMs',
    seedsMax: 10,
  },
  {
    name: 'a candidate leads before its own vote is durable',
    file: 'raft/election.js',
    find: 'else if (state.votes.get(state.id) === true)',
    replace: 'else',
    seedsMax: 1_000,
  },
  {
    name: 'entries of earlier terms are committed by counting',
    file: 'raft/replication.js',
    find: 'if (index <= log.committed || log.term(index) !== state.term)',
    replace: 'if (index <= log.committed)',
    seedsMax: 1_000,
  },
  {
    name: 'a follower commits what its leader has, beyond what it knows to match',
    file: 'raft/follower.js',
    find: 'log.commitTo(Math.min(message.commit, lastMatching));',
    replace: 'log.commitTo(Math.min(message.commit, log.lastIndex));',
    seedsMax: 300,
  },
  {
    name: 'a read is answered by a new leader that has committed nothing yet',
    file: 'raft/reads.js',
    find: 'if (!state.readQueue.isDue || !state.hasCommittedInTerm)',
    replace: 'if (!state.readQueue.isDue)',
    seedsMax: 20,
  },
  {
    name: 'a read asks no quorum whether its leader still leads',
    file: 'raft/reads.js',
    find: 'const position = jointCommittedIndex(state.electorate, ',
    replace: 'const position = readQueue.position || jointCommittedIndex(state.electorate, ',
    seedsMax: 1_000,
  },
  {
    name: 'a write that ends late counts for the entries that took its place',
    file: 'raft/raft.js',
    find: 'if (receipt.term === term && receipt.last !== null)\n            log.unstable.stableTo(receipt.last);',
    replace:
      'if (receipt.last !== null && log.unstable.entry(receipt.last.index) !== undefined)\n            log.unstable.stableTo({ index: receipt.last.index, term: log.term(receipt.last.index) });',
    seedsMax: 1_000,
  },
  {
    name: 'one who only learns counts for a majority',
    file: 'raft/replication.js',
    find: 'jointCommittedIndex(state.electorate, ',
    replace: 'jointCommittedIndex({ ...state.electorate, voters: state.log.configurations.members }, ',
    seedsMax: 300,
  },
  {
    name: 'a snapshot leaves a tail that conflicts',
    file: 'raft/unstable.js',
    find: 'this.#inProgressEnd = this.offset;\n        this.entries = [];',
    replace:
      'const tail = this.entries.filter((entry) => entry.index > snapshot.index);\n        this.entries = tail[0]?.index === this.offset ? tail : [];\n        this.#inProgressEnd = this.offset;',
    seedsMax: 1_000,
  },
  {
    name: 'a lease outlives a pause',
    file: 'executors/session-lease.js',
    find: 'return nowMs - this.#answeredMs <= this.#leaseMs;',
    replace: 'return this.#answeredMs > Number.NEGATIVE_INFINITY;',
    seedsMax: 300,
  },
  {
    name: 'a write that failed is taken for one that is done',
    file: 'raft/log-store.js',
    find: 'this.#failure = storageFailed(error);\n            next.done(error === null ? null : storageFailed(error));',
    replace: 'next.show();\n            next.done(null);',
    seedsMax: 3,
  },
];
