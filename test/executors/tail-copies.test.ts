import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { TailCopies } from '../../src/executors/tail-copies.ts';

const LIMITS = { resendMs: 2_000, resendMsMax: 30_000 };
const SERVERS = ['s1', 's2', 's3'];
const MANY_BYTES = 1_000_000;

/** What is due now, as `<execution> <server>`. */
function takeAll(tails: TailCopies, nowMs: number, { servers = SERVERS, wanted = 2, bytesMax = MANY_BYTES } = {}) {
  return tails
    .takeDue(nowMs, servers, wanted, bytesMax)
    .flatMap(({ execution, servers: chosen }) => chosen.map((server) => `${execution} ${server}`));
}

test('first sendings go around the servers, and only what is missing is sent again', () => {
  const tails = new TailCopies(LIMITS, null);
  for (const execution of ['e0', 'e1', 'e2']) tails.add(execution, 5_000);

  assert.deepEqual(takeAll(tails, 0), ['e0 s1', 'e0 s2', 'e1 s2', 'e1 s3', 'e2 s3', 'e2 s1']);
  tails.stored('e0', 's1');
  tails.stored('e0', 's2');
  tails.stored('e1', 's2');
  tails.stored('e2', 's1');
  assert.deepEqual(takeAll(tails, 1_999), []);

  assert.deepEqual(takeAll(tails, 2_000), ['e1 s1', 'e2 s2'], 's3 is tried after the others');
});

test('a server that did not store comes last for a while, and is an equal again once it stores', () => {
  const tails = new TailCopies(LIMITS, null);
  const first = (execution: string, nowMs: number) => {
    tails.add(execution, 5_000);
    const [sent] = takeAll(tails, nowMs, { wanted: 1 });
    tails.delete(execution);
    return sent;
  };
  tails.add('e0', 5_000);
  takeAll(tails, 0, { wanted: 1 });
  takeAll(tails, 2_000, { wanted: 1 });
  tails.stored('e0', 's2');

  const while1 = ['a', 'b', 'c'].map((execution) => first(execution, 10_000));
  const later = ['d', 'e', 'f'].map((execution) => first(execution, 32_000));

  assert.deepEqual(
    [while1, later],
    [
      ['a s2', 'b s3', 'c s2'],
      ['d s2', 'e s3', 'f s1'],
    ],
  );
});

test('whichever servers are dead, the living get their copies after a few sendings, own copies first', () => {
  const worlds = fc.record({
    count: fc.integer({ min: 1, max: 7 }),
    deadBits: fc.nat(127),
    own: fc.option(fc.nat(6)),
    tails: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(worlds, ({ count, deadBits, own, tails: tailCount }) => {
      const servers = Array.from({ length: count }, (_, index) => `s${index}`);
      const alive = new Set(servers.filter((_, index) => (deadBits & (1 << index)) === 0));
      const wanted = Math.min(2, count);
      fc.pre(alive.size >= wanted);
      const ownServer = own === null ? null : (servers[own % count] ?? null);
      const tails = new TailCopies(LIMITS, ownServer);
      const names = Array.from({ length: tailCount }, (_, index) => `e${index}`);
      for (const name of names) tails.add(name, 5_000);

      let nowMs = 0;
      for (let sending = 0; sending < 2 * count; sending += 1) {
        for (const { execution, servers: chosen } of tails.takeDue(nowMs, servers, wanted, MANY_BYTES)) {
          if (sending === 0 && ownServer !== null) assert.equal(chosen[0], ownServer);
          for (const server of chosen) if (alive.has(server)) tails.stored(execution, server);
        }
        nowMs += LIMITS.resendMsMax;
      }

      assert.deepEqual(
        names.map((name) => tails.copies(name)),
        names.map(() => wanted),
      );
    }),
  );
});

test('new tails and those that are sent again take turns, the least recently sent first', () => {
  const tails = new TailCopies(LIMITS, null);
  const options = { servers: ['s1'], wanted: 1, bytesMax: 4_000 };
  for (const execution of ['old0', 'old1', 'old2', 'old3', 'old4', 'old5']) tails.add(execution, 1_000);
  assert.equal(takeAll(tails, 0, { ...options, bytesMax: MANY_BYTES }).length, 6);
  for (const execution of ['new0', 'new1', 'new2']) tails.add(execution, 1_000);

  const turns = [0, 1, 2, 3].map(() => takeAll(tails, 2_000, options).map((sent) => sent.split(' ')[0]));

  assert.deepEqual(turns, [['new0', 'old0', 'new1', 'old1'], ['new2', 'old2', 'old3', 'old4'], ['old5'], []]);
});

test('what is stored and not yet committed takes no room from the rest', () => {
  const tails = new TailCopies(LIMITS, null);
  const options = { servers: ['s1'], wanted: 1, bytesMax: 1_000 };
  for (const execution of ['e0', 'e1', 'e2']) tails.add(execution, 1_000);
  takeAll(tails, 0, { ...options, bytesMax: MANY_BYTES });
  tails.stored('e0', 's1');
  tails.stored('e1', 's1');

  assert.deepEqual(takeAll(tails, 2_000, options), ['e2 s1']);
});
