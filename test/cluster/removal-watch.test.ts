import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Hall, Word } from '../../src/cluster/hall.ts';
import { Presence } from '../../src/cluster/presence.ts';
import { encodeHere } from '../../src/cluster/presence-word.ts';
import { watchRemoval } from '../../src/cluster/removal-watch.ts';

const OWN = '5'.repeat(32);
const OTHER = '7'.repeat(32);
const CLUSTER = 'c'.repeat(32);

/** A running server whose log has a configuration of index 10 that names it or not, and one other that may speak. */
function setup(isNamed: boolean) {
  const clock = new VirtualClock();
  let hear: (word: Word) => void = () => {};
  const hall: Hall = {
    isOpen: true,
    say: () => {},
    onWord(listener) {
      hear = listener;
    },
    close: () => Promise.resolve(),
  };
  const identity = { clusterUuid: CLUSTER, voters: [OWN, OTHER], promise: null, clusterName: 'demo', nodeName: 's1' };
  const presence = new Presence({
    hall,
    identity: { ...identity, nodeId: OWN, boot: 4 },
    isServer: true,
    expect: 3,
    clock,
    log: silentLog,
    life: 'a'.repeat(32),
    onMustStop: () => assert.fail('nobody replaces it'),
  });
  presence.become({ stage: 'running' });
  const removals: string[] = [];
  watchRemoval({
    presence,
    clock,
    ownIndex: () => 10,
    isNamed: () => isNamed,
    onRemoved: ({ code, message }) => removals.push(`${code} ${message}`),
  });
  /** For so many seconds, in which the other says each second who belongs to the servers; or nobody says anything. */
  const pass = (seconds: number, said: { readonly index: number; readonly voters: readonly string[] } | null) => {
    for (let second = 0; second < seconds; second += 1) {
      if (said !== null) {
        const body = encodeHere({
          life: 'b'.repeat(32),
          name: 's2',
          isServer: true,
          stage: 'running',
          asks: false,
          clusterUuid: CLUSTER,
          voters: said.voters,
          learners: [],
          membershipIndex: said.index,
          voterNames: said.voters.map(() => ''),
          expect: null,
          promise: null,
          answers: [],
        });
        hear({ from: OTHER, fromBoot: 1, body });
      }
      clock.advance(1_000);
    }
  };
  return { pass, removals };
}

test('a server that a newer configuration does not name notices it after ten seconds, and says what to do', () => {
  const { pass, removals } = setup(true);

  pass(9, { index: 11, voters: [OTHER] });
  assert.deepEqual(removals, []);
  pass(14, { index: 11, voters: [OTHER] });

  assert.equal(removals.length, 1);

  assert.match(removals[0] ?? '', /^foreign-directory server s1 was removed from cluster demo, .* cluster add s1$/);
});

test('an older configuration says nothing about it', () => {
  const { pass, removals } = setup(true);

  pass(60, { index: 9, voters: [OTHER] });

  assert.deepEqual(removals, []);
});

test('one that gets the log passes through times in which it did not belong: what others say is newer', () => {
  const { pass, removals } = setup(false);

  pass(60, { index: 11, voters: [OWN, OTHER] });

  assert.deepEqual(removals, []);
});

test('in silence its own old log does not make it stop; once others speak of the same, it does', () => {
  const { pass, removals } = setup(false);

  pass(60, null);
  assert.deepEqual(removals, []);
  pass(15, { index: 10, voters: [OTHER] });

  assert.equal(removals.length, 1);
});
