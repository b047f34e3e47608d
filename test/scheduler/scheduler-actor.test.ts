import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../../src/scheduler/rows.ts';
import { MINUTE_MS, makeJob, NOON_MS, SECOND_MS } from './machine.ts';
import { Server } from './server.ts';

/** A leader with a node that lives. */
function setup(slots = 8): Server {
  const server = new Server();
  server.lead();
  server.hello('n1', { slots });
  server.advance(2 * SECOND_MS, ['n1']);
  return server;
}

function put(server: Server, changes: Parameters<typeof makeJob>[0]): string {
  const answers = server.submit({ type: 'put-job', job: makeJob(changes), runOnCreate: false });
  server.advance(0);
  const [answer] = answers;
  assert.ok(answer?.type === 'done' && answer.result.type === 'job', JSON.stringify(answer));
  return answer.result.job.uid;
}

test('a new leader writes genesis, once, and before it takes a call', () => {
  const server = new Server({ settings: { defaultZone: 'Europe/Berlin' } });
  server.isHolding = true;
  server.lead();
  server.role({ role: 'leader', leader: 's1', isReady: true });
  const answers = server.submit({ type: 'put-job', job: makeJob({ schedule: '@daily' }), runOnCreate: false });

  server.release();
  server.advance(SECOND_MS);

  assert.equal(server.commands('genesis').length, 1);
  const [answer] = answers;
  assert.ok(answer?.type === 'done' && answer.result.type === 'job');
  assert.equal(answer.result.job.zone, 'Europe/Berlin');
});

test('genesis that was refused is proposed again', () => {
  const server = new Server();
  server.refuse = (command) => (command.type === 'genesis' ? 'overloaded' : null);
  server.lead();
  server.refuse = () => null;

  server.advance(10 * SECOND_MS);

  assert.equal(server.machine.state.meta.cluster, 'test');
});

test('a job fires at its instant, not before, with a target', () => {
  const server = setup();
  const uid = put(server, { schedule: '10 * * * * *' });
  server.advance(NOON_MS + 10 * SECOND_MS - 1 - server.machine.clock.now(), ['n1']);
  assert.equal(server.commands('fire').length, 0);

  server.advance(1, ['n1']);

  const [fire] = server.commands('fire');
  assert.equal(fire?.nowMs, NOON_MS + 10 * SECOND_MS);
  assert.deepEqual(
    fire?.items.map((item) => item.targets.map((target) => target.node)),
    [['n1']],
  );
  assert.equal(server.machine.openRuns(uid)[0]?.state, 'running');
});

test('a leader whose clock was set back for a moment fires in time once it is right again', () => {
  const server = setup();
  put(server, { schedule: '10 * * * * *' });
  server.machine.clock.skewMs = -60 * MINUTE_MS;
  server.advance(SECOND_MS, ['n1']);
  server.machine.clock.skewMs = 0;

  server.advance(NOON_MS + 10 * SECOND_MS + 500 - server.machine.clock.now(), ['n1']);

  assert.equal(server.commands('fire').length, 1);
});

test('jobs that are due together share commands', () => {
  const server = setup();
  for (let number = 0; number < 1_200; number += 1) put(server, { name: `job-${number}`, schedule: '10 * * * * *' });

  server.advance(10 * SECOND_MS, ['n1']);

  const sizes = server.commands('fire').map((command) => command.items.length);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    1_200,
  );
  assert.ok(sizes.length <= 4, `${sizes}`);
});

test('a job has one fire on its way at most; a refused one is planned anew', () => {
  const server = setup();
  put(server, { schedule: '* * * * * *' });
  server.isHolding = true;
  server.advance(2 * SECOND_MS, ['n1']);
  const items = server.commands('fire').flatMap((command) => command.items);
  assert.equal(items.length, 1);
  server.release();

  server.refuse = (command) => (command.type === 'fire' ? 'overloaded' : null);
  server.advance(SECOND_MS, ['n1']);
  server.refuse = () => null;
  server.advance(SECOND_MS, ['n1']);

  const uid = server.machine.uid('job') as string;
  assert.equal(server.machine.status(uid).cursorMs, Math.floor(server.machine.clock.now() / SECOND_MS) * SECOND_MS);
});

