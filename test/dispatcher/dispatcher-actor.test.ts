import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../../src/jobs/job.ts';
import { MINUTE_MS, makeFinish, makeJob, SECOND_MS } from '../scheduler/machine.ts';
import { Server } from '../scheduler/server.ts';

const NATS_MAX_PAYLOAD = 1024 * 1024;

function setup(slots = 8): Server {
  const server = new Server();
  server.lead();
  server.hello('n1', { slots });
  server.advance(2 * SECOND_MS, ['n1']);
  return server;
}

function start(server: Server, changes: Partial<Job> = {}): string {
  const job = makeJob(changes);
  server.submit({ type: 'put-job', job, runOnCreate: false });
  const [answer] = server.submit({ type: 'run-job', name: job.name });
  server.settle();
  assert.ok(answer?.type === 'done' && answer.result.type === 'run', JSON.stringify(answer));
  return answer.result.run.id;
}

function executed(server: Server, node = 'n1'): string[] {
  return server.told(node, 'execute').flatMap((message) => message.items.map((item) => item.execution));
}

test('a hello opens a session and is welcomed; the same hello again is welcomed, and opens none', () => {
  const server = new Server();
  server.lead();

  server.hello('n1');
  server.hello('n1');

  assert.equal(server.commands('open-session').length, 1);
  const session = server.node('n1')?.session;
  assert.deepEqual(
    server.told('n1', 'welcome').map((message) => message.session),
    [session, session],
  );
});

test('a welcome says when that was sent which it answers', () => {
  const server = new Server();
  server.lead();
  const self = {
    node: 'n1',
    boot: 1,
    name: 'n1',
    isServer: false,
    tags: {},
    slots: 8,
    version: '',
    address: '',
    isDraining: false,
  };
  server.isHolding = true;
  for (const sentAtMs of [100, 700, 600]) server.from({ type: 'hello', ...self, sentAtMs, wallMs: 0 });
  server.release();
  const session = server.node('n1')?.session ?? 0;

  server.beat('n1', { sentAtMs: 900 });
  server.from({ type: 'hello', ...self, sentAtMs: 800, wallMs: 0 });

  assert.deepEqual(
    server.told('n1', 'welcome').map((message) => [message.session, message.echoMs]),
    [
      [session, 700],
      [session, 900],
      [session, 800],
    ],
  );
});

test('a node whose session is given up is not answered before it is closed, then it gets a new one', () => {
  const server = setup();
  const run = start(server);
  server.isHolding = true;
  server.advance(12 * SECOND_MS);
  assert.ok(server.commands('close-session').length > 0);
  const before = server.told('n1', 'welcome').length;

  server.hello('n1');
  server.beat('n1');
  assert.equal(server.told('n1', 'welcome').length, before, 'it could start what is lost in a moment');
  server.release();
  server.beat('n1');
  server.advance(SECOND_MS);

  const session = server.node('n1')?.session;
  assert.equal(server.told('n1', 'welcome').at(-1)?.session, session);
  assert.notEqual(session, server.machine.execution(run, 0, 1)?.session);
});

test('a close-session that raft refused is proposed again, whatever the node says meanwhile', () => {
  const server = setup();
  server.refuse = (command) => (command.type === 'close-session' ? 'overloaded' : null);
  server.advance(12 * SECOND_MS);
  server.beat('n1');
  server.refuse = () => null;
  assert.equal(server.node('n1')?.isOpen, true);

  server.advance(5 * SECOND_MS);

  assert.equal(server.node('n1')?.isOpen, false);
});

test('a hello of an older boot costs no entry', () => {
  const server = setup();
  server.hello('n1', { boot: 2 });
  const before = server.commands('open-session').length;

  for (let second = 0; second < 5; second += 1) {
    server.hello('n1', { boot: 1 });
    server.advance(SECOND_MS);
  }

  assert.equal(server.commands('open-session').length, before);
});

