import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { CodedError } from '../../src/base/errors.ts';
import { advertisedAddress, stopProcessWith, takeAddress } from '../../src/cli/node-parts.ts';
import { KeptLog } from '../cluster/nats-world.ts';

const HOST = '127.0.0.1';

test('for port 0 a free port is found, and nobody else gets it before it is released', async () => {
  const address = await takeAddress({ host: HOST, port: 0 });
  const { port } = address;

  await assert.rejects(takeAddress({ host: HOST, port }), { code: 'address-in-use' });
  address.release();
  const server = createServer().listen({ host: HOST, port });
  await once(server, 'listening');
  server.close();

  assert.equal(address.host, HOST);
  assert.ok(port > 0);
});

test('a port that is given is looked at and left free', async () => {
  const found = await takeAddress({ host: HOST, port: 0 });
  found.release();

  const address = await takeAddress({ host: HOST, port: found.port });
  const server = createServer().listen(address);
  await once(server, 'listening');
  server.close();

  assert.equal(address.port, found.port);
});

for (const [what, advertise, listen, expected] of [
  ['one host', null, { host: '10.1.1.1', port: 80 }, '10.1.1.1:80'],
  ['an IPv6 host', null, { host: '::1', port: 80 }, '[::1]:80'],
  ['all addresses', null, { host: '0.0.0.0', port: 80 }, 'web-1:80'],
  ['all addresses of IPv6', null, { host: '::', port: 80 }, 'web-1:80'],
  ['all addresses, told otherwise', { host: 'lb.example', port: 443 }, { host: '0.0.0.0', port: 80 }, 'lb.example:443'],
] as const) {
  test(`a node that listens on ${what} is known as ${expected}`, () => {
    assert.equal(advertisedAddress({ advertise }, listen, 'web-1'), expected);
  });
}

for (const [what, error, code, hasStack] of [
  ['a fault of ours', new TypeError('x is undefined'), 1, true],
  ['an internal error', new CodedError('internal', 'the row is gone'), 1, true],
  ['a failed storage', new CodedError('storage-failed', 'the disk is full'), 7, false],
] as const) {
  test(`${what} ends the process with code ${code}, ${hasStack ? 'and the log has its stack' : 'in words only'}`, async (t) => {
    const log = new KeptLog();
    const exited = new Promise<unknown>((resolve) => t.mock.method(process, 'exit', resolve as () => never));

    stopProcessWith(log)(error, 'raft');

    const [line] = log.lines;
    assert.equal(line?.message, `raft failed, the node stops: ${error.message}`);
    assert.equal(line?.fields['stack'], hasStack ? error.stack : undefined);
    assert.equal(await exited, code);
  });
}