test('a client command that raft refuses ends nothing but that call', () => {
  for (const code of ['overloaded', 'not-leader', 'no-leader'] as const) {
    const server = setup();
    server.refuse = (command) => (command.type === 'put-job' ? code : null);
    const answers = server.submit({ type: 'put-job', job: makeJob(), runOnCreate: false });
    server.advance(200, ['n1']);
    server.refuse = () => null;
    server.advance(200, ['n1']);

    const [answer] = answers;
    if (code === 'overloaded') assert.equal(answer?.type === 'failed' && answer.code, 'overloaded');
    else assert.equal(answer?.type, 'done', code);
  }
});

test('slots are never promised twice, not by the runs of one job that is far behind', () => {
  const server = setup(3);
  const uid = put(server, { schedule: '* * * * * *', startWithinMs: 10 * MINUTE_MS });
  server.machine.clock.skewMs += 30 * SECOND_MS;

  server.advance(2 * SECOND_MS, ['n1']);

  assert.equal(server.machine.openRuns(uid).filter((run) => run.state === 'running').length, 3);
  for (const command of server.commands('fire')) {
    assert.ok(command.items.flatMap((item) => item.targets).length <= 3);
  }
});

test('a slot that comes free goes to the run that waited longest', () => {
  const server = setup(1);
  const uid = put(server, { schedule: '* * * * * *', startWithinMs: MINUTE_MS });
  server.advance(3 * SECOND_MS, ['n1']);
  const runs = server.machine.openRuns(uid).reverse();
  assert.deepEqual(
    runs.slice(0, 2).map((run) => run.state),
    ['running', 'pending'],
  );

  server.machine.nowMs = server.machine.clock.now();
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [finishOf(`${runs[0]?.id}-0-1`, server)] });
  server.advance(1, ['n1']);

  assert.equal(server.machine.run(runs[1]?.id as string)?.state, 'running');
});

function finishOf(execution: string, server: Server) {
  const nowMs = server.machine.clock.now();
  return {
    execution,
    outcome: 'succeeded' as const,
    reason: '',
    startedAtMs: nowMs,
    finishedAtMs: nowMs,
    exitCode: 0,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
  };
}

test('runs that nothing can take do not keep those behind them from a slot', () => {
  const server = setup();
  for (let number = 0; number < 1_100; number += 1) {
    put(server, { name: `lost-${number}`, schedule: '@hourly', tags: { role: 'gpu' } });
  }
  server.machine.clock.skewMs += 60 * MINUTE_MS;
  server.advance(5 * SECOND_MS, ['n1']);
  const uid = put(server, { schedule: '* * * * * *', tags: { role: 'web' }, startWithinMs: MINUTE_MS });
  server.advance(2 * SECOND_MS, ['n1']);
  assert.ok(server.machine.state.meta.waits > 1_100);

  server.hello('n2', { tags: { role: 'web' } });
  const oldest = server.machine.openRuns(uid).at(-1)?.id as string;
  server.advance(SECOND_MS, ['n1', 'n2']);

  assert.equal(server.machine.run(oldest)?.state, 'running');
});

test('what waits too long is given up, but not by a leader that has just begun', () => {
  const server = setup();
  const uid = put(server, { schedule: '10 * * * * *', tags: { role: 'gpu' }, startWithinMs: SECOND_MS });
  server.advance(8.5 * SECOND_MS, ['n1']);
  assert.equal(server.machine.status(uid).openRuns, 1);
  server.role({ role: 'follower', leader: 's2' });
  server.advance(30 * SECOND_MS);

  server.lead();
  server.advance(SECOND_MS, ['n1']);
  assert.deepEqual(server.machine.ledger(uid), ['open 1 12:00:10']);
  server.advance(3 * SECOND_MS, ['n1']);
  assert.deepEqual(server.machine.ledger(uid), ['missed:no-target 1 12:00:10']);
});

test('a leader that has just begun does not say that no node lives', () => {
  const server = setup();
  put(server, {});
  server.role({ role: 'follower', leader: 's2' });
  server.lead();

  const answers = server.submit({ type: 'run-job', name: 'job' });
  server.advance(500, []);
  assert.equal(answers.length, 0);
  server.advance(500, ['n1']);

  const [answer] = answers;
  assert.equal(answer?.type === 'done' && answer.result.type === 'run' && answer.result.run.state, 'running');
});

test('a leader that has settled says at once that no node matches', () => {
  const server = setup();
  put(server, { tags: { role: 'gpu' } });

  const [answer] = server.submit({ type: 'run-job', name: 'job' });

  assert.equal(answer?.type === 'done' && answer.result.type === 'refused' && answer.result.code, 'not-found');
});

