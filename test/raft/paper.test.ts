/** One test per sentence of the Raft paper, by its sections; the names follow etcd's list of the same kind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { NO_HINT } from '../../src/raft/replication.ts';
import type { CoreRole, EntryId, LogEntry, LogPoint, Message } from '../../src/raft/types.ts';
import { type CoreNetwork, CoreNode, entriesOf, leaderOf, network, ORIGIN } from './core-node.ts';

const T = 6;

function nodeIn(role: CoreRole): CoreNode {
  if (role === 'leader') return leaderOf();
  const node = new CoreNode('1');
  if (role === 'follower') return node;
  node.raft.campaign();
  node.flush();
  if (role === 'candidate') {
    node.raft.step({ type: 'vote-answer', from: '2', to: '1', term: 1, isPreVote: true, isGranted: true });
    node.flush();
  }
  assert.equal(node.state.role, role);
  return node;
}

function append(from: string, term: number, previous: LogPoint, entries: readonly LogEntry[], commit = 0): Message {
  return { type: 'append', from, to: '1', term, previous, entries, commit };
}

function voteRequest(from: string, term: number, last: EntryId = { index: 0, term: 0 }): Message {
  return { type: 'vote-request', from, to: '1', term, isPreVote: false, last };
}

function accepted(from: string, term: number, index: number): Message {
  return { type: 'append-answer', from, to: '1', term, index, isRejected: false, hint: NO_HINT };
}

function pointOf(entry: LogEntry | undefined): LogPoint {
  return entry === undefined ? ORIGIN : { index: entry.index, term: entry.term, chain: entry.chain };
}

function votesOf(messages: readonly Message[]): Message[] {
  return messages.filter((message) => message.type === 'vote-answer');
}

function answersOf(messages: readonly Message[]) {
  return messages.filter((message) => message.type === 'append-answer');
}

function textsOf(entries: readonly LogEntry[]): string[] {
  return entries.filter((entry) => entry.kind === 'command').map((entry) => Buffer.from(entry.data).toString());
}

// §5.1

for (const role of ['follower', 'candidate', 'leader'] as const) {
  test(`§5.1: a ${role} adopts a higher term from a message and becomes a follower`, () => {
    const node = nodeIn(role);

    node.raft.step(append('2', node.state.term + 1, ORIGIN, []));

    assert.equal(node.state.role, 'follower');
    assert.equal(node.state.leader, '2');
  });
}

test('§5.1: a request of a stale term is ignored, and its sender learns the present term', () => {
  const entries = entriesOf([2]);
  const node = new CoreNode('1', { hardState: { term: 2 } });

  node.raft.step(append('2', 1, ORIGIN, entries));

  assert.equal(node.state.log.lastIndex, 0);
  assert.deepEqual(
    answersOf(node.flush()).map(({ term, isRejected }) => ({ term, isRejected })),
    [{ term: 2, isRejected: true }],
  );
});

// §5.2

test('§5.2: a server starts as a follower', () => {
  assert.equal(new CoreNode('1').state.role, 'follower');
});

test('§5.2: a leader sends heartbeats to all followers in each interval', () => {
  const node = leaderOf();
  node.flush();

  node.tick(1);

  const beats = node.flush().filter((message) => message.type === 'heartbeat');
  assert.deepEqual(
    beats.map(({ to }) => to),
    ['2', '3'],
  );
});

for (const role of ['follower', 'candidate'] as const) {
  test(`§5.2: a ${role} that hears nothing starts an election: next term, own vote, requests to all others`, () => {
    const node = nodeIn(role);
    const before = node.state.term;

    node.tickElection();
    node.flush();
    const isPreVote = true;
    const term = before + 1;
    for (const from of ['2']) {
      node.raft.step({ type: 'vote-answer', from, to: '1', term, isPreVote, isGranted: true });
    }

    assert.equal(node.state.role, 'candidate');
    assert.equal(node.state.term, before + 1);
    const requests = node.flush().filter((message) => message.type === 'vote-request');
    assert.deepEqual(
      requests.map(({ to }) => to),
      ['2', '3'],
    );
    assert.equal(node.state.votes.get('1'), true);
    assert.equal(node.state.vote, '1');
  });
}

test('§5.2: an election of one round is won, lost or open by the votes of 1 to 7 servers', () => {
  const cases: [size: number, granted: number, refused: number, role: CoreRole][] = [
    [1, 0, 0, 'leader'],
    [3, 2, 0, 'leader'],
    [3, 1, 0, 'leader'],
    [5, 4, 0, 'leader'],
    [5, 3, 0, 'leader'],
    [5, 2, 0, 'leader'],
    [7, 3, 3, 'leader'],
    [3, 0, 2, 'follower'],
    [5, 0, 4, 'follower'],
    [5, 1, 3, 'follower'],
    [3, 0, 0, 'candidate'],
    [5, 1, 0, 'candidate'],
    [7, 2, 3, 'candidate'],
  ];
  for (const [size, granted, refused, role] of cases) {
    const voters = Array.from({ length: size }, (_, position) => `${position + 1}`);
    const node = new CoreNode('1', { voters });
    node.raft.campaign();
    node.flush();
    for (const from of voters.slice(1, (size >> 1) + 1)) {
      node.raft.step({ type: 'vote-answer', from, to: '1', term: 1, isPreVote: true, isGranted: true });
    }
    node.flush();

    voters.slice(1, 1 + granted + refused).forEach((from, position) => {
      const isGranted = position < granted;
      node.raft.step({ type: 'vote-answer', from, to: '1', term: 1, isPreVote: false, isGranted });
    });

    assert.equal(node.state.role, role, `${size} servers, ${granted} granted, ${refused} refused`);
    assert.equal(node.state.term, 1);
  }
});

test('§5.2: a server votes for at most one candidate in a term, first come, first served', () => {
  const cases: [vote: string | null, from: string, isGranted: boolean][] = [
    [null, '2', true],
    [null, '3', true],
    ['2', '2', true],
    ['3', '3', true],
    ['2', '3', false],
    ['3', '2', false],
  ];
  for (const [vote, from, isGranted] of cases) {
    const node = new CoreNode('1', { hardState: { term: 1, vote } });

    node.raft.step(voteRequest(from, 1));

    assert.deepEqual(votesOf(node.flush()), [
      { type: 'vote-answer', from: '1', to: from, term: 1, isPreVote: false, isGranted },
    ]);
  }
});

for (const lead of [0, 1]) {
  test(`§5.2: a candidate yields to a leader whose term is ${lead} above its own`, () => {
    const node = nodeIn('candidate');
    const term = node.state.term + lead;

    node.raft.step(append('2', term, ORIGIN, []));

    assert.equal(node.state.role, 'follower');
    assert.equal(node.state.term, term);
  });
}

for (const role of ['follower', 'candidate'] as const) {
  test(`§5.2: the election timeout of a ${role} is random in [T, 2T)`, () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 200; seed += 1) {
      const node = new CoreNode('1', { random: seededRandom(seed) });
      if (role === 'candidate') {
        node.raft.campaign();
        node.flush();
        node.raft.step({ type: 'vote-answer', from: '2', to: '1', term: 1, isPreVote: true, isGranted: true });
        node.flush();
      }
      let ticks = 0;
      const { role: before } = node.state;
      while (node.state.role === before && ticks < 100) {
        node.tick(1);
        ticks += 1;
      }
      seen.add(ticks);
    }
    assert.deepEqual(
      [...seen].sort((left, right) => left - right),
      [T, T + 1, T + 2, T + 3, T + 4, T + 5],
    );
  });

  test(`§5.2: the election timeouts of several servers in state ${role} seldom collide`, () => {
    let collisions = 0;
    for (let round = 0; round < 500; round += 1) {
      const random = seededRandom(round);
      const timeouts = Array.from({ length: 3 }, () => {
        const node = new CoreNode('1', { random });
        if (role === 'candidate') node.state.becomeCandidate();
        return node.state.electionTimeout;
      });
      const first = Math.min(...timeouts);
      if (timeouts.filter((timeout) => timeout === first).length > 1) collisions += 1;
    }
    // By the pigeonhole of six timeouts for three servers about two in five.
    assert(collisions < 250, `${collisions} of 500`);
  });
}

// §5.3

test('§5.3: a leader appends a proposal, sends it with the place before it, and writes it', () => {
  const node = leaderOf();
  network1(node);
  const { index, term } = node.state.log.last;

  node.raft.propose([Buffer.from('some data')]);

  const ready = node.ready();
  assert.deepEqual(
    ready.append?.entries.map((entry) => [entry.index, entry.term]),
    [[index + 1, term]],
  );
  for (const message of ready.messages) {
    assert(message.type === 'append');
    assert.deepEqual([message.previous.index, message.previous.term, message.commit], [index, term, index]);
    assert.deepEqual(textsOf(message.entries), ['some data']);
  }
  assert.deepEqual(
    ready.messages.map(({ to }) => to),
    ['2', '3'],
  );
});

/** Both followers have the no-op. */
function network1(node: CoreNode): void {
  node.flush();
  for (const from of ['2', '3']) node.raft.step(accepted(from, node.state.term, node.state.log.lastIndex));
  node.flush();
}

