import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRow, keys, type NodeRow } from '../../src/scheduler/rows.ts';
import { Machine, NOON_MS, SECOND_MS } from './machine.ts';

function row(machine: Machine): NodeRow {
  return machine.state.get<NodeRow>(keys.node('n1')) as NodeRow;
}

test('a new boot opens a new session, an older one and the same one again do not', () => {
  const machine = new Machine();
  const first = machine.node('n1', { boot: 2 });

  machine.node('n1', { boot: 1 });
  machine.node('n1', { boot: 2 });
  assert.equal(row(machine).session, first.session);
  assert.deepEqual(machine.events, []);

  machine.node('n1', { boot: 3, tags: { role: 'web' } });
  assert.equal(row(machine).session, 3 + 1);
  assert.deepEqual(row(machine).tags, { role: 'web' });
});

test('a closed session is opened anew by the same boot, under another number', () => {
  const machine = new Machine();
  const { session } = machine.node('n1');
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session, hasLeft: false });
  assert.equal(row(machine).isOpen, false);

  machine.node('n1');

  assert.equal(row(machine).isOpen, true);
  assert.notEqual(row(machine).session, session);
});

test('closing a session that is over or unknown does nothing', () => {
  const machine = new Machine();
  const { session } = machine.node('n1');
  machine.node('n1', { boot: 2 });

  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session, hasLeft: false });
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n2', session, hasLeft: false });

  assert.equal(row(machine).isOpen, true);
});

test('a session that is closed shows when, and whether the node left or was given up', () => {
  for (const hasLeft of [true, false]) {
    const machine = new Machine();
    const { session } = machine.node('n1');
    const { closedMs: before } = row(machine);
    machine.nowMs += SECOND_MS;

    machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session, hasLeft });

    assert.equal(before, null);
    assert.deepEqual([row(machine).closedMs, row(machine).hasLeft], [NOON_MS + SECOND_MS, hasLeft]);
    assert.deepEqual(machine.events, [{ type: 'session-closed', node: 'n1', session, hasLeft }]);
  }
});

test('who has left comes back with the next boot, not with a word that the same boot said before', () => {
  const machine = new Machine();
  const { session } = machine.node('n1');
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session, hasLeft: true });

  machine.node('n1');
  assert.equal(row(machine).isOpen, false);
  machine.node('n1', { boot: 2 });

  assert.deepEqual([row(machine).isOpen, row(machine).closedMs, row(machine).hasLeft], [true, null, false]);
});

test('a node is forgotten only in the session that was named, closed, and if it is an agent', () => {
  const machine = new Machine();
  const { nowMs } = machine;
  const close = (node: string, session: number) =>
    machine.apply({ type: 'close-session', nowMs, node, session, hasLeft: false });
  const nodes = [machine.node('gone'), machine.node('open'), machine.node('server', { isServer: true })];
  const older = machine.node('back');
  close('gone', nodes[0]?.session ?? 0);
  close('server', nodes[2]?.session ?? 0);
  close('back', older.session);
  const newer = machine.node('back', { boot: 2 });
  close('back', newer.session);

  machine.apply({ type: 'forget-nodes', nowMs, nodes: [...nodes, older, { node: 'stranger', session: 1 }] });

  assert.deepEqual(machine.events, [{ type: 'node-forgotten', node: 'gone', name: 'gone' }]);
  const left = ['gone', 'open', 'server', 'back'].filter((node) => machine.state.get(keys.node(node)) !== undefined);
  assert.deepEqual(left, ['open', 'server', 'back']);
});

test('a row of an earlier build reads as never left', () => {
  const { closedMs: _closedMs, hasLeft: _hasLeft, ...old } = rowOf({ isOpen: false });

  const read = decodeRow<NodeRow>(Buffer.from(JSON.stringify([1, old])));

  assert.deepEqual(read, { ...old, closedMs: null, hasLeft: false });
});

function rowOf(changes: Partial<NodeRow>): NodeRow {
  const machine = new Machine();
  machine.node('n1');
  return { ...row(machine), ...changes };
}
