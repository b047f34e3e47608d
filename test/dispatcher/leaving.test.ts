import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../../src/scheduler/rows.ts';
import { MINUTE_MS, makeFinish, makeJob, SECOND_MS } from '../scheduler/machine.ts';
import { Server } from '../scheduler/server.ts';

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A leader with a job for any one node. */
function setup(): Server {
  const server = new Server();
  server.lead();
  server.submit({ type: 'put-job', job: makeJob({ targets: 1 }), runOnCreate: false });
  return server;
}

function start(server: Server): string {
  const [answer] = server.submit({ type: 'run-job', name: 'job' });
  assert.ok(answer?.type === 'done' && answer.result.type === 'run', JSON.stringify(answer));
  return answer.result.run.id;
}

test('a node that drains gets nothing new, and is answered all the same', () => {
  const server = setup();
  server.hello('n1');
  const before = server.told('n1', 'welcome').length;
  server.beat('n1', { isDraining: true });
  server.hello('n2');

  const runs = [start(server), start(server)];
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [makeFinish('0-1-s1-0-1', 'succeeded')] });

  assert.deepEqual(
    runs.map((run) => server.machine.execution(run, 0, 1)?.node),
    ['n2', 'n2'],
  );
  assert.equal(server.told('n1', 'welcome').length, before + 1);
  assert.equal(server.told('n1', 'acknowledge').length, 1);
});

test('it drains for a new leader too, by its first word, and until its next boot', () => {
  const server = setup();
  server.hello('n1');
  server.role({ role: 'follower', leader: 's2' });
  server.lead();

  server.hello('n1', { isDraining: true });
  server.hello('n2');
  const first = start(server);
  server.hello('n1', { boot: 2 });
  server.advance(3 * SECOND_MS, ['n1']);
  const second = start(server);

  assert.equal(server.machine.execution(first, 0, 1)?.node, 'n2');
  assert.equal(server.machine.execution(second, 0, 1)?.node, 'n1');
});

test('a node that drains is not given a session any more', () => {
  const server = setup();
  server.hello('n1', { isDraining: true });

  assert.equal(server.commands('open-session').length, 0);
});

test('a node that leaves is told so once its session is closed, and again whenever it says it again', () => {
  const server = setup();
  server.hello('n1');
  const session = server.node('n1')?.session ?? 0;
  server.isHolding = true;

  for (let times = 0; times < 3; times += 1) server.leave('n1');
  assert.deepEqual(server.told('n1', 'left'), []);
  assert.deepEqual(
    server.commands('close-session').map(({ hasLeft }) => hasLeft),
    [true],
  );
  server.release();
  server.from({ type: 'leave', node: 'n1', boot: 1, session });

  const left = { type: 'left', boot: 1, session };
  assert.deepEqual(server.told('n1', 'left'), [left, left]);
  assert.deepEqual([server.node('n1')?.isOpen, server.node('n1')?.hasLeft], [false, true]);
});

test('a leave whose entry came to nothing is proposed again, even by the sweep alone', () => {
  const server = setup();
  server.hello('n1');
  server.refuse = (command) => (command.type === 'close-session' ? 'overloaded' : null);
  server.leave('n1');
  server.refuse = () => null;

  server.advance(5 * SECOND_MS);

  assert.equal(server.node('n1')?.hasLeft, true);
});

test('a node that has left stays away, whatever it said before', () => {
  const server = setup();
  server.hello('n1');
  server.leave('n1');
  const before = server.told('n1', 'welcome').length;

  server.beat('n1');
  server.hello('n1');

  assert.equal(server.node('n1')?.isOpen, false);
  assert.equal(server.commands('open-session').length, 1);
  assert.equal(server.told('n1', 'welcome').length, before);
});

test('the leave of another session or boot closes nothing', () => {
  const server = setup();
  server.hello('n1');
  const session = server.node('n1')?.session ?? 0;
  server.hello('n1', { boot: 2 });

  server.from({ type: 'leave', node: 'n1', boot: 1, session });
  server.from({ type: 'leave', node: 'n1', boot: 1, session: session + 100 });

  assert.equal(server.commands('close-session').length, 0);
  assert.deepEqual(server.told('n1', 'left'), [{ type: 'left', boot: 1, session }], 'the older one is over');
});

