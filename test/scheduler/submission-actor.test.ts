import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCommand } from '../../src/scheduler/command.ts';
import { makeJob, SECOND_MS } from './machine.ts';
import { Server } from './server.ts';

const RUN = { type: 'run-job', name: 'job' } as const;
const PUT = { type: 'put-job', job: makeJob(), runOnCreate: false } as const;

function leader(): Server {
  const server = new Server();
  server.lead();
  server.hello('n1');
  server.advance(2 * SECOND_MS, ['n1']);
  return server;
}

function codeOf(answers: readonly { readonly type: string }[]): string | undefined {
  const [answer] = answers as readonly { readonly type: string; readonly code?: string }[];
  return answer?.code ?? answer?.type;
}

test('without a leader a call waits five seconds, and was not carried out', () => {
  const server = new Server();
  const answers = server.submit(PUT);
  server.advance(4_900);
  assert.deepEqual(answers, []);

  server.advance(200);

  assert.equal(codeOf(answers), 'no-leader');
  assert.deepEqual(server.proposed, []);
});

test('a leader that comes in time takes the call', () => {
  const server = new Server();
  const answers = server.submit(PUT);
  server.advance(4_000);

  server.lead();
  server.advance(100);

  assert.equal(codeOf(answers), 'done');
});

test('a call that was appended and is not committed is of unknown outcome', () => {
  const server = leader();
  server.isHolding = true;
  const answers = server.submit(PUT);

  server.advance(10_100, ['n1']);

  assert.equal(codeOf(answers), 'outcome-unknown');
});

test('a call that may have been appended when leadership was lost is of unknown outcome, not refused', () => {
  const server = leader();
  server.isHolding = true;
  server.isMute = true;
  const answers = server.submit(PUT);

  server.role({ role: 'follower', leader: null });
  server.advance(10_100);

  assert.equal(codeOf(answers), 'outcome-unknown');
});

test('a call that the scheduler has and has not answered is never said to be not carried out', () => {
  const server = leader();
  server.isHolding = true;
  server.isMute = true;
  const answers = server.submit(PUT);

  server.advance(6_000, ['n1']);
  assert.equal(answers.length, 0);
  server.advance(4_100, ['n1']);

  assert.equal(codeOf(answers), 'outcome-unknown');
});

test('a call of which raft says nothing is of unknown outcome, not refused', () => {
  const server = leader();
  server.isHolding = true;
  server.isMute = true;
  const answers = server.submit(PUT);

  server.advance(10_100, ['n1']);

  assert.equal(codeOf(answers), 'outcome-unknown');
});

test('a call whose entry was lost with its leader is proposed again by the next', () => {
  const server = leader();
  server.isHolding = true;
  const answers = server.submit(PUT);
  server.lose();
  server.role({ role: 'follower', leader: null });
  assert.deepEqual(answers, []);

  server.lead();
  server.advance(1_000);

  assert.equal(codeOf(answers), 'done');
  assert.equal(server.commands('put-job').length, 2);
});

test('a call that is too large says so', () => {
  const server = leader();
  server.refuse = (command) => (command.type === 'put-job' ? 'too-large' : null);

  const answers = server.submit(PUT);
  server.advance(100, ['n1']);

  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.result.type === 'refused' && answer.result.code, 'too-large');
});

test('the same call twice at once is one, and both are answered; another body is refused', () => {
  const server = leader();
  server.isHolding = true;
  const first = server.submit(PUT, 'one');
  const second = server.submit(PUT, 'one');
  const other = server.submit({ ...PUT, job: makeJob({ owner: 'bob' }) }, 'one');

  server.release();
  server.advance(0);

  assert.deepEqual([codeOf(first), codeOf(second)], ['done', 'done']);
  const [refused] = other;
  assert.equal(
    refused?.type === 'done' && refused.result.type === 'refused' && refused.result.code,
    'request-id-reused',
  );
  assert.equal(server.commands('put-job').length, 1);
});

