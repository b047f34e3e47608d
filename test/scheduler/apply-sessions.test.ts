import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys, type NodeRow } from '../../src/scheduler/rows.ts';
import { Machine } from './machine.ts';

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
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session });
  assert.equal(row(machine).isOpen, false);

  machine.node('n1');

  assert.equal(row(machine).isOpen, true);
  assert.notEqual(row(machine).session, session);
});

test('closing a session that is over or unknown does nothing', () => {
  const machine = new Machine();
  const { session } = machine.node('n1');
  machine.node('n1', { boot: 2 });

  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n1', session });
  machine.apply({ type: 'close-session', nowMs: machine.nowMs, node: 'n2', session });

  assert.equal(row(machine).isOpen, true);
});
