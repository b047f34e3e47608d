import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ASKS_MAX, type Ask, nextAsk } from '../../src/executors/http-redirect.ts';

const FIRST = 'http://one.test/a/b?c=d';

function askOf(change: Partial<Ask> = {}): Ask {
  const headers = [
    ['X-Mine', '1'],
    ['Content-Type', 'text/plain'],
    ['Authorization', 'Bearer secret'],
    ['cookie', 'a=b'],
  ] as const;
  return { method: 'POST', url: new URL(FIRST), headers, body: 'hello', ...change };
}

function next(ask: Ask, status: number, location?: string, asks = 1) {
  return nextAsk(ask, new URL(FIRST), asks, status, location);
}

function followed(ask: Ask, status: number, location: string): Ask {
  const found = next(ask, status, location);
  assert(found.type === 'ask', JSON.stringify(found));
  return found.ask;
}

test('301, 302 and 303 ask again with GET and no body, 307 and 308 as before', () => {
  const table: readonly (readonly [number, string, string])[] = [
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', ''],
    [307, 'POST', 'hello'],
    [308, 'POST', 'hello'],
  ];
  for (const [status, method, body] of table) {
    const ask = followed(askOf(), status, '/else');

    assert.deepEqual([ask.method, ask.body, ask.url.href], [method, body, 'http://one.test/else']);
    assert.equal(
      ask.headers.some(([name]) => name === 'Content-Type'),
      body !== '',
    );
  }
  assert.equal(followed(askOf({ method: 'HEAD' }), 302, '/else').method, 'HEAD');
});

test('other answers, and those without an address, are the answer', () => {
  for (const status of [200, 204, 300, 304, 305, 306, 400, 500])
    assert.equal(next(askOf(), status, '/x').type, 'answer');
  for (const location of [undefined, '']) assert.equal(next(askOf(), 302, location).type, 'answer');
});

test('an address may be relative or of another host, and must be HTTP', () => {
  assert.equal(followed(askOf(), 302, 'c').url.href, 'http://one.test/a/c');
  assert.equal(followed(askOf(), 302, '//two.test/c').url.href, 'http://two.test/c');
  assert.equal(followed(askOf(), 302, 'https://two.test').url.href, 'https://two.test/');
  for (const location of ['ftp://one.test/', 'http://', 'file:///etc/passwd']) {
    const found = next(askOf(), 302, location);

    assert(found.type === 'fault');
    assert.ok(found.text.includes(location));
  }
});

test('secrets stay with the host that they were meant for, and those below it', () => {
  const table: readonly (readonly [location: string, isKept: boolean])[] = [
    ['/else', true],
    ['https://one.test/', true],
    ['http://one.test:8080/', true],
    ['http://below.one.test/', true],
    ['http://two.test/', false],
    ['http://one.test.evil/', false],
    ['http://evilone.test/', false],
  ];
  for (const [location, isKept] of table) {
    const names = followed(askOf(), 307, location).headers.map(([name]) => name.toLowerCase());

    assert.deepEqual([names.includes('authorization'), names.includes('cookie')], [isKept, isKept], location);
    assert.ok(names.includes('x-mine'));
  }
});

test('secrets that were left out do not come back on the way home', () => {
  const away = followed(askOf(), 307, 'http://two.test/');

  const home = followed(away, 307, FIRST);

  assert.deepEqual(
    home.headers.map(([name]) => name),
    ['X-Mine', 'Content-Type'],
  );
});

test('a Host of its own goes to no other host', () => {
  const ask = askOf({ headers: [['Host', 'virtual.test']] });

  assert.deepEqual(followed(ask, 302, '/else').headers, ask.headers);
  assert.deepEqual(followed(ask, 302, 'http://two.test/').headers, []);
});

test('after so many requests it is enough', () => {
  assert.equal(next(askOf(), 302, '/x', ASKS_MAX - 1).type, 'ask');
  assert.equal(next(askOf(), 302, '/x', ASKS_MAX).type, 'fault');
  assert.equal(next(askOf(), 200, undefined, ASKS_MAX).type, 'answer');
});
