import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingFaults } from './machine.ts';

test('a machine that allows everything lacks nothing but what one nats-server cannot do', () => {
  const machine = { isPrivate: true, strace: 'strace', iptables: 'iptables', faketime: 'libfaketime' };

  assert.deepEqual([...missingFaults(machine, 3).keys()], []);
  assert.deepEqual([...missingFaults(machine, 1).keys()], ['nats-kill-one']);
});

test('what a machine does not allow is left out with its reason', () => {
  const machine = { isPrivate: false, strace: undefined, iptables: undefined, faketime: undefined };

  const missing = missingFaults(machine, 1);

  const expected = [
    'clock-ahead',
    'clock-behind',
    'cut-inward',
    'cut-outward',
    'disk-full',
    'fsync-error',
    'fsync-slow',
  ];
  assert.deepEqual([...missing.keys()].sort(), [...expected, 'nats-kill-one']);
  for (const [kind, reason] of missing) assert.match(reason, /^there (is|are) |no small disk/, kind);
});