test('§5.3: an entry on a majority is committed, handed on, and the others are told', () => {
  const node = leaderOf();
  network1(node);
  node.raft.propose([Buffer.from('some data')]);
  node.flush();

  node.raft.step(accepted('2', node.state.term, 2));

  const ready = node.ready();
  assert.deepEqual(textsOf(ready.committed), ['some data']);
  assert(ready.messages.every((message) => message.type === 'append' && message.commit === 2));
});

test('§5.3: an entry is committed only with the acknowledgements of a majority, the leader’s own included', () => {
  const cases: [size: number, acknowledgements: number, isCommitted: boolean][] = [
    [1, 0, true],
    [3, 0, false],
    [3, 1, true],
    [3, 2, true],
    [5, 0, false],
    [5, 1, false],
    [5, 2, true],
    [5, 4, true],
  ];
  for (const [size, acknowledgements, isCommitted] of cases) {
    const voters = Array.from({ length: size }, (_, position) => `${position + 1}`);
    const node = leaderOf({ voters });
    node.raft.propose([Buffer.from('x')]);
    node.flush();

    for (const from of voters.slice(1, 1 + acknowledgements)) node.raft.step(accepted(from, 1, 2));

    assert.equal(node.state.log.committed === 2, isCommitted, `${acknowledgements} of ${size}`);
  }
});

