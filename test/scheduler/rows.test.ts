import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRow, type ExecutionRow, encodeRow, type NodeRow, type StateRow } from '../../src/scheduler/rows.ts';

test('rows of earlier builds are read with what they lack', () => {
  const node = { type: 'node', node: 'n1', isOpen: false } as unknown as StateRow;
  const execution = { type: 'execution', id: 'e1', assignedMs: 1_000 } as unknown as StateRow;

  const { closedMs, hasLeft } = decodeRow<NodeRow>(encodeRow(node));
  const { startByMs } = decodeRow<ExecutionRow>(encodeRow(execution));

  assert.deepEqual([closedMs, hasLeft, startByMs], [null, false, 601_000]);
});

test('a row of an unknown version is refused', () => {
  assert.throws(() => decodeRow(Buffer.from('[2,{"type":"due"}]')), /unknown version 2/);
});
