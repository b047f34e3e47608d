/**
 * How far from etcd? The Raft hosts, etcd and `job.put` of real servers in turns, round after round, each with new
 * directories and alone on the machine: three members on loopback, fsync on, values of 256 bytes, one client process of
 * Node.js with as many requests in flight. etcd is asked by its HTTP JSON gateway (`/v3/kv/put`), ours by NATS: what the
 * way to the leader costs is part of both. With `wrk` in the place of the Node client too, where that is to be had.
 */
import { randomBytes } from 'node:crypto';
import { findEtcd, findWrk, type Program } from './debian-programs.ts';
import { startEtcd } from './etcd-members.ts';
import { runWrk } from './etcd-wrk.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, closedLoop, type Load, pause, type Scale, type Target } from './harness.ts';
import { expectStatus, type HttpConnection } from './http-client.ts';
import { connectClient, natsLoop } from './nats-load.ts';
import { commitLabel, commitLoop, inFlightText, VALUE_BYTES, warmUpCommits } from './raft.ts';
import { startRaftCluster } from './raft-cluster.ts';
import { newPuts, PUTS_IN_FLIGHT, warmUpPuts } from './raft-job-put.ts';
import { startServers } from './raft-servers.ts';
import { countSyncs, findStrace } from './tracer.ts';

type Measures = Figure['measures'] & { readonly perSecond: number };
type Rounds = Map<string, Measures[]>;

const IN_FLIGHT = [1, 64, 256] as const;
const TRACED_IN_FLIGHT = 256;
const TRACE_SECONDS = 1;
const WARM_UP_SECONDS_MAX = 5;

export async function etcd({ scale: asked, progress }: BenchContext): Promise<Figure[]> {
  const question = 'etcd';
  const program = await findEtcd();
  if (program === undefined) {
    const note = 'there is no etcd: neither on the PATH nor as a package of Debian';
    return [{ question, label: 'not compared', measures: {}, note }];
  }
  const wrk = await findWrk();
  const scale = {
    ...asked,
    seconds: asked.roundSeconds,
    warmUpSeconds: Math.min(WARM_UP_SECONDS_MAX, asked.warmUpSeconds),
  };
  const rounds: Rounds = new Map();
  const notes = new Map<string, string>();
  for (let round = 1; round <= scale.rounds; round += 1) {
    for (const [side, measure] of [
      ['Raft hosts', () => hostsRound(rounds, scale)],
      ['etcd', () => etcdRound(rounds, scale, { program, wrk, notes: round === 1 ? notes : new Map() })],
      ['job.put', () => putRound(rounds, scale)],
    ] as const) {
      progress.step(`etcd: round ${round} of ${scale.rounds}, ${side}`);
      await measure();
    }
  }
  const figures = [...rounds].map(([label, all]) => median(question, label, all, notes.get(label)));
  if (wrk === undefined) figures.push({ question, label: 'wrk', measures: {}, note: 'not to be had here' });
  return [...figures, ...comparisons(question, rounds)];
}

async function hostsRound(rounds: Rounds, scale: Scale): Promise<void> {
  const cluster = await startRaftCluster();
  const connection = await connectClient(cluster.nats);
  try {
    await warmUpCommits(cluster, connection, scale);
    for (const inFlight of IN_FLIGHT) {
      const measures = await commitLoop(cluster, connection, { inFlight, seconds: scale.seconds });
      add(rounds, hostsLabel(inFlight), measures);
    }
  } finally {
    await connection.close();
    await cluster.close();
  }
}

async function putRound(rounds: Rounds, scale: Scale): Promise<void> {
  const servers = await startServers();
  const connection = await connectClient(servers.nats);
  try {
    const puts = newPuts(servers);
    await warmUpPuts(connection, puts, scale);
    const load = { ...puts, inFlight: PUTS_IN_FLIGHT, seconds: scale.seconds };
    add(rounds, PUT_LABEL, await natsLoop(connection, servers, load));
  } finally {
    await connection.close();
    await servers.close();
  }
}