test('§5.3: with an entry all before it are committed, those of earlier leaders too', () => {
  for (const terms of [[], [2], [1, 2], [1]]) {
    const node = leaderOf({ entries: entriesOf(terms), hardState: { term: 2 } });
    node.raft.propose([Buffer.from('some data')]);
    node.flush();

    node.raft.step(accepted('2', 3, terms.length + 2));
    node.flush();

    assert.deepEqual(
      node.applied.map(({ index }) => index),
      [...terms, 0, 0].map((_, position) => position + 1),
    );
  }
});

test('§5.3: a follower hands on what its leader has committed, in order', () => {
  for (const commit of [1, 2, 3, 4]) {
    const entries = entriesOf([1, 1, 1, 1]);
    const node = new CoreNode('1');

    node.raft.step(append('2', 1, ORIGIN, entries, commit));
    node.flush();

    assert.deepEqual(node.applied, entries.slice(0, commit));
  }
});

test('§5.3: a follower without the place before refuses, with a hint where the logs may match', () => {
  const cases: [previous: EntryId, isRejected: boolean, hint: EntryId][] = [
    [{ index: 0, term: 0 }, false, NO_HINT],
    [{ index: 1, term: 1 }, false, NO_HINT],
    [{ index: 2, term: 2 }, false, NO_HINT],
    [{ index: 1, term: 2 }, true, { index: 1, term: 1 }],
    [{ index: 2, term: 1 }, true, { index: 1, term: 1 }],
    [{ index: 3, term: 3 }, true, { index: 2, term: 2 }],
    [{ index: 3, term: 1 }, true, { index: 1, term: 1 }],
  ];
  for (const [previous, isRejected, hint] of cases) {
    const entries = entriesOf([1, 2]);
    const node = new CoreNode('1', { entries });
    const chain = entries[previous.index - 1]?.chain ?? 0;

    node.raft.step(append('2', 2, { ...previous, chain }, []));

    const answer = answersOf(node.flush())[0];
    assert.deepEqual([answer?.index, answer?.isRejected, answer?.hint], [previous.index, isRejected, hint]);
  }
});

