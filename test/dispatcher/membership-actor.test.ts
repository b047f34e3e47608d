import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActorRef } from '../../src/actors/actor.ts';
import {
  createMembershipActor,
  type MembershipAnswer,
  type MembershipForward,
  type MembershipMessage,
  type MembershipRequest,
} from '../../src/dispatcher/membership-actor.ts';
import type { RaftAnswer, RaftRequest, RaftStatus } from '../../src/raft/raft-protocol.ts';
import type { Progress } from '../../src/scheduler/state-actor.ts';
import { RecordingLog, setup } from '../actors/harness.ts';
import { statusOf } from './membership-status.ts';

const REMOVE_C: MembershipRequest = { type: 'configure', change: { type: 'remove', node: 'c' } };

function progress(leader: string | null, isReady = true): Progress {
  return {
    type: 'progress',
    commitIndex: 0,
    appliedIndex: 0,
    storedIndex: 0,
    loggedMs: 0,
    role: 'follower',
    isReady,
    term: 3,
    leader,
    storageName: 'state',
  };
}

/** The actor of server `a`, with a raft that answers as `raftAnswers` says. */
function world(options: { readonly removeGoneAfterMs?: number } = {}) {
  const log = new RecordingLog();
  const harness = setup({ log });
  const asked: RaftRequest[] = [];
  const sent: { readonly to: string; readonly message: MembershipForward }[] = [];
  const answers: MembershipAnswer[] = [];
  const here = {
    status: statusOf(['a', 'b', 'c']) as RaftStatus,
    configured: { type: 'configured', index: 21, term: 3 } as RaftAnswer,
    transferred: { type: 'transferred', leader: 'b' } as RaftAnswer,
    /** Changes are those of `REMOVE_C`. */
    takesEffect: true,
  };
  const raft: ActorRef<RaftRequest, RaftAnswer> = harness.system.spawn<RaftRequest, RaftAnswer>({
    name: 'raft',
    supervision: { type: 'stop-process' },
    create: () => ({
      receive(message, reply) {
        asked.push(message);
        if (message.type === 'status') reply(here.status);
        if (message.type === 'configure') {
          if (here.takesEffect) here.status = statusOf(['a', 'b']);
          reply(here.configured);
        }
        if (message.type === 'transfer') reply(here.transferred);
      },
    }),
  });
  const actor = harness.system.spawn<MembershipMessage, MembershipAnswer>({
    name: 'membership',
    supervision: { type: 'stop-process' },
    create: createMembershipActor({
      node: 'a',
      raft,
      toServer: (to, message) => sent.push({ to, message }),
      nameOf: (node) => node.toUpperCase(),
      removeGoneAfterMs: options.removeGoneAfterMs ?? 0,
    }),
  });
  const tell = (message: MembershipMessage) => {
    actor.send(message);
    harness.settle();
  };
  const ask = (request: MembershipRequest) => {
    actor.ask({ type: 'request', request }, 60_000, (outcome) => {
      if (outcome.type === 'answer') answers.push(outcome.answer);
    });
    harness.settle();
  };
  return { ...harness, log, asked, sent, answers, here, tell, ask };
}

test('a leader judges a change, asks raft for it, and answers once it is committed', () => {
  const { tell, ask, asked, answers, here, advance } = world();
  tell(progress('a'));
  here.takesEffect = false;
  here.status = { ...here.status, isConfigurationCommitted: false };

  ask(REMOVE_C);
  advance(200);
  assert.equal(answers.length, 0);
  here.status = statusOf(['a', 'b']);
  advance(50);

  assert.deepEqual(
    asked.filter(({ type }) => type === 'configure'),
    [{ type: 'configure', change: { type: 'remove', node: 'c' } }],
  );
  assert.deepEqual(answers, [{ type: 'done', status: here.status, leader: 'a' }]);
});

test('a change that is not committed in time is unknown', () => {
  const { tell, ask, answers, here, advance } = world();
  tell(progress('a'));
  here.takesEffect = false;
  here.status = { ...here.status, isConfigurationCommitted: false };

  ask(REMOVE_C);
  advance(6_000);

  assert.equal(answers[0]?.type === 'failed' && answers[0].code, 'outcome-unknown');
});

test('what would leave a cluster that cannot decide is refused', () => {
  const { tell, ask, asked, answers, here } = world();
  tell(progress('a'));
  here.status = statusOf(['a', 'b', 'c'], { node: 'b', isActive: false });

  ask(REMOVE_C);

  assert.equal(answers[0]?.type === 'failed' && answers[0].code, 'conflict');
  assert(!asked.some(({ type }) => type === 'configure'));
});

test('a change that was taken and then rolled back is not said to be done', () => {
  const { tell, ask, answers, advance, here } = world();
  tell(progress('a'));
  here.takesEffect = false;

  // The configuration in force still has the server: another leader wrote over the change.
  ask(REMOVE_C);
  advance(6_000);

  assert.equal(answers[0]?.type === 'failed' && answers[0].code, 'outcome-unknown');
});

test('a leader that removes itself asks the next one how the others are', () => {
  const { tell, ask, answers, sent, here } = world();
  tell(progress('a'));
  here.takesEffect = false;
  here.status = { ...statusOf(['b', 'c']), role: 'follower', leader: 'b' };

  ask({ type: 'configure', change: { type: 'remove', node: 'a' } });

  assert.deepEqual(answers, []);
  assert.deepEqual(
    sent.map(({ to, message }) => [to, message.type === 'membership-request' && message.request.type]),
    [['b', 'status']],
  );
});