async function etcdRound(
  rounds: Rounds,
  scale: Scale,
  tools: { readonly program: Program; readonly wrk: Program | undefined; readonly notes: Map<string, string> },
): Promise<void> {
  const target = await startEtcd(tools.program);
  try {
    const value = randomBytes(VALUE_BYTES).toString('base64');
    let number = 0;
    const call = async (connection: HttpConnection) => {
      const key = Buffer.from(`bench-${number++}`).toString('base64');
      expectStatus(await connection.call('POST', '/v3/kv/put', `{"key":"${key}","value":"${value}"}`), 200, 'put');
    };
    const load = { target, seconds: scale.seconds, call };
    await closedLoop({ ...load, clients: TRACED_IN_FLIGHT, seconds: scale.warmUpSeconds });
    for (const clients of IN_FLIGHT) add(rounds, etcdLabel(clients), await closedLoop({ ...load, clients }));
    tools.notes.set(etcdLabel(TRACED_IN_FLIGHT), await syncNote(target, { ...load, clients: TRACED_IN_FLIGHT }));
    if (tools.wrk === undefined) return;
    const body = `{"key":"${Buffer.from('bench-wrk').toString('base64')}","value":"${value}"}`;
    for (const connections of IN_FLIGHT) {
      const [url = ''] = target.urls;
      const measures = await runWrk(tools.wrk, { url, connections, seconds: scale.seconds, body });
      add(rounds, `etcd, HTTP JSON by wrk, ${inFlightText(connections)}`, measures);
    }
  } finally {
    await target.close();
  }
}

/** That etcd syncs, and how often. */
async function syncNote(target: Target, load: Load): Promise<string> {
  const strace = await findStrace();
  if (strace === undefined) return 'syncs not counted: there is no strace';
  const loading = closedLoop({ ...load, seconds: TRACE_SECONDS + 1 });
  await pause(300);
  const pids = target.processes.map(({ pid }) => pid);
  const counts = await countSyncs(strace, pids, TRACE_SECONDS);
  await loading;
  if (counts === undefined) return 'syncs not counted: strace may not look';
  return `syncs under the tracer, each member: ${counts.map((count) => `${Math.round(count)}/s`).join(', ')}`;
}

function add(rounds: Rounds, label: string, measures: Measures): void {
  const all = rounds.get(label);
  if (all === undefined) rounds.set(label, [measures]);
  else all.push(measures);
}

/** The round in the middle by throughput, and what the others gave. */
function median(question: string, label: string, all: readonly Measures[], note?: string): Figure {
  const sorted = all.toSorted((left, right) => left.perSecond - right.perSecond);
  const rates = sorted.map(({ perSecond }) => Math.round(perSecond).toLocaleString('en-US'));
  const spread = `the median of ${all.length}, per second: ${rates.join(', ')}`;
  return { question, label, measures: middle(sorted), note: note === undefined ? spread : `${spread}; ${note}` };
}

function middle(sorted: readonly Measures[]): Measures {
  return sorted[Math.floor(sorted.length / 2)] ?? { perSecond: 0 };
}

/** Ours as a share of etcd's by the same client, round by round, so that a slow minute hits both. */
function comparisons(question: string, rounds: Rounds): Figure[] {
  const share = (what: string, label: string, other: string): Figure => {
    const others = rounds.get(other) ?? [];
    const shares = (rounds.get(label) ?? []).map(
      ({ perSecond }, at) => (100 * perSecond) / (others[at]?.perSecond ?? 0),
    );
    const sorted = shares.toSorted((left, right) => left - right);
    const note = `per second, each round: ${sorted.map((each) => `${Math.round(each)} %`).join(', ')}`;
    const sharePercent = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return { question, label: `${what} of etcd's rate`, measures: { sharePercent }, note };
  };
  return [
    ...IN_FLIGHT.map((inFlight) =>
      share(`Raft hosts, ${inFlightText(inFlight)},`, hostsLabel(inFlight), etcdLabel(inFlight)),
    ),
    share(`job.put, ${inFlightText(PUTS_IN_FLIGHT)},`, PUT_LABEL, etcdLabel(PUTS_IN_FLIGHT)),
  ];
}

const PUT_LABEL = `job.put over NATS, ${inFlightText(PUTS_IN_FLIGHT)}`;

function hostsLabel(inFlight: number): string {
  return `Raft hosts over NATS, ${commitLabel(inFlight)}`;
}

function etcdLabel(inFlight: number): string {
  return `etcd, HTTP JSON, ${inFlightText(inFlight)}`;
}
