import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Hall, Word } from '../../src/cluster/hall.ts';
import { encodeFrame } from '../../src/cluster/json-frame.ts';
import { Presence } from '../../src/cluster/presence.ts';
import { PEERS_MAX, type Peer, Peers, STARTING_MAX } from '../../src/cluster/presence-peers.ts';
import { ANSWERS_MAX, decodeHere, encodeHere, type Here } from '../../src/cluster/presence-word.ts';

const OWN = '5'.repeat(32);
const OTHER = '7'.repeat(32);
const LIFE = 'a'.repeat(32);
const CLUSTER = 'c'.repeat(32);

const idOf = (number: number): string => number.toString(16).padStart(32, '0');

const HERE: Here = {
  life: 'b'.repeat(32),
  name: 's2',
  isServer: true,
  stage: 'starting',
  asks: true,
  clusterUuid: null,
  voters: null,
  learners: [],
  membershipIndex: 0,
  voterNames: [],
  expect: 3,
  promise: null,
  answers: [],
};

function setup(isServer = true) {
  const clock = new VirtualClock();
  const said: (Here & { atMs: number })[] = [];
  const lives: [nodeId: string, boot: number][] = [];
  let listener: (word: Word) => void = () => {};
  const hall: Hall = {
    isOpen: true,
    say(body) {
      const here = decodeHere(body);
      assert(here !== undefined, 'says what others understand');
      said.push({ ...here, atMs: clock.monotonic() });
    },
    onWord(wanted) {
      listener = wanted;
    },
    close: () => Promise.resolve(),
  };
  const identity = {
    nodeId: OWN,
    clusterUuid: CLUSTER,
    voters: [OWN, OTHER],
    promise: null,
    clusterName: 'demo',
    nodeName: 's1',
    boot: 4,
  };
  const presence = new Presence({
    hall,
    identity,
    isServer,
    expect: 3,
    clock,
    log: silentLog,
    life: LIFE,
    onMustStop: () => assert.fail('must not stop'),
    onLife: (nodeId, boot) => lives.push([nodeId, boot]),
  });
  const hear = (here: Partial<Here>, from = OTHER, fromBoot = 1) =>
    listener({ from, fromBoot, body: encodeHere({ ...HERE, ...here }) });
  const hearBytes = (body: Uint8Array) => listener({ from: OTHER, fromBoot: 1, body });
  return { clock, said, lives, presence, hear, hearBytes };
}

test('a node that starts asks four times a second', () => {
  const { clock, said } = setup();

  clock.advance(1_000);

  assert.equal(said.length, 5);
  assert(said.every(({ asks, stage }) => asks && stage === 'starting'));
});

test('a server that runs speaks every second, an agent every five, and neither asks', () => {
  for (const [isServer, words] of [
    [true, 11],
    [false, 3],
  ] as const) {
    const { clock, said, presence } = setup(isServer);
    said.length = 0;

    presence.become({ stage: 'running' });
    clock.advance(10_000);

    assert.equal(said.length, words);
    assert(said.every(({ asks, expect }) => !asks && expect === (isServer ? 3 : null)));
  }
});

test('who asks is answered at once, with the highest boot that was known before', () => {
  const { clock, said, presence, hear } = setup();
  presence.become({ stage: 'running' });
  hear({ stage: 'running', asks: false }, OTHER, 9);
  clock.advance(400);
  said.length = 0;

  hear({ life: 'd'.repeat(32) }, OTHER, 3);
  clock.advance(0);

  assert.deepEqual(said[0]?.answers, [{ nodeId: OTHER, life: 'd'.repeat(32), known: 9 }]);
  assert.equal(said[0]?.asks, false);
  assert.equal(said[0]?.voterNames[1], 's2');
  clock.advance(2_000);
  assert(said.slice(1).every(({ answers }) => answers.length === 0));
});

test('a herd that asks is answered in few words, each of a bounded size', () => {
  const { clock, said, presence, hear } = setup();
  presence.become({ stage: 'running' });
  said.length = 0;

  for (let round = 0; round < 4; round += 1) {
    for (let number = 1; number <= 300; number += 1) hear({ life: idOf(number) }, idOf(number));
    clock.advance(250);
  }

  assert(said.length <= 6, `${said.length} words`);
  for (const { answers } of said) assert(answers.length <= ANSWERS_MAX);
});

test('an agent leaves answers to the servers, but to who has its name or its nodeId', () => {
  const { clock, said, presence, hear } = setup(false);
  presence.become({ stage: 'running' });
  clock.advance(100);
  said.length = 0;

  hear({ life: idOf(1) });
  hear({ life: idOf(2), name: 's1' });
  hear({ life: idOf(3) }, OWN, 3);
  clock.advance(0);

  assert.deepEqual(
    said.flatMap(({ answers }) => answers.map(({ life }) => life)),
    [idOf(2), idOf(3)],
  );
});

test('two that start answer each other once for each question', () => {
  const { clock, said, hear } = setup();
  clock.advance(100);
  said.length = 0;

  hear({});
  clock.advance(100);
  hear({ asks: false });
  clock.advance(49);

  assert.equal(said.length, 1);
  assert.equal(said[0]?.asks, false);
});