test('a stale completion is completed anew until it fits', () => {
  const server = leader();
  server.submit({ ...PUT, job: makeJob({ schedule: '* * * * * *' }) });
  server.isHolding = true;
  server.advance(SECOND_MS, ['n1']);
  const answers = server.submit({ type: 'toggle-job', name: 'job' });
  assert.ok(server.held.length >= 1);

  server.release();
  server.advance(100, ['n1']);

  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.result.type === 'job' && answer.result.job.job.disabled, true);
});

test('a follower hands calls to the leader, again when it hears nothing or the leader changes', () => {
  const server = new Server();
  server.role({ role: 'follower', leader: 's2' });
  server.submit(PUT);
  assert.deepEqual(
    server.toServers.map((sent) => sent.server),
    ['s2'],
  );

  server.advance(1_100);
  assert.deepEqual(
    server.toServers.map((sent) => sent.server),
    ['s2', 's2'],
  );
  server.role({ role: 'follower', leader: 's3' });

  assert.equal(server.toServers.at(-1)?.server, 's3');
});

test('a leader answers for another server, which hears it by its own apply', () => {
  const server = leader();
  const submission = { requestId: 'far', caller: '', bodyHash: 'x'.repeat(64), intent: PUT };
  server.submission.send({ type: 'forwarded', from: 's2', message: { type: 'forward', submission } });
  server.settle();

  assert.equal(server.machine.uid('job') !== undefined, true);
  const [sent] = server.toServers;
  assert.deepEqual(sent?.message.type === 'forward-answer' && sent.message.answer.type, 'proposed');
});

test('who waits for a run hears of its end with all executions', () => {
  const server = leader();
  server.submit(PUT);
  const [started] = server.submit(RUN, 'run');
  assert.ok(started?.type === 'done' && started.result.type === 'run');
  const run = started.result.run.id;
  const waiting = server.submit(RUN, 'run', {}, 50_000);
  assert.deepEqual(waiting, []);

  server.machine.nowMs = server.machine.clock.now();
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [succeeded(`${run}-0-1`)] });
  server.advance(1, ['n1']);

  for (const answers of [waiting, server.submit(RUN, 'run', {}, 50_000)]) {
    const [answer] = answers;
    assert.ok(answer?.type === 'done');
    assert.deepEqual(
      answer.finished?.executions.map(({ id, state }) => [id, state]),
      [[`${run}-0-1`, 'succeeded']],
    );
  }
});

test('who waits for a run of an ephemeral job hears of its end; of a deleted one, that nobody knows', () => {
  for (const kind of ['ephemeral', 'deleted'] as const) {
    const server = leader();
    server.submit({ ...PUT, job: makeJob({ ephemeral: kind === 'ephemeral' }) });
    const [started] = server.submit(RUN, 'run');
    assert.ok(started?.type === 'done' && started.result.type === 'run');
    const run = started.result.run.id;
    const answers = server.submit(RUN, 'run', {}, 50_000);

    if (kind === 'deleted') server.submit({ type: 'delete-job', name: 'job' });
    else server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [succeeded(`${run}-0-1`)] });
    server.advance(1, ['n1']);

    const [answer] = answers;
    assert.ok(answer?.type === 'done');
    assert.equal(answer.finished?.run.state, kind === 'ephemeral' ? 'succeeded' : undefined);
  }
});

for (const changes of [{ ephemeral: true }, { keepRuns: 1 }]) {
  test(`who runs and waits in one call hears of the end of a run that is not kept: ${Object.keys(changes)}`, () => {
    const server = leader();
    const [put] = server.submit({ ...PUT, job: makeJob(changes) });
    assert.ok(put?.type === 'done' && put.result.type === 'job');
    const answers = server.submit(RUN, undefined, {}, 50_000);
    assert.equal(answers.length, 0);
    const [run] = server.machine.openRuns(put.result.job.uid);
    const execution = `${run?.id}-0-1`;

    server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [succeeded(execution)] });
    server.advance(1, ['n1']);

    const [answer] = answers;
    assert.ok(answer?.type === 'done' && answer.result.type === 'run');
    assert.equal(answer.finished?.run.id, answer.result.run.id);
    assert.equal(answer.finished?.run.state, 'succeeded');
  });
}