test('what is assigned is executed once, with fence, session and start-by', () => {
  const server = setup();
  const run = start(server, { startWithinMs: MINUTE_MS });

  const [message] = server.told('n1', 'execute');
  const [item] = message?.items ?? [];
  assert.equal(item?.execution, `${run}-0-1`);
  assert.equal(item?.fence, server.machine.execution(run, 0, 1)?.fence);
  assert.equal(item?.session, server.node('n1')?.session);
  assert.equal(item?.startByMs, server.machine.run(run)?.startByMs);
  assert.equal(executed(server).length, 1);
});

test('a retry may be started as long as its job says', () => {
  const server = setup();
  const run = start(server, { retries: 1, startWithinMs: 30 * SECOND_MS });
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [makeFinish(`${run}-0-1`, 'failed')] });
  server.advance(1_500, ['n1']);

  const item = server.told('n1', 'execute').at(-1)?.items[0];
  assert.equal(item?.execution, `${run}-0-2`);
  assert.equal(item?.startByMs, (server.machine.execution(run, 0, 2)?.assignedMs ?? 0) + 30 * SECOND_MS);
});

test('a finish is proposed once and acknowledged when it is committed, not before', () => {
  const server = setup();
  const run = start(server);
  server.isHolding = true;
  const finishes = [makeFinish(`${run}-0-1`, 'succeeded')];
  for (let times = 0; times < 3; times += 1) server.from({ type: 'finish', node: 'n1', boot: 1, finishes });
  assert.deepEqual(server.told('n1', 'acknowledge'), []);

  server.release();

  assert.equal(server.commands('finish').length, 1);
  assert.deepEqual(
    server.told('n1', 'acknowledge').map((message) => message.executions),
    [[`${run}-0-1`]],
  );
});

test('a finish that nobody knows is acknowledged too', () => {
  const server = setup();

  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [makeFinish('0-1-s1-0-1', 'succeeded')] });

  assert.deepEqual(
    server.told('n1', 'acknowledge').map((message) => message.executions),
    [['0-1-s1-0-1']],
  );
});

test('a finish that raft refused, or whose event got lost, is taken when it comes again', () => {
  for (const trouble of ['refused', 'lost'] as const) {
    const server = setup();
    const run = start(server);
    if (trouble === 'refused') server.refuse = (command) => (command.type === 'finish' ? 'overloaded' : null);
    else server.keepEvent = (event) => event.type !== 'finished';
    const finishes = [makeFinish(`${run}-0-1`, 'succeeded')];
    server.from({ type: 'finish', node: 'n1', boot: 1, finishes });
    server.refuse = () => null;
    server.keepEvent = () => true;
    assert.deepEqual(server.told('n1', 'acknowledge'), []);

    server.advance(11 * SECOND_MS, ['n1']);
    server.from({ type: 'finish', node: 'n1', boot: 1, finishes });

    assert.equal(server.told('n1', 'acknowledge').length, 1, trouble);
    assert.equal(server.machine.run(run)?.state, 'succeeded');
  }
});

test('an execute that got lost is said again, less and less often', () => {
  const server = setup();
  start(server, { startWithinMs: 60 * MINUTE_MS });

  server.advance(5 * MINUTE_MS, ['n1']);

  const times = executed(server).length;
  assert.ok(times >= 4 && times <= 12, `${times} times in five minutes`);
});

test('a new leader says at once what is open: the old one may not have come to it', () => {
  const server = setup();
  server.keepEvent = (event) => event.type !== 'assigned';
  const run = start(server, { startWithinMs: 60 * MINUTE_MS });
  assert.deepEqual(executed(server), []);
  server.role({ role: 'follower', leader: 's2' });
  server.advance(SECOND_MS);

  server.lead();
  server.advance(100, ['n1']);

  assert.deepEqual(executed(server), [`${run}-0-1`]);
});

test('a node that is silent for lease and margin loses its session, and what it had is lost', () => {
  const server = setup();
  const run = start(server);
  server.advance(6 * SECOND_MS);
  assert.equal(server.node('n1')?.isOpen, true);

  server.advance(8 * SECOND_MS);

  assert.equal(server.node('n1')?.isOpen, false);
  assert.equal(server.machine.execution(run, 0, 1)?.state, 'lost');
  assert.equal(server.machine.run(run)?.state, 'failed');
});

