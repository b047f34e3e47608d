import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Identity } from '../../src/cluster/identity.ts';
import type { Peer } from '../../src/cluster/presence-peers.ts';
import { judgeRunning, judgeStart, type Standing } from '../../src/cluster/presence-rules.ts';
import type { Here } from '../../src/cluster/presence-word.ts';

const OWN = '5'.repeat(32);
const LOWER = '1'.repeat(32);
const HIGHER = '9'.repeat(32);
const CLUSTER = 'c'.repeat(32);
const FOREIGN = 'd'.repeat(32);
const LIFE = '5'.repeat(32);

const IDENTITY: Identity = {
  nodeId: OWN,
  clusterUuid: CLUSTER,
  voters: [OWN],
  promise: null,
  clusterName: 'demo',
  nodeName: 's1',
  boot: 4,
};

function standing(stage: Standing['stage'], change: Partial<Standing & Identity> = {}): Standing {
  const { clusterUuid = CLUSTER, isServer = true, knownBoot = 0 } = change;
  return { identity: { ...IDENTITY, clusterUuid }, isServer, life: LIFE, stage, knownBoot };
}

function peer(nodeId: string, here: Partial<Here>, others: Partial<Peer> = {}): Peer {
  return {
    nodeId,
    boot: 1,
    heardMs: 0,
    isProven: true,
    here: {
      life: '7'.repeat(32),
      name: 's2',
      isServer: true,
      stage: 'running',
      asks: false,
      clusterUuid: CLUSTER,
      voters: [OWN],
      learners: [],
      membershipIndex: 0,
      voterNames: ['s1'],
      expect: null,
      promise: null,
      answers: [],
      ...here,
    },
    ...others,
  };
}

interface StartCase {
  readonly title: string;
  readonly self: Standing;
  readonly lives: readonly Peer[];
  /** Nothing: it may go on. */
  readonly refused?: readonly [code: string, text: RegExp];
}

const TWIN = /^node s1 \(55555555\) is alive in another process \(boot 3, this one is boot 4\): stop that process/;
const TAKEN =
  /^the name s1 is taken in cluster demo: node s1 \(99999999\) is alive in boot 1, this is node s1 \(55555555\)/;
const TWO = /^two clusters are called demo: this node belongs to cccccccc, server s2 \(99999999\) to dddddddd; /;

