import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Decision, decideAgent, decideServer, type FormationView } from '../../src/cluster/formation-rules.ts';
import type { GenesisPromise } from '../../src/cluster/identity.ts';
import type { Peer } from '../../src/cluster/presence-peers.ts';
import type { Here } from '../../src/cluster/presence-word.ts';

/** Nodes are called by their number; the id of a lower number is lower. */
const idOf = (number: number): string => `${number}`.repeat(32);
const OLD = 'a'.repeat(32);
const NEW = 'b'.repeat(32);

function promiseOf(voters: readonly number[], clusterUuid = OLD): GenesisPromise {
  return { clusterUuid, voters: voters.map(idOf), proposer: idOf(Math.min(...voters)) };
}

function peer(number: number, here: Partial<Here> = {}, others: Partial<Peer> = {}): Peer {
  return {
    nodeId: idOf(number),
    boot: 1,
    heardMs: 100_000,
    isProven: true,
    here: {
      life: `${number}`.repeat(32),
      name: `s${number}`,
      isServer: true,
      stage: 'forming',
      asks: true,
      clusterUuid: null,
      voters: null,
      learners: [],
      membershipIndex: 0,
      voterNames: [],
      expect: 3,
      promise: null,
      answers: [],
      ...here,
    },
    ...others,
  };
}

function member(number: number, voters: readonly number[], here: Partial<Here> = {}, others: Partial<Peer> = {}): Peer {
  const voterNames = voters.map((voter) => `s${voter}`);
  const shared = { stage: 'running', clusterUuid: NEW, voters: voters.map(idOf), voterNames } as const;
  return peer(number, { ...shared, ...here }, others);
}

interface Case {
  readonly title: string;
  /** Which server decides; default 1. */
  readonly self?: number;
  readonly name?: string;
  readonly expect?: number | null;
  readonly promise?: GenesisPromise;
  readonly peers: readonly Peer[];
  /** Heard once, not lately. */
  readonly gone?: readonly Peer[];
  readonly settledMs?: number;
  readonly expected: Decision | RegExp;
  readonly needsHelp?: boolean;
}

function decide({
  self = 1,
  name = `s${self}`,
  expect = 3,
  promise,
  peers,
  gone = [],
  settledMs = 500,
}: Case): Decision {
  const view: FormationView = {
    nodeId: idOf(self),
    name,
    clusterName: 'demo',
    promise: promise ?? null,
    expect,
    directory: 'DIR',
    peers,
    lastOf: (nodeId) => [...peers, ...gone].find((other) => other.nodeId === nodeId),
    settledMs,
    nowMs: 100_000,
    sinceMs: 50_000,
  };
  return decideServer(view);
}

const TRIO = [1, 2, 3];
const ALL_THREE = { type: 'propose', voters: TRIO.map(idOf) } as const;

