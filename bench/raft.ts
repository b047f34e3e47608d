/**
 * What does agreement itself cost? Three Raft hosts that only count, proposals from one client process over NATS, to the
 * leader; each answer says that the proposal is committed and counted. And the same where each sync takes 5 ms.
 */
import { randomBytes } from 'node:crypto';
import type { NatsConnection } from 'nats';
import type { Figure } from './figure.ts';
import { type BenchContext, clientsText, type Scale } from './harness.ts';
import { connectClient, type NatsLoad, natsLoop, request } from './nats-load.ts';
import { treeCpuMs } from './processes.ts';
import { type RaftCluster, startRaftCluster } from './raft-cluster.ts';
import { REFUSAL } from './raft-counter.ts';
import { countSyncs, findStrace, slowSyncs } from './tracer.ts';

export const VALUE_BYTES = 256;
const WARM_UP_IN_FLIGHT = 256;
/** So much of it is the disk's warm-up, the rest the compiler's. */
const WARM_UP_SECONDS_MAX = 10;
const DELAYED_IN_FLIGHT = 256;
const SYNC_DELAY_MS = 5;
const TRACE_SECONDS = 1.5;
/** What a host says while leadership changes. */
const LEADERLESS: ReadonlySet<string> = new Set(['no-leader', 'not-leader', 'replaced']);

export async function raft({ scale, progress }: BenchContext): Promise<Figure[]> {
  const question = 'raft';
  progress.step('raft: start');
  const cluster = await startRaftCluster();
  const connection = await connectClient(cluster.nats);
  const figures: Figure[] = [];
  try {
    progress.step('raft: warm-up');
    await warmUpCommits(cluster, connection, scale);
    const before = await cluster.term();
    for (const inFlight of scale.commitsInFlight) {
      progress.step(`raft: ${inFlightText(inFlight)}`);
      const { host } = await cluster.leader();
      await cluster.look(host, true);
      const shares = watchShares(cluster);
      const measures = await commitLoop(cluster, connection, { inFlight, seconds: scale.seconds });
      figures.push({ question, label: commitLabel(inFlight), measures, note: shares(measures.count) });
      const { loopDelayP999Ms: p999Ms, loopDelayMaxMs: maxMs } = await cluster.look(host);
      const label = `event loop delay of the leading consensus thread, ${inFlightText(inFlight)}`;
      figures.push({ question, label, measures: { p999Ms, maxMs } });
    }
    const count = (await cluster.term()) - before;
    figures.push({ question, label: 'elections meanwhile', measures: { count } });
    progress.step('raft: counting syncs');
    figures.push(await countedSyncs(cluster, connection, question));
    return figures;
  } finally {
    await connection.close();
    await cluster.close();
  }
}

export async function raftSlowDisk({ scale, progress }: BenchContext): Promise<Figure[]> {
  const question = 'raft-slow-disk';
  progress.step('raft-slow-disk: start');
  const strace = await findStrace();
  const cluster = await startRaftCluster(
    strace === undefined ? { syncDelayMs: SYNC_DELAY_MS } : { wrapper: slowSyncs(strace, SYNC_DELAY_MS) },
  );
  const connection = await connectClient(cluster.nats);
  const note =
    strace === undefined
      ? 'no strace: each write of the log is begun 5 ms late by the host'
      : 'strace holds each fdatasync and fsync up for 5 ms';
  const figures: Figure[] = [];
  try {
    progress.step('raft-slow-disk: warm-up');
    await warmUpCommits(cluster, connection, scale);
    const before = await cluster.term();
    for (const inFlight of scale.commitsInFlight) {
      progress.step(`raft-slow-disk: ${inFlightText(inFlight)}`);
      const measures = await commitLoop(cluster, connection, { inFlight, seconds: scale.seconds });
      figures.push({ question, label: commitLabel(inFlight), measures, note });
    }
    const count = (await cluster.term()) - before;
    figures.push({ question, label: 'elections meanwhile', measures: { count } });
    return figures;
  } finally {
    await connection.close();
    await cluster.close();
  }
}

