import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeMember } from '../../src/api/node-json.ts';
import { node } from './fake-backend.ts';

test('a member is alive, has left, or has failed, in Serf’s words and numbers', () => {
  const cases = [
    { isAlive: true, hasLeft: false, status: 1, text: 'alive' },
    { isAlive: false, hasLeft: true, status: 3, text: 'left' },
    { isAlive: false, hasLeft: false, status: 4, text: 'failed' },
  ];

  for (const { isAlive, hasLeft, status, text } of cases) {
    const member = writeMember(node('n1', 'alpha', { isAlive, hasLeft }));

    assert.deepEqual([member['Status'], member['statusText'], member['is_alive']], [status, text, isAlive]);
  }
});