const CASES: readonly Case[] = [
  { title: 'the lowest of exactly three proposes', peers: [peer(3), peer(2)], expected: ALL_THREE },
  {
    title: 'a higher one waits for the lowest',
    self: 2,
    peers: [peer(1), peer(3)],
    expected: /all of 3 servers are here/,
  },
  {
    title: 'nobody proposes before the set has settled',
    peers: [peer(2), peer(3)],
    settledMs: 499,
    expected: /all of 3/,
  },
  {
    title: 'a server that still starts may be refused, so it is waited for',
    peers: [peer(2), peer(3, { stage: 'starting' })],
    expected: /all of 3/,
  },
  { title: 'too few wait', peers: [peer(2)], expected: /^2 of 3 servers wait \(s1, s2\)$/ },
  { title: 'agents do not count', peers: [peer(2), peer(3, { isServer: false, expect: null })], expected: /^2 of 3/ },
  {
    title: 'too many wait, and say what to do',
    peers: [peer(2), peer(3), peer(4)],
    needsHelp: true,
    expected: /^4 servers wait \(s1, s2, s3, s4\), --bootstrap-expect says 3: stop 1 of them or start all with 4$/,
  },
  {
    title: 'different numbers wait, and say what to do',
    peers: [peer(2, { expect: 2 }), peer(3)],
    needsHelp: true,
    expected: /^--bootstrap-expect differs: s1 says 3, s2 2; start all with one number$/,
  },
  {
    title: 'a server that expects itself only proposes at once',
    expect: 1,
    peers: [],
    settledMs: 0,
    expected: { type: 'propose', voters: [idOf(1)] },
  },
  {
    title: 'a server that expects itself only founds nothing beside another fresh one',
    expect: 1,
    peers: [peer(2, { expect: 1, stage: 'starting' })],
    needsHelp: true,
    expected: /^2 servers wait \(s1, s2\), --bootstrap-expect says 1: stop 1/,
  },
  {
    title: 'a server that was told no number founds none',
    expect: null,
    peers: [peer(2), peer(3)],
    expected: /^waits for a cluster that takes it; to found one, start with --bootstrap-expect$/,
  },
  {
    title: 'a server that was told no number does not count',
    peers: [peer(2), peer(3), peer(4, { expect: null })],
    expected: ALL_THREE,
  },

  {
    title: 'a voter promises to a proposal that names it',
    self: 2,
    peers: [peer(1, { promise: promiseOf(TRIO) }), peer(3)],
    expected: { type: 'promise', promise: promiseOf(TRIO) },
  },
  {
    title: 'a voter promises though a fourth has come: its proposal is under way',
    self: 2,
    peers: [peer(1, { promise: promiseOf(TRIO) }), peer(3), peer(4)],
    expected: { type: 'promise', promise: promiseOf(TRIO) },
  },
  {
    title: 'a proposal that does not name this server is not promised to',
    self: 4,
    peers: [peer(1, { promise: promiseOf(TRIO) }), peer(2), peer(3)],
    needsHelp: true,
    expected: /^4 servers wait/,
  },
  {
    title: 'a proposal for another number of servers is not promised to',
    self: 2,
    expect: 5,
    peers: [peer(1, { promise: promiseOf(TRIO) }), peer(3)],
    needsHelp: true,
    expected: /^--bootstrap-expect differs: s2 says 5, s1 3, s3 3/,
  },
  {
    title: 'the promise of a voter is no proposal',
    self: 3,
    peers: [peer(2, { promise: promiseOf(TRIO) })],
    expected: /^2 of 3/,
  },
  {
    title: 'of two proposals the lower one is promised to',
    self: 3,
    peers: [peer(2, { promise: promiseOf([2, 3, 4], NEW) }), peer(1, { promise: promiseOf(TRIO) })],
    expected: { type: 'promise', promise: promiseOf(TRIO) },
  },
  {
    title: 'a voter follows its proposer to another proposal',
    self: 2,
    promise: promiseOf(TRIO),
    peers: [peer(1, { promise: promiseOf([1, 2, 4], NEW) }), peer(4)],
    expected: { type: 'promise', promise: promiseOf([1, 2, 4], NEW) },
  },
  {
    title: 'a voter stays with a proposer that can still found its cluster, whoever else proposes',
    self: 3,
    promise: promiseOf([2, 3, 4]),
    peers: [
      peer(1, { promise: promiseOf([1, 3, 4], NEW) }),
      peer(2, { promise: promiseOf([2, 3, 4]) }),
      peer(4, { promise: promiseOf([2, 3, 4]) }),
    ],
    expected: /has promised to found a cluster with server s2/,
  },
  {
    title: 'a voter stays with a proposer that is not heard: it may have founded its cluster',
    self: 3,
    promise: promiseOf([2, 3, 4]),
    peers: [peer(1, { promise: promiseOf([1, 3, 4], NEW) }), peer(4)],
    needsHelp: true,
    expected: /^server 22222222, to which this one has promised .* is missing since 50 s: start it\..* empty DIR /,
  },
  {
    title: 'a voter leaves a proposer that gave up, even if it is gone since',
    self: 3,
    promise: promiseOf([2, 3, 4]),
    peers: [peer(1, { promise: promiseOf([1, 3, 4], NEW) }), peer(4)],
    gone: [peer(2, { promise: promiseOf(TRIO) })],
    expected: { type: 'promise', promise: promiseOf([1, 3, 4], NEW) },
  },
  {
    title: 'a voter never leaves for a higher proposer',
    self: 4,
    promise: promiseOf([1, 3, 4]),
    peers: [peer(2, { promise: promiseOf([2, 3, 4], NEW) }), peer(1, { promise: promiseOf([1, 3, 4]) })],
    expected: /has promised to found a cluster with server s1/,
  },
  {
    title: 'a proposer gives up for a lower one that wants it',
    self: 2,
    promise: promiseOf([2, 3, 4]),
    peers: [peer(1, { promise: promiseOf(TRIO, NEW) }), peer(3)],
    expected: { type: 'promise', promise: promiseOf(TRIO, NEW) },
  },

  {
    title: 'a proposer waits for every promise',
    promise: promiseOf(TRIO),
    peers: [peer(2, { promise: promiseOf(TRIO) }), peer(3)],
    expected: /waits for the promise of s3/,
  },
  {
    title: 'promises for an earlier proposal do not count',
    promise: promiseOf(TRIO, NEW),
    peers: [peer(2, { promise: promiseOf(TRIO, NEW) }), peer(3, { promise: promiseOf(TRIO) })],
    expected: /waits for the promise of s3/,
  },
  {
    title: 'a proposer joins first, with all promises, whoever else has come',
    promise: promiseOf(TRIO),
    peers: [peer(2, { promise: promiseOf(TRIO) }), peer(3, { promise: promiseOf(TRIO) }), peer(4)],
    expected: { type: 'join', clusterUuid: OLD, voters: TRIO.map(idOf) },
  },
  {
    title: 'a proposer whose voter came back with an empty disk proposes anew',
    promise: promiseOf(TRIO),
    peers: [peer(2, { promise: promiseOf(TRIO) }), peer(4, { name: 's3' })],
    expected: { type: 'propose', voters: [1, 2, 4].map(idOf) },
  },
  {
    title: 'nobody proposes to a server that is bound to one that is gone',
    peers: [peer(2), peer(5, { promise: promiseOf([4, 5, 6]) })],
    needsHelp: true,
    expected:
      /^server s5 \(55555555\) has promised .* with 44444444, which is not heard: .* empty the directory of s5$/,
  },

  {
    title: 'a cluster that names this server is joined',
    self: 3,
    promise: promiseOf(TRIO, NEW),
    peers: [member(1, TRIO), peer(2)],
    expected: { type: 'join', clusterUuid: NEW, voters: TRIO.map(idOf) },
  },
  {
    title: 'the voters of the genesis are kept, whoever votes by now',
    self: 3,
    promise: promiseOf(TRIO, NEW),
    peers: [member(1, [1, 3, 5])],
    expected: { type: 'join', clusterUuid: NEW, voters: TRIO.map(idOf) },
  },
  {
    title: 'a cluster that does not name this server can be told to',
    self: 4,
    peers: [member(1, TRIO), member(2, TRIO), member(3, TRIO)],
    needsHelp: true,
    expected: /^cluster demo exists \(3 servers: s1, s2, s3\) and .*: add it by: carillon cluster add s4$/,
  },
  {
    title: 'a server that has promised to found another cluster cannot be added',
    self: 4,
    promise: promiseOf([4, 5, 6]),
    peers: [member(1, TRIO)],
    expected: /^cluster demo exists \(.*\), and .* has promised to found another one: empty the directory/,
  },
  {
    title: 'a server that a cluster has added joins it, and knows that it is no founder',
    self: 4,
    peers: [member(1, TRIO, { learners: [idOf(4)] })],
    expected: { type: 'join', clusterUuid: NEW, voters: TRIO.map(idOf) },
  },
  {
    title: 'one that votes already when it hears of it is no founder either',
    self: 4,
    peers: [member(1, [1, 3, 4])],
    expected: { type: 'join', clusterUuid: NEW, voters: [1, 3].map(idOf) },
  },
  {
    title: 'a server with the name of a voter learns that it needs its directory, and how to replace it',
    self: 4,
    name: 's3',
    peers: [member(1, TRIO)],
    needsHelp: true,
    expected:
      /^cluster demo exists \(3 servers: s1, s2, s3\)\. Its server s3 had another data directory .* lost, run: carillon cluster replace s3$/,
  },
  {
    title: 'where a voter is not known by name, this may be it',
    self: 4,
    peers: [member(1, TRIO, { voterNames: ['s1', 's2', ''] })],
    needsHelp: true,
    expected:
      /s1, s2, one that was not heard \(33333333\)\) .* If it is the one .* Else add it by: carillon cluster add/,
  },
  {
    title: 'a cluster that has not answered yet may be gone; nothing is founded beside it',
    peers: [member(4, [4, 5, 6], {}, { isProven: false }), peer(2), peer(3)],
    expected: /^hears server s4/,
  },
  {
    title: 'a server that starts with a cluster of its own may be refused: it is no cluster yet',
    peers: [member(4, [4, 5, 6], { stage: 'starting' }), peer(2), peer(3)],
    expected: ALL_THREE,
  },
];