test('without a leader a question is answered with what this server knows', () => {
  const { ask, answers, here } = world();
  here.status = { ...here.status, role: 'follower', leader: null };

  ask({ type: 'status' });

  assert.deepEqual(answers, [{ type: 'done', status: here.status, leader: null }]);
});

test('a transfer to a server that is not heard costs nobody the leader; to the leader itself it is done', () => {
  const { tell, ask, asked, answers, here } = world();
  tell(progress('a'));
  here.status = statusOf(['a', 'b', 'c'], { node: 'b', isActive: false });

  ask({ type: 'transfer', to: 'b' });
  ask({ type: 'transfer', to: 'a' });

  assert.match(answers[0]?.type === 'failed' ? answers[0].message : '', /^B is not heard by the leader/);
  assert.equal(answers[1]?.type, 'done');
  assert(!asked.some(({ type }) => type === 'transfer'));
});

test('what raft refuses is said in its words', () => {
  const { tell, ask, answers, here } = world();
  tell(progress('a'));
  here.configured = { type: 'configure-refused', code: 'conflict', leader: 'a', message: 'a change is under way' };

  ask(REMOVE_C);

  assert.deepEqual(answers, [{ type: 'failed', code: 'conflict', message: 'a change is under way' }]);
});

test('a follower hands the request to the leader and its answer to the caller', () => {
  const { tell, ask, sent, answers, here } = world();
  tell(progress('b'));

  ask({ type: 'status' });
  const [{ to, message } = { to: '', message: undefined }] = sent;
  assert(message?.type === 'membership-request');
  const answer = { type: 'done', status: here.status, leader: 'b' } as const;
  tell({ type: 'forwarded', from: 'b', message: { type: 'membership-answer', id: message.id, answer } });

  assert.equal(to, 'b');
  assert.deepEqual(answers, [answer]);
});

test('a leader carries out what others hand to it; who does not lead says so', () => {
  const { tell, sent } = world();
  const message = { type: 'membership-request', id: 7, request: REMOVE_C } as const;

  tell({ type: 'forwarded', from: 'b', message });
  tell(progress('a'));
  tell({ type: 'forwarded', from: 'b', message: { ...message, id: 8 } });

  const heard = sent.map(({ to, message: { id, ...rest } }) => [
    to,
    id,
    rest.type === 'membership-answer' && rest.answer.type === 'failed' ? rest.answer.code : 'done',
  ]);
  assert.deepEqual(heard, [
    ['b', 7, 'no-leader'],
    ['b', 8, 'done'],
  ]);
});

test('a request waits for a leader, and not for ever', () => {
  const { tell, ask, answers, advance } = world();

  ask(REMOVE_C);
  advance(4_900);
  assert.equal(answers.length, 0);
  tell(progress('a'));
  assert.equal(answers[0]?.type, 'done');

  tell(progress(null));
  ask(REMOVE_C);
  advance(5_000);
  assert.equal(answers[1]?.type === 'failed' && answers[1].code, 'no-leader');
});

test('a request that was handed on and not answered is unknown; a question gets what this server knows', () => {
  const { tell, ask, answers, advance } = world();
  tell(progress('b'));

  ask(REMOVE_C);
  ask({ type: 'status' });
  advance(8_000);

  const codes = answers.map((answer) => (answer.type === 'failed' ? answer.code : answer.type));
  assert.deepEqual(codes, ['outcome-unknown', 'done']);
});

test('leadership goes to whom it shall, or the failure is told', () => {
  const { tell, ask, answers, asked, here } = world();
  tell(progress('a'));

  ask({ type: 'transfer', to: 'b' });
  here.transferred = { type: 'transferred', leader: 'c' };
  ask({ type: 'transfer', to: 'b' });
  here.transferred = { type: 'transferred', leader: null };
  ask({ type: 'transfer', to: null });

  assert.deepEqual(
    asked.filter(({ type }) => type === 'transfer'),
    [{ type: 'transfer', to: 'b' }, { type: 'transfer', to: 'b' }, { type: 'transfer' }],
  );
  assert.equal(answers[0]?.type, 'done');
  assert.match(answers[1]?.type === 'failed' ? answers[1].message : '', /^C leads now/);
  assert.match(answers[2]?.type === 'failed' ? answers[2].message : '', /no other server took over/);
});

test('a server that is gone for longer than the setting allows is removed by the leader, who says so', () => {
  const { tell, asked, here, advance, log, metrics } = world({ removeGoneAfterMs: 30_000 });
  here.status = statusOf(['a', 'b', 'c', 'd'], { node: 'd', isActive: false });
  tell(progress('a'));

  advance(29_000);
  assert(!asked.some(({ type }) => type === 'configure'));
  advance(3_000);

  assert.deepEqual(
    asked.find(({ type }) => type === 'configure'),
    { type: 'configure', change: { type: 'remove', node: 'd' } },
  );
  assert.match(log.lines[0]?.message ?? '', /a server that was gone is removed/);
  assert((metrics.values.get('carillon_servers_removed_total{}') ?? 0) >= 1);
});

test('where the others could not do without it, it is kept and that is said; without the setting nothing is looked at', () => {
  const kept = world({ removeGoneAfterMs: 30_000 });
  kept.here.status = statusOf(['a', 'b', 'c'], { node: 'c', isActive: false });
  kept.tell(progress('a'));
  kept.advance(60_000);
  const idle = world();
  idle.tell(progress('a'));
  idle.advance(60_000);

  assert(!kept.asked.some(({ type }) => type === 'configure'));
  assert.match(kept.log.lines[0]?.message ?? '', /server C is gone and is not removed: only 2 servers/);
  assert.deepEqual(idle.asked, []);
});
