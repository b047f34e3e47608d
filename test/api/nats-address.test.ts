import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNatsAddress } from '../../src/api/nats-address.ts';

for (const [text, expected] of [
  ['nats://host', { servers: ['host:4222'] }],
  ['nats://host:1', { servers: ['host:1'] }],
  ['tls://host', { servers: ['host:4222'], tls: {} }],
  ['nats://tok%40en@a:1,nats://b:2', { servers: ['a:1', 'b:2'], token: 'tok@en' }],
  ['nats://me:secret@a', { servers: ['a:4222'], user: 'me', password: 'secret' }],
  ['nats://[::1]:4222', { servers: ['[::1]:4222'] }],
] as const) {
  test(`${text} is read`, () => {
    assert.deepEqual(parseNatsAddress(text), expected);
  });
}

for (const text of ['', 'host:4222', 'http://host', 'nats://', 'nats://a,']) {
  test(`'${text}' is refused`, () => {
    assert.throws(() => parseNatsAddress(text), { code: 'invalid', message: /is not an address of NATS/ });
  });
}
