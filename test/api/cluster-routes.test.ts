/** The servers of the cluster, and consistent reads, at the door. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '../../src/base/errors.ts';
import { statusOf } from '../dispatcher/membership-status.ts';
import { at, setup } from './http-door.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const C = 'c'.repeat(32);
const D = 'd'.repeat(32);

function cluster() {
  const world = setup();
  world.backend.knownServers = {
    known: [
      { node: A, name: 's1' },
      { node: B, name: 's2' },
      { node: C, name: 's3' },
    ],
    waiting: [{ node: D, name: 's4' }],
  };
  const status = statusOf([B, C], { node: C, isActive: false, matchIndex: 12 });
  const configuration = {
    voters: [A, B, C],
    outgoing: [],
    learners: [{ node: D, becomesVoter: true, replaces: C }],
  };
  const answer = { type: 'done', status: { ...status, leader: A, configuration }, leader: A } as const;
  world.backend.membershipAnswer = answer;
  return { ...world, answer };
}

test('the status shows each server with its role and how far it is, and who waits', async () => {
  const { call } = cluster();

  const { status, json } = await call('GET', '/v1/cluster');

  assert.equal(status, 200);
  assert.equal(at(json, 'leader'), 's1');
  assert.equal(at(json, 'settled'), false);
  assert.deepEqual(at(json, 'servers.0'), {
    name: 's1',
    node: A,
    role: 'voter',
    replaces: null,
    is_leader: true,
    alive: true,
    match_index: 20,
    replication: 'leader',
    wounded: false,
  });
  assert.equal(at(json, 'servers.2.alive'), false);
  assert.equal(at(json, 'servers.2.match_index'), 12);
  assert.equal(at(json, 'servers.3.role'), 'joining');
  assert.equal(at(json, 'servers.3.replaces'), 's3');
  assert.deepEqual(at(json, 'waiting'), []);
});

const REQUESTS = [
  ['POST', '/v1/cluster/servers/s4', { type: 'add', node: D, becomesVoter: true, replaces: null }],
  ['POST', '/v1/cluster/servers/s4?learner=true', { type: 'add', node: D, becomesVoter: false, replaces: null }],
  ['POST', '/v1/cluster/servers/s3/replace?with=s4', { type: 'add', node: D, becomesVoter: true, replaces: C }],
  ['POST', '/v1/cluster/servers/s2/promote', { type: 'promote', node: B }],
  ['DELETE', '/v1/cluster/servers/s2', { type: 'remove', node: B }],
  [`DELETE`, `/v1/cluster/servers/${C.slice(0, 8)}`, { type: 'remove', node: C }],
] as const;

for (const [method, url, change] of REQUESTS) {
  test(`${method} ${url} asks for what it says, servers by their ids`, async () => {
    const { call, backend } = cluster();

    const { status } = await call(method, url);

    assert.equal(status, 200);
    assert.deepEqual(backend.membershipRequests, [{ type: 'configure', change }]);
  });
}

test('leadership is handed to whom it shall, or to anyone', async () => {
  const { call, backend } = cluster();

  await call('POST', '/v1/cluster/transfer?to=s2');
  await call('POST', '/v1/cluster/transfer');

  assert.deepEqual(backend.membershipRequests, [
    { type: 'transfer', to: B },
    { type: 'transfer', to: null },
  ]);
});

test('a server that nobody knows, or that does not wait, is named with those there are', async () => {
  const { call, backend } = cluster();

  const unknown = await call('DELETE', '/v1/cluster/servers/s9');
  const waiting = await call('POST', '/v1/cluster/servers/s9');

  assert.deepEqual([unknown.status, waiting.status], [404, 404]);
  assert.match(
    String(at(unknown.json, 'detail')),
    /'s9' is no server of this cluster \(the cluster has: s1 aaaaaaaa, /,
  );
  assert.match(String(at(waiting.json, 'detail')), /'s9' does not wait .* empty .* \(waiting now: s4 dddddddd\)/);
  assert.deepEqual(backend.membershipRequests, []);
});

test('two servers of one name are told apart by their ids', async () => {
  const { call, backend } = cluster();
  backend.knownServers = {
    ...backend.knownServers,
    known: [
      { node: A, name: 's1' },
      { node: B, name: 's1' },
    ],
  };

  const refused = await call('DELETE', '/v1/cluster/servers/s1');
  await call('DELETE', `/v1/cluster/servers/${B.slice(0, 8)}`);

  assert.equal(refused.status, 409);
  assert.match(
    String(at(refused.json, 'detail')),
    /2 servers are called 's1': use the id of one \(s1 aaaaaaaa, s1 bbb/,
  );
  assert.equal(backend.membershipRequests.length, 1);
});

test('refusals of the leader keep their code', async () => {
  const { call, backend } = cluster();
  const codes = [
    ['conflict', 409],
    ['no-leader', 503],
    ['outcome-unknown', 504],
  ] as const;

  for (const [code, status] of codes) {
    backend.membershipAnswer = { type: 'failed', code, message: 'because' };
    const reply = await call('DELETE', '/v1/cluster/servers/s2');
    assert.equal(reply.status, status);
    assert.equal(at(reply.json, 'code'), code);
  }
});

test('a consistent read waits for what was acknowledged anywhere, once; others do not', async () => {
  const { call, backend } = setup();

  await call('GET', '/v1/jobs');
  await call('GET', '/v1/jobs?consistent=false');
  assert.equal(backend.catchUps, 0);
  await call('GET', '/v1/jobs?consistent=true');
  await call('GET', '/v1/jobs/tick?consistent=true');

  assert.equal(backend.catchUps, 2);
});

test('where nobody can say what the newest state is, a consistent read is refused and not answered from an old one', async () => {
  const { call, backend } = setup();
  backend.catchUpFailure = new CodedError('no-leader', 'no leader confirms it');

  const reply = await call('GET', '/v1/jobs?consistent=true');
  const wrong = await call('GET', '/v1/jobs?consistent=maybe');

  assert.equal(reply.status, 503);
  assert.equal(wrong.status, 400);
  assert.equal(at(wrong.json, 'errors.0.field'), 'consistent');
});

test('a name that the cluster has already is not added again: a lost server is replaced', async () => {
  const { call, backend } = cluster();
  backend.knownServers = { ...backend.knownServers, waiting: [{ node: D, name: 's2' }] };

  const lost = await call('POST', '/v1/cluster/servers/s2');
  const there = await call('POST', '/v1/cluster/servers/s1');

  assert.deepEqual([lost.status, there.status], [409, 409]);
  assert.match(String(at(lost.json, 'detail')), /carillon cluster replace s2$/);
  assert.match(String(at(there.json, 'detail')), /'s1' is a server of this cluster already \(aaaaaaaa\)/);
  assert.deepEqual(backend.membershipRequests, []);
});