test('its own word tells a node that the hall hears it, and an answer what others knew of it', () => {
  const { clock, presence, hear } = setup();
  clock.advance(70);

  hear({ life: LIFE }, OWN, 4);
  hear({ answers: [{ nodeId: OWN, life: LIFE, known: 6 }] });

  assert.equal(presence.echoMs, 70);
  assert.equal(presence.standing.knownBoot, 6);
  assert.deepEqual(
    presence.peers.livesWithin(1_000, 70).map(({ nodeId, isProven }) => [nodeId, isProven]),
    [[OTHER, true]],
  );
});

test('lives are told of once they are past their start', () => {
  const { lives, hear } = setup();

  hear({ stage: 'starting' }, OTHER, 9);
  hear({ stage: 'running' }, OTHER, 8);

  assert.deepEqual(lives, [[OTHER, 8]]);
});

test('after it is closed nothing is said or heard', () => {
  const { clock, said, presence, hear } = setup();
  said.length = 0;

  presence.close();
  hear({});
  presence.become({ stage: 'running' });
  clock.advance(10_000);

  assert.deepEqual(said, []);
  assert.equal(clock.pending, 0);
});

test('rubbish in the hall changes nothing', () => {
  const { clock, said, presence, hearBytes } = setup();
  presence.become({ stage: 'running' });
  said.length = 0;

  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => hearBytes(bytes)),
    { seed: 20261125, numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.json(), (json) => hearBytes(encodeFrame({ type: 'here', ...(JSON.parse(json) as object) }))),
    { seed: 20261125, numRuns: 500 },
  );
  clock.advance(500);

  assert.deepEqual(said, []);
  assert.deepEqual(presence.peers.livesWithin(1_000_000, 500), []);
});

test('a word with any one field spoilt is not understood', () => {
  const whole = { ...HERE, clusterUuid: CLUSTER, voters: [OTHER], voterNames: ['s2'] };
  assert.deepEqual(decodeHere(encodeHere(whole)), { type: 'here', ...whole });
  const spoilt: Record<keyof Here, readonly unknown[]> = {
    life: ['x', 1, null],
    name: ['', 'S1', 's 1', 'a'.repeat(64), 1, 's1\u001b[2J'],
    isServer: [1, null],
    stage: ['stopped', null],
    asks: ['no', null],
    clusterUuid: ['', 'C'.repeat(32), 7],
    voters: [[], [OTHER, OWN], [OTHER, OTHER], ['x'], 'x', {}],
    learners: [[OTHER, OWN], ['x'], 'x', {}],
    membershipIndex: [-1, 1.5, '7', null],
    voterNames: [['s2', 's3'], [1], 's2', ['S2']],
    expect: [0, 1.5, '3', -1],
    promise: [{}, { clusterUuid: CLUSTER, voters: [OTHER], proposer: OWN }, 'x'],
    answers: [[{}], [{ nodeId: OWN, life: LIFE, known: -1 }], {}, Array(ANSWERS_MAX + 1).fill(null)],
  };

  for (const [field, values] of Object.entries(spoilt)) {
    for (const value of values) {
      const body = encodeFrame({ type: 'here', ...whole, [field]: value });
      assert.equal(decodeHere(body), undefined, `${field}: ${JSON.stringify(value)}`);
    }
    // A word of an earlier build, which knew of no learners.
    if (field === 'learners' || field === 'membershipIndex') continue;
    const { [field as keyof Here]: _, ...rest } = whole;
    assert.equal(decodeHere(encodeFrame({ type: 'here', ...rest })), undefined, `no ${field}`);
  }
});

test('peers are remembered up to a bound; the one that was silent longest goes', () => {
  const peers = new Peers();
  const peer = (number: number, here: Partial<Here>): Peer => ({
    nodeId: idOf(number),
    boot: 1,
    heardMs: number,
    isProven: false,
    here: { ...HERE, life: idOf(number), ...here },
  });

  for (let number = 0; number <= PEERS_MAX; number += 1) {
    if (number === 10) peers.hear(peer(0, { stage: 'running' }));
    peers.hear(peer(number, { stage: 'running' }));
    peers.hear(peer(number + 100_000, {}));
  }

  assert.equal(peers.get(idOf(1)), undefined);
  assert.notEqual(peers.get(idOf(0)), undefined);
  assert.equal(peers.livesWithin(1e9, 0).length, PEERS_MAX + STARTING_MAX);
});

test('a life that starts hides none that runs, and an older one comes too late', () => {
  const peers = new Peers();
  const peer = (boot: number, stage: Here['stage'], isProven = false): Peer => ({
    nodeId: OTHER,
    boot,
    heardMs: 0,
    isProven,
    here: { ...HERE, life: idOf(boot), stage },
  });
  peers.hear(peer(2, 'running', true));

  peers.hear(peer(3, 'starting'));
  peers.hear(peer(1, 'running'));
  peers.hear(peer(2, 'running'));

  assert.deepEqual(
    peers.heardWithin(0, 0).map(({ boot, isProven }) => [boot, isProven]),
    [[2, true]],
  );
  assert.deepEqual(
    peers.livesWithin(0, 0).map(({ boot }) => boot),
    [2, 3],
  );
  peers.hear(peer(3, 'running'));
  assert.equal(peers.get(OTHER)?.boot, 3);
});
