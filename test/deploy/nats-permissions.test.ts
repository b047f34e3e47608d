import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { findNatsServer } from '../helpers/nats-server.ts';
import { projectRoot } from '../helpers/project-root.ts';
import { makeSecrets } from './secrets.ts';

const CLUSTER_SUBJECTS = ['raft.0.a1', 'bulk.a1', 'exec.a1', 'report.a1', 'forward.a1', 'alive', 'leader'] as const;

interface Right {
  readonly user: 'node' | 'client';
  readonly does: 'publish' | 'subscribe';
  readonly subject: string;
  readonly isAllowed: boolean;
}

const RIGHTS: readonly Right[] = [
  ...CLUSTER_SUBJECTS.map((name) => right('node', 'publish', `carillon.demo.${name}`, true)),
  ...CLUSTER_SUBJECTS.map((name) => right('node', 'subscribe', `carillon.demo.${name}`, true)),
  right('node', 'publish', 'carillon.demo.output.x', true),
  right('node', 'publish', 'carillon.demo.events.job.put', true),
  right('node', 'publish', '_INBOX.abc.1', true),
  right('node', 'subscribe', '_INBOX.abc.*', true),
  right('node', 'subscribe', 'carillon.demo.api.job.put', true),
  right('node', 'subscribe', '$SRV.PING.carillon', true),
  right('node', 'publish', 'elsewhere.x', false),
  right('node', 'subscribe', '>', false),
  right('node', 'subscribe', '$SYS.>', false),

  ...CLUSTER_SUBJECTS.map((name) => right('client', 'publish', `carillon.demo.${name}`, false)),
  ...CLUSTER_SUBJECTS.map((name) => right('client', 'subscribe', `carillon.demo.${name}`, false)),
  right('client', 'publish', 'carillon.demo.api.job.put', true),
  right('client', 'publish', 'carillon.other.api.cluster.health', true),
  right('client', 'publish', '$SRV.PING', true),
  right('client', 'subscribe', '_INBOX.abc.*', true),
  right('client', 'subscribe', 'carillon.demo.output.x', true),
  right('client', 'subscribe', 'carillon.*.events.>', true),
  right('client', 'publish', 'carillon.demo.output.x', false),
  right('client', 'publish', 'carillon.demo.events.job.put', false),
  right('client', 'publish', '_INBOX.abc.1', false),
  right('client', 'subscribe', 'carillon.demo.api.job.put', false),
  right('client', 'subscribe', 'carillon.>', false),
  right('client', 'subscribe', '$SRV.PING', false),
  right('client', 'subscribe', '>', false),
];

describe('a nats-server with the shipped configuration', () => {
  let server: ShippedNats;
  before(async () => {
    server = await startShippedNats();
  });
  after(() => server.stop());

  test('refuses who has no password or a wrong one', async () => {
    await assert.rejects(connect({ servers: server.address, reconnect: false }));
    await assert.rejects(connect({ servers: server.address, reconnect: false, user: 'node', pass: 'wrong' }));
  });

  for (const { user, does, subject, isAllowed } of RIGHTS) {
    test(`${isAllowed ? 'lets' : 'does not let'} a ${user} ${does} ${subject}`, async () => {
      const connection = await server.connect(user);
      const refusals = refusalsOf(connection);

      if (does === 'publish') connection.publish(subject, 'x');
      else connection.subscribe(subject);
      // The server answers in order: a refusal comes before the pong.
      await connection.flush();
      await connection.close();

      const refused = await refusals;
      assert.equal(refused.length, isAllowed ? 0 : 1, refused.join('; '));
    });
  }

  test('carries a question of a client to a node, and the answer back', async () => {
    const [node, client] = await Promise.all([server.connect('node'), server.connect('client')]);
    node.subscribe('carillon.demo.api.cluster.health', { callback: (_, message) => void message.respond('healthy') });
    await node.flush();

    const answer = await client.request('carillon.demo.api.cluster.health');

    assert.equal(answer.string(), 'healthy');
    await Promise.all([node.close(), client.close()]);
  });

  test('tells the limit of a payload that it enforces', async () => {
    const connection = await server.connect('node');

    assert.equal(connection.info?.max_payload, 1_048_576);
    await connection.close();
  });
});

interface ShippedNats {
  readonly address: string;
  connect(user: 'node' | 'client'): Promise<NatsConnection>;
  stop(): Promise<void>;
}

/** In folders as in the container; only the ports are free ones of loopback. */
async function startShippedNats(): Promise<ShippedNats> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-deploy-'));
  const file = join(directory, 'etc', 'nats', 'nats.conf');
  const secrets = join(directory, 'run', 'secrets');
  await mkdir(join(directory, 'etc', 'nats'), { recursive: true });
  await mkdir(join(directory, 'run'));
  await copyFile(join(projectRoot(), 'deploy', 'nats.conf'), file);
  await makeSecrets(secrets);
  const args = ['--config', file, '--addr', '127.0.0.1', '--port', '-1', '--http_port', '-1'];
  const child = spawn(await findNatsServer(), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = once(child, 'close');
  const address = await new Promise<string>((resolve, reject) => {
    const lines: string[] = [];
    child.once('error', reject);
    child.once('close', () => reject(new Error(`nats-server ended:\n${lines.join('\n')}`)));
    let found = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (lines.length < 100) lines.push(line);
      found ||= /Listening for client connections on (\S+)/.exec(line)?.[1] ?? '';
      if (line.includes('Server is ready')) resolve(found);
    });
  });
  return {
    address,
    connect: async (user) => {
      const pass = await readFile(join(secrets, `nats-${user}-password`), 'utf8');
      return connect({ servers: address, user, pass, reconnect: false });
    },
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What the server refused, until the connection is closed. */
async function refusalsOf(connection: NatsConnection): Promise<readonly string[]> {
  const refusals: string[] = [];
  for await (const status of connection.status()) if (status.type === 'error') refusals.push(status.error.message);
  return refusals;
}

function right(user: Right['user'], does: Right['does'], subject: string, isAllowed: boolean): Right {
  return { user, does, subject, isAllowed };
}