test('who runs and waits in one call is answered without an end when the wait is over first', () => {
  const server = leader();
  server.submit(PUT);
  const answers = server.submit(RUN, undefined, {}, 1_000);

  server.advance(900, ['n1']);
  assert.equal(answers.length, 0);
  server.advance(200, ['n1']);

  const [answer] = answers;
  assert.ok(answer?.type === 'done' && answer.result.type === 'run');
  assert.equal(answer.finished, undefined);
});

test('who waits for a run hears of its end though a snapshot brought it', () => {
  const server = leader();
  server.submit(PUT);
  const [started] = server.submit(RUN, 'run');
  assert.ok(started?.type === 'done' && started.result.type === 'run');
  const run = started.result.run.id;
  const answers = server.submit(RUN, 'run', {}, 50_000);
  const { machine } = server;

  machine.nowMs = machine.clock.now();
  machine.finish(`${run}-0-1`, 'succeeded');
  server.storageName = 'state-2';
  server.state.send({ type: 'installed', index: machine.state.meta.appliedIndex, term: server.term });
  server.advance(6 * SECOND_MS);

  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.finished?.run.state, 'succeeded');
});

test("another server's call with the same request id and another body answers nobody here", () => {
  const server = new Server();
  server.role({ role: 'follower', leader: 's2' });
  const answers = server.submit(PUT, 'one');
  const { machine } = server;

  const theirs = machine.completed({ ...PUT, job: makeJob({ owner: 'bob' }) }, 'one');
  assert.ok(theirs.type === 'command');
  server.state.send({
    type: 'committed',
    entries: [{ index: 1, term: 1, kind: 'command', data: encodeCommand(theirs.command) }],
    commitIndex: 1,
  });
  server.settle();
  assert.deepEqual(answers, []);
  const ours = machine.completed(PUT, 'one');
  assert.ok(ours.type === 'result' && ours.result.type === 'refused');

  assert.equal(ours.result.code, 'request-id-reused');
});

test('so many calls wait on one server and no more', () => {
  const server = new Server();
  for (let number = 0; number < 10_000; number += 1) server.submit(PUT, `call-${number}`);

  assert.equal(codeOf(server.submit(PUT, 'one more')), 'overloaded');
  server.advance(5_100);
  server.lead();
  server.advance(100);
  assert.equal(codeOf(server.submit(PUT, 'another')), 'done');
});

function succeeded(execution: string) {
  return {
    execution,
    outcome: 'succeeded' as const,
    reason: '',
    startedAtMs: 1,
    finishedAtMs: 2,
    exitCode: 0,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
  };
}

test('a refusal from a state that lacks what is committed is doubted: the call is judged anew once that is here', () => {
  const server = leader();
  server.holdsReads = true;
  server.isHolding = true;
  const put = server.submit(PUT);
  const answers = server.submit({ type: 'delete-job', name: 'job' });

  // Raft knows of the entry, which the others have acknowledged, and this server has not applied it yet.
  server.readReplies[0]?.({ type: 'read', index: server.held.at(-1)?.index ?? 0 });
  server.settle();
  assert.equal(answers.length, 0);
  server.release();
  server.advance(SECOND_MS, ['n1']);

  assert.equal(codeOf(put), 'done');
  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.result.type, 'job');
});

test('a refusal is handed out once raft has confirmed the state it came from, and waits while nobody leads', () => {
  const server = leader();
  server.holdsReads = true;
  const answers = server.submit({ type: 'delete-job', name: 'nobody' });
  server.readReplies[0]?.({ type: 'read-refused', code: 'no-leader', leader: null });
  server.advance(100);
  assert.equal(answers.length, 0);

  server.readReplies[1]?.({ type: 'read', index: server.machine.state.meta.appliedIndex });
  server.settle();

  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.result.type === 'refused' && answer.result.code, 'not-found');
});
