/** Three real servers and their nats-server on loopback; a server can be killed, halted and started again. */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'nats';
import { findNatsServer } from '../test/helpers/nats-server.ts';
import { ChildGroup } from './child-group.ts';
import { freePort, MAIN, nodeFlags, pause, type Target } from './harness.ts';
import { HttpConnection } from './http-client.ts';

const CLUSTER = 'bench';
const SERVERS = ['s1', 's2', 's3'] as const;
const START_MS_MAX = 60_000;
const CALL_MS_MAX = 2_000;
const POLL_MS = 20;

export interface Servers extends Target {
  readonly nats: { readonly port: number; readonly token: string };
  /** Where jobs are put by NATS. */
  readonly putSubject: string;
  /** Name of the one that leads, as a majority says. */
  leader(): Promise<string>;
  signal(name: string, signal: NodeJS.Signals): void;
  /** After a kill: starts it anew in its directory. */
  restart(name: string): Promise<void>;
  /** Resolves once this server itself shows the job. */
  untilKnows(name: string, job: string): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const group = await ChildGroup.open();
  const nats = { port: await freePort(), token: randomUUID() };
  const ports = new Map<string, number>();
  const keyFile = join(group.directory, 'cluster.key');
  const start = (name: string) => {
    const own = ['--node-name', name, '--data-dir', join(group.directory, name), '--slots', '0'];
    const http = ['--http-addr', `127.0.0.1:${ports.get(name)}`, '--bootstrap-expect', String(SERVERS.length)];
    const cluster = ['--cluster', CLUSTER, '--nats-url', `nats://${nats.token}@127.0.0.1:${nats.port}`];
    const rest = ['--cluster-key-file', keyFile, '--log-level', 'warn'];
    group.start(name, [process.execPath, ...nodeFlags(), MAIN, 'server', ...own, ...http, ...cluster, ...rest]);
  };
  const get = (name: string, path: string) => httpGet(`http://127.0.0.1:${ports.get(name)}`, path);
  const servers: Servers = {
    nats,
    putSubject: `carillon.${CLUSTER}.api.job.put`,
    urls: [],
    processes: [],
    async leader() {
      return until('no server leads', async () => {
        const names = await Promise.all(SERVERS.map(async (name) => leaderName(await get(name, '/v1/leader'))));
        return names.find((name) => name !== undefined && names.filter((other) => other === name).length >= 2);
      });
    },
    signal(name, signal) {
      group.get(name).process.kill(signal);
    },
    async restart(name) {
      await group.get(name).ended;
      start(name);
    },
    async untilKnows(name, job) {
      await until(`${name} does not catch up`, async () => {
        return (await get(name, `/v1/jobs/${job}`))?.status === 200 ? true : undefined;
      });
    },
    close: () => group.close(),
  };
  try {
    await writeFile(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
    for (const name of SERVERS) ports.set(name, await freePort());
    const natsCommand = [await findNatsServer(), '-a', '127.0.0.1', '-p', String(nats.port), '--auth', nats.token];
    group.start('nats', natsCommand);
    for (const name of SERVERS) start(name);
    await servers.leader();
    await untilAnswersByNats(nats);
    const processes = ['nats', ...SERVERS].map((name) => ({ name, pid: group.get(name).pid }));
    return { ...servers, processes };
  } catch (error) {
    const words = group.words();
    await servers.close();
    throw new Error(`the servers did not start: ${error instanceof Error ? error.message : error}\n${words}`);
  }
}

/** Servers join those who answer by NATS a moment after they are ready. */
async function untilAnswersByNats({ port, token }: Servers['nats']): Promise<void> {
  const client = await connect({ servers: `127.0.0.1:${port}`, token });
  try {
    await until('nobody answers by NATS', () =>
      client.request(`carillon.${CLUSTER}.api.cluster.leader`, '{}', { timeout: CALL_MS_MAX }).then(
        () => true,
        () => undefined,
      ),
    );
  } finally {
    await client.close();
  }
}

function leaderName(answer: { readonly status: number; readonly text: string } | undefined): string | undefined {
  if (answer?.status !== 200) return undefined;
  const member = JSON.parse(answer.text) as { readonly Name?: string; readonly name?: string };
  return member.Name ?? member.name;
}

/** Undefined where no answer comes: it may be killed, halted, or not up yet. */
async function httpGet(url: string, path: string): Promise<{ status: number; text: string } | undefined> {
  const connection = new HttpConnection(url);
  const timer = setTimeout(() => connection.close(), CALL_MS_MAX);
  try {
    const { status, body } = await connection.call('GET', path);
    return { status, text: body.toString('utf8') };
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    connection.close();
  }
}

async function until<Found>(what: string, look: () => Promise<Found | undefined>): Promise<Found> {
  const endMs = performance.now() + START_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`${what} within ${START_MS_MAX / 1_000} s`);
    await pause(POLL_MS);
  }
}