test('what is open in a session that was left never started: it is refused, and placed anew', () => {
  const server = setup();
  server.hello('n1');
  const run = start(server);

  server.leave('n1');
  server.hello('n2');
  server.advance(SECOND_MS, ['n2']);

  const { state, reason } = server.machine.execution(run, 0, 1) ?? {};
  assert.deepEqual([state, reason], ['refused', 'never-started']);
  assert.equal(server.machine.execution(run, 0, 2)?.node, 'n2');
});

test('what is open in an older session of a node that leaves is lost: it does not vouch for that', () => {
  const server = setup();
  server.hello('n1');
  const run = start(server);
  server.hello('n1', { boot: 2 });
  // Its answer to the leader's question does not get through.
  server.leave('n1');
  server.advance(SECOND_MS);

  assert.equal(server.machine.execution(run, 0, 1)?.state, 'lost');
});

test('a result that was on its way is the result, not a refusal', () => {
  const server = setup();
  server.hello('n1');
  const run = start(server);
  server.isHolding = true;
  server.from({ type: 'finish', node: 'n1', boot: 1, finishes: [makeFinish(`${run}-0-1`, 'succeeded')] });
  server.leave('n1');

  server.release();
  server.advance(6 * SECOND_MS);

  assert.equal(server.machine.execution(run, 0, 1)?.state, 'succeeded');
  assert.equal(server.machine.state.meta.lateFinishes, 0);
});

test('an agent is forgotten ten minutes after it left, a day after it was given up; a server never', () => {
  const server = setup();
  server.hello('left');
  server.hello('silent');
  server.hello('server', { isServer: true });
  server.leave('left');
  server.leave('server');
  const known = () => ['left', 'silent', 'server'].filter((node) => server.node(node) !== undefined);

  server.advance(10 * MINUTE_MS - SECOND_MS);
  assert.deepEqual(known(), ['left', 'silent', 'server']);
  server.advance(6 * SECOND_MS);
  assert.deepEqual(known(), ['silent', 'server']);
  server.advance(DAY_MS - 11 * MINUTE_MS);
  assert.deepEqual(known(), ['silent', 'server']);
  server.advance(11 * MINUTE_MS);
  assert.deepEqual(known(), ['server']);

  assert.equal(server.commands('forget-nodes').length, 2);
});

test('an agent is not forgotten while something of it is open', () => {
  const server = setup();
  server.hello('n1');
  const run = start(server);
  server.refuse = (command) => (command.type === 'finish' ? 'overloaded' : null);
  server.leave('n1');
  server.advance(11 * MINUTE_MS);
  assert.notEqual(server.node('n1'), undefined);

  server.refuse = () => null;
  server.advance(11 * SECOND_MS);

  assert.equal(server.machine.execution(run, 0, 1)?.state, 'refused');
  assert.equal(server.node('n1'), undefined);
});

test('so many agents at once are forgotten bit by bit', () => {
  const server = setup();
  for (let number = 0; number < 250; number += 1) {
    server.hello(`n${number}`);
    server.leave(`n${number}`);
  }

  server.advance(11 * MINUTE_MS);

  const sizes = server.commands('forget-nodes').map(({ nodes }) => nodes.length);
  assert.deepEqual(sizes, [100, 100, 50]);
  assert.equal(server.machine.state.get(keys.node('n249')), undefined);
});

test('the late hello of a forgotten boot opens a session that is given up again', () => {
  const server = setup();
  server.hello('n1');
  server.leave('n1');
  server.advance(11 * MINUTE_MS);
  assert.equal(server.node('n1'), undefined);

  server.hello('n1');
  assert.equal(server.node('n1')?.isOpen, true);
  server.advance(12 * SECOND_MS);

  assert.deepEqual([server.node('n1')?.isOpen, server.node('n1')?.hasLeft], [false, false]);
});
