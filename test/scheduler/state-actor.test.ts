import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '../../src/raft/raft-protocol.ts';
import { encodeCommand } from '../../src/scheduler/command.ts';
import type { StoredAnswer } from '../../src/scheduler/state-actor.ts';
import { makeJob, SECOND_MS } from './machine.ts';
import { Server } from './server.ts';

function entries(count: number): Entry[] {
  return Array.from({ length: count }, (_, number) => ({
    index: number + 1,
    term: 1,
    kind: 'command',
    data: encodeCommand({
      type: 'open-session',
      nowMs: 1,
      node: `n${number}`,
      boot: 1,
      name: '',
      isServer: false,
      tags: {},
      slots: 1,
      version: '',
      address: '',
    }),
  }));
}

test('what is committed is applied in slices of a few milliseconds, however slow an entry is', () => {
  const server = new Server();
  server.onApplied = () => server.machine.clock.advance(3);

  server.state.send({ type: 'committed', entries: entries(12), commitIndex: 12 });
  server.settle();

  assert.deepEqual(server.appliedIndexes, [2, 4, 6, 8, 10, 12]);
});

test('a server leads only after it has applied everything before', () => {
  const server = new Server();
  server.onApplied = () => server.machine.clock.advance(3);
  server.state.send({ type: 'committed', entries: entries(40), commitIndex: 40 });
  server.state.send({ type: 'role', role: 'leader', term: 1, leader: 's1', isReady: true });
  server.settle();

  const [first] = server.proposed;
  assert.equal(first?.type, 'genesis');
  assert.equal(server.proposedAt[0], 40);
});

test('an entry that was applied before is passed over', () => {
  const server = new Server();
  server.state.send({ type: 'committed', entries: entries(5), commitIndex: 5 });
  server.settle();
  const before = server.machine.state.rowHash();

  server.state.send({ type: 'committed', entries: entries(6), commitIndex: 6 });
  server.settle();

  assert.equal(server.machine.state.meta.appliedIndex, 6);
  assert.notEqual(server.machine.state.rowHash(), before);
});

test('one flush at a time follows what is applied, and tells raft how far it is', () => {
  const server = new Server();
  server.lead();
  for (let number = 0; number < 20; number += 1) {
    server.submit({ type: 'put-job', job: makeJob({ name: `job-${number}` }), runOnCreate: false });
  }
  server.advance(SECOND_MS);

  assert.equal(server.storedIndex, server.machine.state.meta.appliedIndex);
  assert.equal(server.machine.state.unflushed, 0);
});

test('a server that is behind says how far the others are', () => {
  const server = new Server();
  server.onApplied = () => server.machine.clock.advance(3);

  server.state.send({ type: 'committed', entries: entries(12), commitIndex: 500 });
  server.settle();
  server.advance(100);

  const last = server.progress.at(-1);
  assert.deepEqual([last?.appliedIndex, last?.commitIndex], [12, 500]);
  server.state.send({ type: 'installed', index: 600, term: 1 });
  server.settle();
  assert.equal(server.progress.at(-1)?.commitIndex, 600);
});

test('a state that cannot be written ends the process', () => {
  const server = new Server();
  server.machine.database.fail('no space left');
  server.state.send({ type: 'committed', entries: entries(1), commitIndex: 1 });

  assert.throws(() => server.advance(0), /the state could not be written/);
});

test('a leader that lost and won leadership while it was behind begins anew', () => {
  const server = new Server();
  server.lead();
  server.hello('n1');
  server.advance(2 * SECOND_MS, ['n1']);
  server.isHolding = true;
  server.submit({ type: 'put-job', job: makeJob({ schedule: '* * * * * *' }), runOnCreate: false });
  server.release();
  server.isHolding = true;
  server.advance(SECOND_MS, ['n1']);
  server.lose();
  server.term += 1;
  server.role({ role: 'leader', leader: 's1', isReady: true });
  server.advance(1, ['n1']);

  assert.equal(server.machine.openRuns(server.machine.uid('job') as string).length, 1);
});

function readLinear(server: Server): StoredAnswer[] {
  server.holdsReads = true;
  const answers: StoredAnswer[] = [];
  server.state.ask({ type: 'await-stored', isLinearizable: true }, 60_000, (outcome) => {
    if (outcome.type === 'answer') answers.push(outcome.answer);
  });
  server.settle();
  return answers;
}

test('a linearizable read waits until what raft names is applied and stored', () => {
  const server = new Server();
  server.state.send({ type: 'committed', entries: entries(5), commitIndex: 9 });
  server.settle();

  const answers = readLinear(server);
  server.readReplies[0]?.({ type: 'read', index: 9 });
  server.advance(SECOND_MS);
  assert.equal(answers.length, 0);
  const rest = Array.from({ length: 4 }, (_, number) => ({ ...(entries(5)[number] as Entry), index: 6 + number }));
  server.state.send({ type: 'committed', entries: rest, commitIndex: 9 });
  server.advance(SECOND_MS);

  assert.deepEqual(answers, [{ type: 'stored', index: 9 }]);
});

test('a read that comes while raft is asked waits for the next answer, together with all others', () => {
  const server = new Server();
  server.state.send({ type: 'committed', entries: entries(5), commitIndex: 5 });
  server.settle();

  const first = readLinear(server);
  const later = [readLinear(server), readLinear(server)];
  server.readReplies[0]?.({ type: 'read', index: 2 });
  server.advance(SECOND_MS);

  assert.equal(first.length, 1);
  assert.deepEqual(later, [[], []]);
  assert.equal(server.readReplies.length, 2);
  server.readReplies[1]?.({ type: 'read', index: 5 });
  server.advance(SECOND_MS);
  assert.deepEqual(
    later.map((answers) => answers.length),
    [1, 1],
  );
});

test('a linearizable read that raft refuses, or does not answer, is refused; others are not held up', () => {
  const server = new Server();
  server.state.send({ type: 'committed', entries: entries(5), commitIndex: 5 });
  server.settle();

  const refused = readLinear(server);
  server.readReplies[0]?.({ type: 'read-refused', code: 'overloaded', leader: null });
  const silent = readLinear(server);
  server.advance(5 * SECOND_MS);

  assert.deepEqual(refused, [{ type: 'unreadable', code: 'overloaded' }]);
  assert.deepEqual(silent, [{ type: 'unreadable', code: 'no-leader' }]);
});
