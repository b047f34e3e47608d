import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster } from '../../src/scheduler/roster.ts';
import { keys, type NodeRow } from '../../src/scheduler/rows.ts';
import { Machine, makeJob } from './machine.ts';

function rowsOf(...names: readonly string[]): NodeRow[] {
  const machine = new Machine();
  return names.map((name) => {
    machine.node(name);
    return machine.state.get<NodeRow>(keys.node(name)) as NodeRow;
  });
}

function names(roster: Roster): string[] {
  return roster.rows.map((row) => row.name);
}

test('a sweep leaves exactly the nodes that it found', () => {
  const roster = new Roster();
  const [first, second, third] = rowsOf('n1', 'n2', 'n3') as [NodeRow, NodeRow, NodeRow];
  for (const row of [first, second]) roster.register(row);

  roster.keepNodes([second, third], new Set());

  assert.deepEqual(names(roster), ['n2', 'n3']);
});

test('what happened to a node while the sweep was reading counts more than what it read', () => {
  const roster = new Roster();
  const [opened, forgotten, reopened] = rowsOf('n1', 'n2', 'n3') as [NodeRow, NodeRow, NodeRow];
  roster.register(opened);
  roster.register({ ...reopened, session: 99 });
  const touched = new Set([opened, forgotten, reopened].map((row) => keys.node(row.node)));

  roster.keepNodes([forgotten, reopened], touched);

  assert.deepEqual(
    roster.rows.map((row) => [row.name, row.session]),
    [
      ['n1', opened.session],
      ['n3', 99],
    ],
  );
});

test('a job finds a node by what it is, as its members show it', () => {
  const roster = new Roster();
  const [server, agent] = rowsOf('n1', 'n2') as [NodeRow, NodeRow];
  for (const row of [
    { ...server, isServer: true },
    { ...agent, isServer: false },
  ]) {
    roster.register({ ...row, isOpen: true });
    roster.setLive(row.node, true);
  }
  const job = makeJob({ tags: { server: 'false', version: agent.version } });

  const placed = roster.place(job, 'all', () => 0);

  assert.deepEqual(placed, { type: 'placed', targets: [{ node: agent.node, session: agent.session }] });
});