test('a new leader gives every node lease and margin before it gives one up', () => {
  const server = setup();
  start(server);
  server.advance(4 * SECOND_MS);
  server.role({ role: 'follower', leader: 's2' });
  server.lead();

  server.advance(6_900);

  assert.equal(server.commands('close-session').length, 0);
});

test('a node that comes back is asked about what was open in its older session', () => {
  const server = setup();
  const run = start(server);

  server.hello('n1', { boot: 2 });
  server.advance(100);

  const { session } = server.machine.execution(run, 0, 1) as { readonly session: number };
  assert.deepEqual(server.told('n1', 'reconcile').at(-1)?.executions, [{ execution: `${run}-0-1`, session }]);
  assert.equal(server.machine.run(run)?.state, 'running');
});

test('a heartbeat of a closed session opens a new one; of another session, it is told its own', () => {
  const server = setup();
  const { session } = server.node('n1') as { readonly session: number };
  server.advance(15 * SECOND_MS);
  assert.equal(server.node('n1')?.isOpen, false);

  server.beat('n1');
  server.advance(0);
  const next = server.node('n1')?.session;
  assert.notEqual(next, session);
  server.beat('n1', { session, sentAtMs: 7 });

  assert.equal(server.told('n1', 'welcome').at(-1)?.session, next);
});

test('what is given up is not given up when the node speaks in time', () => {
  const server = setup();
  const run = start(server);

  server.advance(60 * SECOND_MS, ['n1']);

  assert.equal(server.commands('close-session').length, 0);
  assert.equal(server.machine.run(run)?.state, 'running');
});

test('a crowd of sessions costs a bounded number of sweeps', () => {
  const server = new Server();
  server.lead();
  let scans = 0;
  const { state } = server.machine;
  const scan = state.scan.bind(state);
  state.scan = (range, done) => {
    if (range.from === 'node/') scans += 1;
    scan(range, done);
  };

  for (let number = 0; number < 200; number += 1) {
    const node = `n${number}`;
    server.from({
      type: 'hello',
      node,
      boot: 1,
      name: node,
      isServer: false,
      tags: {},
      slots: 1,
      version: '',
      address: '',
      isDraining: false,
      sentAtMs: 0,
      wallMs: 0,
    });
  }
  server.advance(SECOND_MS);

  assert.ok(scans <= 10, `${scans} sweeps for 200 sessions`);
});

test('no message to a node is larger than NATS carries', () => {
  const server = setup(400);
  const input = 'x'.repeat(60_000);
  for (let number = 0; number < 100; number += 1) {
    start(server, { name: `job-${number}`, executorConfig: { command: input } });
  }
  server.role({ role: 'follower', leader: 's2' });
  server.lead();
  server.advance(100, ['n1']);
  const finishes = Array.from({ length: 15_000 }, (_, number) =>
    makeFinish(`0-zzzzzzzzzz-h${'a'.repeat(26)}-${number}-1`, 'succeeded'),
  );
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes });
  server.advance(0);

  const acknowledged = server.told('n1', 'acknowledge').flatMap((message) => message.executions);
  assert.equal(acknowledged.length, 15_000);
  assert.ok(executed(server).length >= 200);
  for (const { message } of server.toNodes) {
    const bytes = Buffer.byteLength(JSON.stringify(message));
    assert.ok(bytes < NATS_MAX_PAYLOAD / 2, `${message.type} of ${bytes} bytes`);
  }
});

test('finishes with outputs of control characters still fit the log', () => {
  const server = setup(200);
  const runs = Array.from({ length: 100 }, (_, number) => start(server, { name: `job-${number}` }));
  server.refuse = (_, bytes) => (bytes > 512 * 1024 ? 'too-large' : null);

  const outputTail = '\u0001'.repeat(4_096);
  const finishes = runs.map((run) => makeFinish(`${run}-0-1`, 'succeeded', { outputTail }));
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes });
  server.advance(0);

  assert.deepEqual(new Set(runs.map((run) => server.machine.run(run)?.state)), new Set(['succeeded']));
});