for (const example of CASES) {
  test(`genesis: ${example.title}`, () => {
    const decision = decide(example);

    if (example.expected instanceof RegExp) assert.match(textOf(decision), example.expected);
    else assert.deepEqual(decision, example.expected);
    if (decision.type === 'wait') assert.equal(decision.needsHelp, example.needsHelp ?? false);
  });
}

const AGENT_CASES: readonly { title: string; peers: readonly Peer[]; uuid?: string; expected: Decision | RegExp }[] = [
  {
    title: 'waits for its servers',
    peers: [peer(1), peer(2)],
    expected: /waits for .* cluster demo; heard so far: s1, s2$/,
  },
  {
    title: 'joins the cluster that it hears',
    peers: [member(1, TRIO), member(2, TRIO), peer(4)],
    expected: { type: 'join', clusterUuid: NEW, voters: TRIO.map(idOf) },
  },
  {
    title: 'does not join a cluster that did not answer',
    peers: [member(1, TRIO, {}, { isProven: false })],
    expected: /wait/,
  },
  { title: 'believes no other agent', peers: [member(1, TRIO, { isServer: false })], expected: /heard so far: none/ },
  {
    title: 'joins neither of two clusters',
    peers: [member(1, TRIO), member(4, [4], { clusterUuid: OLD })],
    expected: /^two clusters are called demo: server s1 .* server s4 .*; stop one of them$/,
  },
  {
    title: 'that knows its cluster learns its voters from no other',
    peers: [member(1, TRIO), member(4, [4], { clusterUuid: OLD })],
    uuid: OLD,
    expected: { type: 'join', clusterUuid: OLD, voters: [idOf(4)] },
  },
];

for (const { title, peers, uuid = null, expected } of AGENT_CASES) {
  test(`an agent ${title}`, () => {
    const decision = decideAgent(peers, 'demo', uuid);

    if (expected instanceof RegExp) assert.match(textOf(decision), expected);
    else assert.deepEqual(decision, expected);
  });
}

function textOf(decision: Decision): string {
  if (decision.type === 'wait') return decision.message;
  return decision.type === 'refuse' ? decision.refusal.message : JSON.stringify(decision);
}