export function commitLabel(inFlight: number): string {
  return `commit ${VALUE_BYTES} B, ${inFlightText(inFlight)}`;
}

export function inFlightText(inFlight: number): string {
  return inFlight === 1 ? clientsText(1) : `${inFlight.toLocaleString('en-US')} in flight`;
}

export async function commitLoop(
  cluster: RaftCluster,
  connection: NatsConnection,
  how: Pick<NatsLoad, 'inFlight' | 'seconds'>,
): Promise<Figure['measures'] & { readonly count: number; readonly perSecond: number }> {
  return natsLoop(connection, cluster, { ...(await proposals(cluster)), ...how });
}

/** A new cluster is cold: V8 has compiled nothing of it. */
export async function warmUpCommits(cluster: RaftCluster, connection: NatsConnection, scale: Scale): Promise<void> {
  const seconds = Math.min(WARM_UP_SECONDS_MAX, scale.warmUpSeconds);
  const load = { ...(await proposals(cluster)), inFlight: WARM_UP_IN_FLIGHT, seconds };
  await request(connection, load, seconds * 1_000);
}

/** To whoever leads: where a proposal is refused since that has changed, it is made again to the new one. */
async function proposals(cluster: RaftCluster): Promise<Pick<NatsLoad, 'subject' | 'payload' | 'check'>> {
  const value = randomBytes(VALUE_BYTES);
  let { subject } = await cluster.leader();
  let isLooking = false;
  const lookAgain = () => {
    if (isLooking) return;
    isLooking = true;
    void cluster.leader().then(
      (leader) => {
        ({ subject } = leader);
        isLooking = false;
      },
      // The load ends with the answers that do not come.
      () => {},
    );
  };
  return {
    subject: () => subject,
    payload: () => value,
    check: ({ data }) => {
      if (data.byteLength > 0 && data[0] !== REFUSAL) return true;
      const refusal = Buffer.from(data.subarray(1)).toString('utf8');
      if (!LEADERLESS.has(refusal)) throw new Error(`a proposal was refused: ${refusal}`);
      lookAgain();
      return false;
    },
  };
}

/** Who spends how much on a commit; call the result with how many there were. */
function watchShares({ processes }: RaftCluster): (commits: number) => string {
  const spent = () => processes.map(({ pid }) => treeCpuMs(pid));
  const before = spent();
  return (commits) => {
    const now = spent();
    const parts = processes.map(({ name }, at) => {
      const us = (1_000 * ((now[at] ?? 0) - (before[at] ?? 0))) / commits;
      return `${name} ${us.toFixed(1)}`;
    });
    return `CPU µs each, settling included: ${parts.join(', ')}`;
  };
}

async function countedSyncs(cluster: RaftCluster, connection: NatsConnection, question: string): Promise<Figure> {
  const strace = await findStrace();
  const label = `syncs of the disk by all three, ${inFlightText(DELAYED_IN_FLIGHT)}, traced`;
  const hosts = cluster.processes.filter(({ name }) => name !== 'nats');
  if (strace === undefined) return { question, label, measures: {}, note: 'not counted: there is no strace' };
  const pids = hosts.map(({ pid }) => pid);
  const load = { ...(await proposals(cluster)), inFlight: DELAYED_IN_FLIGHT, seconds: TRACE_SECONDS };
  // Longer than the trace, so that the trace sees nothing but load.
  const loading = request(connection, load, (TRACE_SECONDS + 1) * 1_000);
  const counts = await countSyncs(strace, pids, TRACE_SECONDS);
  const { count } = await loading;
  if (counts === undefined) return { question, label, measures: {}, note: 'not counted: strace may not look' };
  const note = `${hosts.map(({ name }, at) => `${name} ${Math.round(counts[at] ?? 0)}/s`).join(', ')}; ${Math.round(count / (TRACE_SECONDS + 1))} commits/s under the tracer`;
  return { question, label, measures: { perSecond: counts.reduce((sum, each) => sum + each, 0) }, note };
}