const START_CASES: readonly StartCase[] = [
  { title: 'starts beside other nodes', self: standing('starting'), lives: [peer(HIGHER, {})] },
  {
    title: 'is refused while an older life of it runs',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1' }, { boot: 3 })],
    refused: ['foreign-directory', TWIN],
  },
  {
    title: 'does not mind the last words of its older life',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1' }, { boot: 3, isProven: false })],
  },
  {
    title: 'is refused while a newer life of it runs',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1' }, { boot: 9 })],
    refused: ['foreign-directory', /boot 9, this one is boot 4/],
  },
  {
    title: 'is refused while a copy of it runs in the same boot, which needs no proof',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1' }, { boot: 4, isProven: false })],
    refused: ['foreign-directory', /is alive in another process \(boot 4, this one is boot 4\)/],
  },
  {
    title: 'stays where it is when an earlier life of it starts',
    self: standing('forming', { clusterUuid: null }),
    lives: [peer(OWN, { name: 's1', stage: 'starting', clusterUuid: null }, { boot: 3 })],
  },
  {
    title: 'of two lives that start the older boot gives way',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1', stage: 'starting' }, { boot: 5 })],
    refused: ['foreign-directory', /boot 5/],
  },
  {
    title: 'of two copies that start in one boot this one stays, having the lower life',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1', stage: 'starting' }, { boot: 4 })],
  },
  {
    title: 'of two copies that start in one boot this one gives way, having the higher life',
    self: standing('starting'),
    lives: [peer(OWN, { name: 's1', stage: 'starting', life: '3'.repeat(32) }, { boot: 4 })],
    refused: ['foreign-directory', /boot 4/],
  },
  {
    title: 'is refused if it was heard in a later boot',
    self: standing('starting', { knownBoot: 6 }),
    lives: [],
    refused: ['directory-unusable', /heard in boot 6, and its directory says boot 4: it is a copy or was rolled back/],
  },
  {
    title: 'is refused if it was heard in its very boot before it had started',
    self: standing('starting', { knownBoot: 4 }),
    lives: [],
    refused: ['directory-unusable', /boot 4/],
  },
  { title: 'was heard in its own boot once it has started', self: standing('forming', { knownBoot: 4 }), lives: [] },
  {
    title: 'is refused while another cluster of the name lives',
    self: standing('starting'),
    lives: [peer(HIGHER, { clusterUuid: FOREIGN })],
    refused: ['foreign-directory', TWO],
  },
  {
    title: 'does not mind the last words of another cluster',
    self: standing('starting'),
    lives: [peer(HIGHER, { clusterUuid: FOREIGN }, { isProven: false })],
  },
  {
    title: 'does not mind an agent that another cluster left behind',
    self: standing('starting'),
    lives: [peer(HIGHER, { clusterUuid: FOREIGN, isServer: false })],
  },
  {
    title: 'which is an agent is told how to join the other cluster',
    self: standing('starting', { isServer: false }),
    lives: [peer(HIGHER, { clusterUuid: FOREIGN })],
    refused: ['foreign-directory', /start this agent with an empty directory to join the other$/],
  },
  {
    title: 'is refused while another node has its name',
    self: standing('starting'),
    lives: [peer(HIGHER, { name: 's1' })],
    refused: ['foreign-directory', TAKEN],
  },
  {
    title: 'does not mind the last words of another node with its name',
    self: standing('starting'),
    lives: [peer(HIGHER, { name: 's1' }, { isProven: false })],
  },
  {
    title: 'of two that start with one name the higher nodeId gives way',
    self: standing('starting'),
    lives: [peer(LOWER, { name: 's1', stage: 'starting' })],
    refused: ['foreign-directory', /the name s1 is taken/],
  },
  {
    title: 'of two that start with one name the lower nodeId stays',
    self: standing('starting'),
    lives: [peer(HIGHER, { name: 's1', stage: 'starting' })],
  },
  {
    title: 'a member stays beside a fresh node with its name',
    self: standing('starting'),
    lives: [peer(LOWER, { name: 's1', stage: 'starting', clusterUuid: null })],
  },
  {
    title: 'a fresh node gives way to a member with its name',
    self: standing('starting', { clusterUuid: null }),
    lives: [peer(HIGHER, { name: 's1', stage: 'starting' })],
    refused: ['foreign-directory', TAKEN],
  },
];

for (const { title, self, lives, refused } of START_CASES) {
  test(`a life ${title}`, () => {
    const refusal = judgeStart(self, lives);

    assert.equal(refusal?.code, refused?.[0]);
    if (refused !== undefined) assert.match(refusal?.message ?? '', refused[1]);
  });
}

const RUNNING_CASES: readonly { title: string; other: Peer; type?: string; text?: RegExp }[] = [
  { title: 'lives beside other nodes', other: peer(HIGHER, {}) },
  {
    title: 'stops for a newer life that runs',
    other: peer(OWN, { name: 's1' }, { boot: 5 }),
    type: 'replaced',
    text: /runs in boot 5 by now, this is boot 4: it stops/,
  },
  {
    title: 'stops for a copy that runs in the same boot',
    other: peer(OWN, { name: 's1' }, { boot: 4 }),
    type: 'replaced',
    text: /runs twice in boot 4, from copies of one directory: both stop/,
  },
  {
    title: 'does not stop for a newer life that starts',
    other: peer(OWN, { name: 's1', stage: 'starting' }, { boot: 5 }),
  },
  { title: 'lets an older life find out by itself', other: peer(OWN, { name: 's1' }, { boot: 3 }) },
  {
    title: 'says that there is a second cluster',
    other: peer(HIGHER, { clusterUuid: FOREIGN }),
    type: 'conflict',
    text: TWO,
  },
  { title: 'leaves an agent of another cluster alone', other: peer(HIGHER, { clusterUuid: FOREIGN, isServer: false }) },
  {
    title: 'says that another node runs with its name',
    other: peer(HIGHER, { name: 's1', isServer: false }),
    type: 'conflict',
    text: /^the name s1 is taken .*; stop one of them$/,
  },
  {
    title: 'waits until another node with its name is refused',
    other: peer(HIGHER, { name: 's1', stage: 'starting' }),
  },
];

for (const { title, other, type, text } of RUNNING_CASES) {
  test(`a life that runs ${title}`, () => {
    const collision = judgeRunning(standing('running'), other);

    assert.equal(collision?.type, type);
    if (text !== undefined) assert.match(collision?.message ?? '', text);
  });
}
