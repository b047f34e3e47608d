/** Three members of etcd on loopback with new directories and their default timers; fsync is on, as it always is. */
import { join } from 'node:path';
import { ChildGroup } from './child-group.ts';
import type { Program } from './debian-programs.ts';
import { freePort, pause, type Target } from './harness.ts';
import { HttpConnection } from './http-client.ts';

const MEMBERS = ['e1', 'e2', 'e3'] as const;
const START_MS_MAX = 30_000;
const POLL_MS = 50;

/** `urls` has the leader alone. */
export async function startEtcd({ path, environment }: Program): Promise<Target> {
  const group = await ChildGroup.open();
  try {
    const members: { name: string; client: string; peer: string }[] = [];
    for (const name of MEMBERS) {
      const [client, peer] = [await freePort(), await freePort()];
      members.push({ name, client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` });
    }
    const initial = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
    for (const { name, client, peer } of members) {
      const own = ['--name', name, '--data-dir', join(group.directory, name), '--log-level', 'error'];
      const clients = ['--listen-client-urls', client, '--advertise-client-urls', client];
      const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
      const cluster = ['--initial-cluster', initial, '--initial-cluster-state', 'new'];
      group.start(name, [path, ...own, ...clients, ...peers, ...cluster], {
        env: { PATH: '/usr/bin:/bin', ...environment },
      });
    }
    const leader = await findLeader(
      members.map(({ client }) => client),
      group,
    );
    const processes = MEMBERS.map((name) => ({ name, pid: group.get(name).pid }));
    return { urls: [leader], processes, close: () => group.close() };
  } catch (error) {
    const words = group.words();
    await group.close();
    throw new Error(`etcd did not start: ${error instanceof Error ? error.message : error}\n${words}`);
  }
}

async function findLeader(urls: readonly string[], group: ChildGroup): Promise<string> {
  const endMs = performance.now() + START_MS_MAX;
  for (;;) {
    for (const url of urls) if (await isLeader(url)) return url;
    if (group.endedEarly !== undefined) throw new Error(`${group.endedEarly} ended`);
    if (performance.now() > endMs) throw new Error(`no leader within ${START_MS_MAX / 1_000} s`);
    await pause(POLL_MS);
  }
}

async function isLeader(url: string): Promise<boolean> {
  const connection = new HttpConnection(url);
  try {
    const { status, body } = await connection.call('POST', '/v3/maintenance/status', '{}');
    if (status !== 200) return false;
    const { header, leader } = JSON.parse(body.toString('utf8')) as {
      readonly header: { readonly member_id: string };
      readonly leader?: string;
    };
    return leader === header.member_id;
  } catch {
    // It does not listen yet.
    return false;
  } finally {
    connection.close();
  }
}
