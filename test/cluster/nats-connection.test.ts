import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { SystemClock } from '../../src/base/system-clock.ts';
import { silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import {
  type NatsConnection,
  type NatsConnectionOptions,
  openNatsConnection,
} from '../../src/cluster/nats-connection.ts';
import { openNatsConnections } from '../../src/cluster/nats-connections.ts';
import type { NatsDoor } from '../../src/cluster/nats-door.ts';
import { type NatsServer, type NatsServerOptions, startNatsServer } from '../helpers/nats-server.ts';
import { CountingMetrics, KeptLog, reached } from './nats-world.ts';

const HELLO = new TextEncoder().encode('hello');

/** Everything that a test opens is closed after it, connections before servers. */
function setup() {
  const log = new KeptLog();
  const metrics = new CountingMetrics();
  const open = (door: NatsDoor, more: Partial<NatsConnectionOptions> = {}): NatsConnection => {
    const clock = new SystemClock({ unref: true });
    const connection = openNatsConnection({ door, nodeName: 's1', purpose: 'raft', clock, log, metrics, ...more });
    after(() => connection.close());
    return connection;
  };
  return { log, metrics, open };
}

async function serve(options: NatsServerOptions = {}): Promise<NatsServer> {
  const server = await startNatsServer(options);
  after(() => server.stop('SIGKILL'));
  return server;
}

function doorOf({ port, token }: NatsServer): NatsDoor {
  return { servers: [`127.0.0.1:${port}`], token };
}

test('it waits for a server that is not there yet, and says once a minute at most six times that it does', async () => {
  const { log, open } = setup();
  const port = await freePort();
  const connection = open({ servers: [`127.0.0.1:${port}`], token: 'secret' });
  await log.has('NATS cannot be reached');
  assert.equal(connection.status, 'away');

  await serve({ port, token: 'secret' });
  await reached(connection, 'connected');

  assert.ok(log.lines.filter(({ level }) => level === 'warn').length <= 6);
  await log.has('NATS is there');
});

test('one server of several that answers is enough', async () => {
  const { open } = setup();
  const server = await serve();

  const connection = open({
    ...doorOf(server),
    servers: [`127.0.0.1:${await freePort()}`, `127.0.0.1:${server.port}`],
  });

  await reached(connection, 'connected');
});

test('credentials that are refused are tried again for ever, and serve once they are right', async () => {
  const { log, open } = setup();
  const server = await startNatsServer({ token: 'other' });
  const connection = open({ servers: [`127.0.0.1:${server.port}`], token: 'secret' });
  await log.has('NATS cannot be reached');
  await server.stop('SIGKILL');

  await serve({ port: server.port, token: 'secret' });

  await reached(connection, 'connected');
});

test('credentials that turn wrong while it is connected do not end it', async () => {
  const { log, open } = setup();
  const first = await startNatsServer({ token: 'secret' });
  const connection = open(doorOf(first));
  await reached(connection, 'connected');
  await first.stop('SIGKILL');
  const second = await startNatsServer({ port: first.port, token: 'other' });
  await log.has('NATS reports an error');
  await second.stop('SIGKILL');

  await serve({ port: first.port, token: 'secret' });

  await reached(connection, 'connected');
});

test('user and password open a door, and NATS shows the name of node and purpose', async () => {
  const { open } = setup();
  const monitor = await freePort();
  const config = `http: "127.0.0.1:${monitor}"\nauthorization { users: [{ user: node, password: "p w" }] }`;
  const server = await serve({ config });

  const connection = open({ servers: [`127.0.0.1:${server.port}`], user: 'node', password: 'p w' });
  await reached(connection, 'connected');

  const answer = await fetch(`http://127.0.0.1:${monitor}/connz`);
  const { connections } = (await answer.json()) as { readonly connections: readonly { readonly name: string }[] };
  assert.deepEqual(
    connections.map(({ name }) => name),
    ['s1/raft'],
  );
});

test('what is published while it is away is dropped and counted; subscriptions outlive the connection', async () => {
  const { metrics, open } = setup();
  const server = await startNatsServer();
  const connection = open(doorOf(server));
  const heard: string[] = [];
  connection.subscribe('a', (message) => void heard.push(message.string()));
  connection.publish('a', HELLO);
  await reached(connection, 'connected');
  connection.publish('a', HELLO);
  await connection.flush();
  await server.stop('SIGKILL');
  await reached(connection, 'away');

  for (let count = 0; count < 20; count += 1) connection.publish('a', HELLO);
  await assert.rejects(connection.flush(), /away/);
  await serve({ port: server.port, token: server.token });
  await reached(connection, 'connected');
  connection.publish('a', new TextEncoder().encode('back'));
  await connection.flush();

  assert.deepEqual(heard, ['hello', 'back']);
  assert.deepEqual(metrics.of('carillon_unsent_frames_total'), { away: 21 });
});

test('a payload above what the server takes is dropped, counted and told, never thrown', async () => {
  const { log, metrics, open } = setup();
  const connection = open(doorOf(await serve({ config: 'max_payload: 4096' })));
  await reached(connection, 'connected');
  const sizes: number[] = [];
  connection.subscribe('a', ({ data }) => void sizes.push(data.byteLength));

  connection.publish('a', new Uint8Array(4097));
  connection.publish('a', new Uint8Array(4096));
  await connection.flush();

  assert.deepEqual(sizes, [4096]);
  assert.deepEqual(metrics.of('carillon_oversized_frames_total'), { '': 1 });
  assert.match(log.lines.at(-1)?.message ?? '', /larger than NATS carries/);
});

test('more than the server reads is dropped and counted instead of kept', async () => {
  const { metrics, open } = setup();
  const connection = open(doorOf(await serve()));
  await reached(connection, 'connected');
  let arrived = 0;
  connection.subscribe('a', () => {
    arrived += 1;
  });
  const megabyte = new Uint8Array(1024 * 1024);

  for (let count = 0; count < 20; count += 1) connection.publish('a', megabyte);
  await connection.flush();
  connection.publish('a', megabyte);
  await connection.flush();

  assert.equal(arrived, 17);
  assert.deepEqual(metrics.of('carillon_unsent_frames_total'), { congested: 4 });
});

test('what NATS does not permit is told, not thrown; a denied subscription is asked for again', async () => {
  const { log, open } = setup();
  const user = (subjects: string): string =>
    `authorization { users: [{ user: node, password: x, permissions: { publish: "${subjects}", subscribe: "${subjects}" } }] }`;
  const server = await startNatsServer({ config: user('b') });
  const clock = new VirtualClock();
  const connection = open({ servers: [`127.0.0.1:${server.port}`], user: 'node', password: 'x' }, { clock });
  await reached(connection, 'connected');
  const heard: string[] = [];
  connection.subscribe('a', (message) => void heard.push(message.string()));
  connection.publish('a', HELLO);
  await log.has('NATS refuses a subscription');
  await log.has('NATS permits it not');
  assert.equal(connection.status, 'connected');
  await server.stop('SIGKILL');
  await reached(connection, 'away');
  await serve({ port: server.port, config: user('a') });
  await reached(connection, 'connected');

  clock.advance(5_000);
  connection.publish('a', HELLO);
  await connection.flush();

  assert.deepEqual(heard, ['hello']);
});

test('a server that stands still is noticed, and used again when it goes on', async () => {
  const { log, open } = setup();
  const server = await serve();
  const connection = open(doorOf(server));
  await reached(connection, 'connected');

  process.kill(server.pid, 'SIGSTOP');
  await reached(connection, 'away');
  await log.has('NATS does not answer pings');
  process.kill(server.pid, 'SIGCONT');

  await reached(connection, 'connected');
});

test('it closes at once, whatever state it is in', async () => {
  const { open } = setup();
  const server = await startNatsServer();
  const dialling = open(doorOf(server));
  await dialling.close();
  const nowhere = open({ servers: [`127.0.0.1:${await freePort()}`] });
  await nowhere.close();
  const standing = open(doorOf(server));
  await reached(standing, 'connected');
  const broken = open(doorOf(server));
  await reached(broken, 'connected');
  const seen: string[] = [];
  standing.onStatus((status) => void seen.push(status));
  await standing.close();
  await server.stop('SIGKILL');
  await reached(broken, 'away');

  await broken.close();
  await broken.close();

  assert.deepEqual(seen, ['away']);
});

test('what was published before a close has left', async () => {
  const { open } = setup();
  const server = await serve();
  const [sender, receiver] = [open(doorOf(server)), open(doorOf(server))];
  await Promise.all([reached(sender, 'connected'), reached(receiver, 'connected')]);
  let arrived = 0;
  receiver.subscribe('a', () => {
    arrived += 1;
  });
  await receiver.flush();

  for (let count = 0; count < 100; count += 1) sender.publish('a', HELLO);
  await sender.close();
  await receiver.flush();

  assert.equal(arrived, 100);
});

test('each of several connections has its gauge, and together they are connected while all of them stand', async () => {
  const metrics = new CountingMetrics();
  const clock = new SystemClock({ unref: true });
  const server = await startNatsServer();
  const connections = openNatsConnections({
    door: doorOf(server),
    purposes: ['raft', 'bulk'],
    nodeName: 's1',
    clock,
    log: silentLog,
    metrics,
  });
  after(() => connections.close());
  await Promise.all([reached(connections.get('raft'), 'connected'), reached(connections.get('bulk'), 'connected')]);
  assert.equal(connections.status, 'connected');
  await server.stop('SIGKILL');
  await Promise.all([reached(connections.get('raft'), 'away'), reached(connections.get('bulk'), 'away')]);
  assert.equal(connections.status, 'away');

  assert.deepEqual(metrics.gauges['carillon_nats_connected'], [0, 0, 1, 1, 0, 0]);
  assert.throws(() => connections.get('api'), /no connection to NATS for api/);
});

test('TLS with certificates on both sides; an unknown authority is refused', async () => {
  const { log, open } = setup();
  const directory = await mkdtemp(join(tmpdir(), 'carillon-tls-'));
  after(() => rm(directory, { recursive: true, force: true }));
  await makeCertificates(directory);
  const file = (name: string): string => join(directory, name);
  const config = `tls { cert_file: "${file('server.crt')}", key_file: "${file('server.key')}", ca_file: "${file('ca.crt')}", verify: true }`;
  const server = await serve({ config });

  const stranger = open({ ...doorOf(server), tls: {} });
  await log.has('NATS cannot be reached');
  const node = open({
    ...doorOf(server),
    tls: { caFile: file('ca.crt'), certFile: file('node.crt'), keyFile: file('node.key') },
  });
  await reached(node, 'connected');

  assert.equal(stranger.status, 'away');
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => void server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An authority, and certificates of it for 127.0.0.1 and for a node. */
async function makeCertificates(directory: string): Promise<void> {
  const openssl = (...words: string[]): Promise<unknown> => promisify(execFile)('openssl', words, { cwd: directory });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=authority', '-days', '2');
  await writeFile(join(directory, 'names'), 'subjectAltName=IP:127.0.0.1\n');
  for (const name of ['server', 'node']) {
    await openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signed);
  }
}