test('an event that gets lost is made up for by the next sweep', () => {
  for (const lost of ['due-moved', 'waiting', 'wait-ended', 'assigned', 'finished', 'answered'] as const) {
    const server = setup(1);
    server.keepEvent = (event) => event.type !== lost;
    const uid = put(server, { schedule: '* * * * * *', startWithinMs: 5 * SECOND_MS });
    for (let second = 0; second < 30; second += 1) {
      server.advance(SECOND_MS, ['n1']);
      for (const run of server.machine.openRuns(uid).filter(({ state }) => state === 'running')) {
        server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [finishOf(`${run.id}-0-1`, server)] });
      }
    }

    const ran = server.machine.fires(uid).reduce((sum, row) => sum + (row.outcome === 'ran' ? row.count : 0), 0);
    assert.ok(ran >= 3, `${ran} ran without '${lost}'`);
    const lastMs = server.machine.status(uid).cursorMs;
    assert.ok(lastMs > server.machine.clock.now() - 12 * SECOND_MS, `chain goes on without '${lost}'`);
  }
});

test('an assignment to a session that is over gives its slot back', () => {
  const server = setup(1);
  const uid = put(server, { schedule: '10 * * * * *', startWithinMs: 10 * MINUTE_MS });
  server.isHolding = true;
  server.advance(9 * SECOND_MS, ['n1']);
  server.submit({ type: 'put-job', job: makeJob({ name: 'other' }), runOnCreate: false });
  server.hello('n1', { boot: 2, slots: 1 });
  server.held.sort(
    (left, right) => (text(left).includes('open-session') ? 0 : 1) - (text(right).includes('open-session') ? 0 : 1),
  );
  const renumbered = server.held
    .splice(0)
    .map((entry, at) => ({ ...entry, index: server.machine.state.meta.appliedIndex + 1 + at }));
  server.held.push(...renumbered);

  server.release();
  server.advance(SECOND_MS, ['n1']);

  assert.equal(server.machine.openRuns(uid)[0]?.state, 'running');
});

function text(entry: { readonly data: Uint8Array }): string {
  return Buffer.from(entry.data).toString('utf8');
}

test('a call that has just been proposed is not proposed a second time', () => {
  const server = setup();
  server.isHolding = true;
  server.submit({ type: 'put-job', job: makeJob(), runOnCreate: false });

  server.advance(2_400, ['n1']);

  assert.equal(server.commands('put-job').length, 1);
});

test('a deleted job is purged to the end', () => {
  const server = setup();
  const uid = put(server, { schedule: '* * * * * *', tags: { role: 'gpu' }, startWithinMs: 60 * MINUTE_MS });
  server.advance(400 * SECOND_MS, ['n1']);
  assert.ok(server.machine.status(uid).openRuns > 300);

  server.submit({ type: 'delete-job', name: 'job' });
  server.advance(SECOND_MS, ['n1']);

  assert.equal(server.machine.state.get(keys.purge(uid)), undefined);
  assert.equal(server.machine.state.meta.waits, 0);
});

test('no command is greater than raft takes, however much there is to fire', () => {
  const server = new Server();
  server.lead();
  const nodes = Array.from({ length: 400 }, (_, number) => `node-with-a-long-name-${number}`);
  for (const node of nodes) server.hello(node, { slots: 40 });
  server.advance(2 * SECOND_MS, nodes);
  put(server, { schedule: '* * * * * *' });
  server.machine.clock.skewMs += 55 * SECOND_MS;

  server.advance(3 * SECOND_MS, nodes);

  const largest = Math.max(...server.proposedBytes);
  assert.ok(largest < 256 * 1024, `${largest} bytes`);
});

test('a refusal from an earlier time as leader gives nothing back that is held now', () => {
  const server = setup(1);
  const uid = put(server, { schedule: '* * * * * *', startWithinMs: MINUTE_MS });
  put(server, { name: 'by-hand' });
  server.isHolding = true;
  server.isMute = true;
  server.submit({ type: 'run-job', name: 'by-hand' }, 'one');
  const [late] = server.replies;
  server.lose();
  server.role({ role: 'follower', leader: null });
  server.isHolding = true;
  server.isMute = false;
  server.lead();
  server.beat('n1');
  server.advance(100, ['n1']);
  assert.equal(server.commands('run-job').length, 2);

  late?.({ type: 'refused', code: 'not-leader', leader: null });
  server.settle();
  server.advance(1_100, ['n1']);

  const promised = server.commands('fire').flatMap((command) => command.items.flatMap((item) => item.targets));
  assert.deepEqual(promised, []);
  assert.equal(server.machine.status(uid).openRuns, 0);
});
