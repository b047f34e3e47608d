import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { startNatsServer } from '../helpers/nats-server.ts';

test('a real nats-server starts on loopback, wants its token and stops', async () => {
  const server = await startNatsServer();

  const connection = await connect({ servers: `127.0.0.1:${server.port}`, token: server.token });
  const closed = connection.closed();
  await assert.rejects(connect({ servers: `127.0.0.1:${server.port}`, token: 'wrong', reconnect: false }));
  await connection.flush();
  await connection.close();
  await closed;
  await server.stop();

  await assert.rejects(connect({ servers: `127.0.0.1:${server.port}`, token: server.token, reconnect: false }));
});