test('§5.3: a follower deletes what conflicts and everything after it, and appends what is new', () => {
  const cases: [previous: number, terms: number[], expected: number[], written: number[]][] = [
    [2, [3], [1, 2, 3], [3]],
    [1, [3, 4], [1, 3, 4], [3, 4]],
    [0, [1], [1, 2], []],
    [0, [3], [3], [3]],
  ];
  for (const [index, terms, expected, written] of cases) {
    const own = entriesOf([1, 2]);
    const previous = pointOf(own[index - 1]);
    const node = new CoreNode('1', { entries: own });

    node.raft.step(append('2', 4, previous, entriesOf(terms, index + 1, previous.chain)));

    const ready = node.ready();
    assert.deepEqual(
      ready.append?.entries.map(({ term }) => term),
      written,
    );
    if (ready.append !== null) node.persist(ready.append);
    assert.deepEqual(
      node.log.entries.map(({ term }) => term),
      expected,
    );
  }
});

test('§5.3: a leader brings every log of figure 7 into line with its own', () => {
  const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const logs = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];
  for (const terms of logs) {
    const cluster = network(3, (id) => {
      // The third grants its vote only; the second has the log in question.
      if (id === '1') return { entries: entriesOf(leaderTerms), hardState: { term: 8 } };
      return id === '2' ? { entries: entriesOf(terms) } : {};
    });

    elect(cluster, '1');
    cluster.node('1').raft.propose([Buffer.from('new')]);
    cluster.settle();

    assert.deepEqual(cluster.node('2').log.entries, cluster.node('1').log.entries);
    assert.equal(cluster.node('2').state.log.committed, leaderTerms.length + 2);
  }
});

function elect(cluster: CoreNetwork, id: string): void {
  for (let attempt = 0; attempt < 10 && cluster.node(id).state.role !== 'leader'; attempt += 1) {
    cluster.node(id).raft.campaign();
    cluster.settle();
  }
  assert.equal(cluster.node(id).state.role, 'leader');
}

// §5.4

test('§5.4.1: a vote request says where the candidate’s log ends and goes to all others', () => {
  for (const terms of [[1], [1, 2]]) {
    const node = new CoreNode('1', { entries: entriesOf(terms) });
    const term = node.state.term + 1;
    node.raft.campaign();
    node.flush();
    node.raft.step({ type: 'vote-answer', from: '2', to: '1', term, isPreVote: true, isGranted: true });

    const requests = node.flush().filter((message) => message.type === 'vote-request');

    assert.deepEqual(
      requests.map(({ to }) => to),
      ['2', '3'],
    );
    for (const request of requests) {
      assert.deepEqual(request.last, { index: terms.length, term: terms.at(-1) });
      assert.equal(request.term, term);
    }
  }
});

test('§5.4.1: a voter refuses a candidate whose log is less up-to-date than its own', () => {
  const cases: [terms: number[], last: EntryId, isGranted: boolean][] = [
    [[1], { index: 1, term: 1 }, true],
    [[1], { index: 2, term: 1 }, true],
    [[1, 1], { index: 1, term: 1 }, false],
    [[1], { index: 1, term: 2 }, true],
    [[1], { index: 2, term: 2 }, true],
    [[1, 1], { index: 1, term: 2 }, true],
    [[2], { index: 1, term: 1 }, false],
    [[2], { index: 2, term: 1 }, false],
    [[1, 2], { index: 1, term: 1 }, false],
  ];
  for (const [terms, last, isGranted] of cases) {
    const node = new CoreNode('1', { entries: entriesOf(terms) });

    node.raft.step(voteRequest('2', 3, last));

    assert.deepEqual(
      votesOf(node.flush()).map((message) => message.type === 'vote-answer' && message.isGranted),
      [isGranted],
      `${terms} against ${last.index}/${last.term}`,
    );
  }
});

test('§5.4.2: only entries of the leader’s present term are committed by counting', () => {
  const cases: [acknowledged: number, committed: number][] = [
    [1, 0],
    [2, 0],
    [3, 3],
  ];
  for (const [acknowledged, committed] of cases) {
    const node = leaderOf({ entries: entriesOf([1, 2]), hardState: { term: 2 } });
    node.flush();

    node.raft.step(accepted('2', 3, acknowledged));

    assert.equal(node.state.log.committed, committed);
  }
});
