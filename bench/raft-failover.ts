/**
 * How long is nothing acknowledged when the leader goes? It is killed (`kill -9`), later halted (SIGSTOP), and from that
 * moment on a new job is put by NATS every few milliseconds, at whichever server answers; the first that is acknowledged
 * ends the wait. Default timers.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createInbox, type Msg, type NatsConnection } from 'nats';
import { echoJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import type { BenchContext } from './harness.ts';
import { Latencies } from './latencies.ts';
import { connectClient } from './nats-load.ts';
import { isAcknowledged } from './raft-job-put.ts';
import { type Servers, startServers } from './raft-servers.ts';

const PROBE_MS = 10;
const WAIT_MS_MAX = 30_000;
/** So that the leader is not one that has only just begun. */
const CALM_MS = 1_000;

export async function failover({ scale, progress }: BenchContext): Promise<Figure[]> {
  progress.step('failover: start');
  const servers = await startServers();
  const connection = await connectClient(servers.nats);
  try {
    await firstWrite(connection, servers, 'bench-first');
    const figures: Figure[] = [];
    for (const way of ['SIGKILL', 'SIGSTOP'] as const) {
      const what = way === 'SIGKILL' ? 'kill -9' : way;
      const waits = new Latencies();
      const all: number[] = [];
      for (let number = 1; number <= scale.kills; number += 1) {
        progress.step(`failover: ${what} ${number} of ${scale.kills}`);
        await pause(CALM_MS);
        const waitMs = await oneLoss(connection, servers, way, `bench-${way.toLowerCase()}-${number}`);
        waits.add(waitMs);
        all.push(Math.round(waitMs));
      }
      figures.push({
        question: 'failover',
        label: `${what} of the leader to the first acknowledged write`,
        measures: { ...waits.measures(), count: waits.count },
        note: `in order, ms: ${all.join(' ')}`,
      });
    }
    return figures;
  } finally {
    await connection.close();
    await servers.close();
  }
}

async function oneLoss(
  connection: NatsConnection,
  servers: Servers,
  way: 'SIGKILL' | 'SIGSTOP',
  job: string,
): Promise<number> {
  const leader = await servers.leader();
  const beganMs = performance.now();
  servers.signal(leader, way);
  const written = await firstWrite(connection, servers, job);
  const waitMs = performance.now() - beganMs;
  if (way === 'SIGKILL') await servers.restart(leader);
  else servers.signal(leader, 'SIGCONT');
  await servers.untilKnows(leader, written);
  return waitMs;
}

/** Puts the job under one new name after the other; gives the name that was acknowledged first. */
async function firstWrite(connection: NatsConnection, servers: Servers, job: string): Promise<string> {
  const inbox = createInbox();
  const beganMs = performance.now();
  let probes = 0;
  let timer: NodeJS.Timeout | undefined;
  let take: (answer: Msg) => void = () => {};
  const subscription = connection.subscribe(`${inbox}.*`, {
    callback: (error, answer) => {
      if (error === null && answer.headers?.status !== '503') take(answer);
    },
  });
  try {
    return await new Promise<string>((resolve, reject) => {
      take = (answer) => {
        // Refused, or its fate is unknown: one of the next is taken.
        if (isAcknowledged(answer)) resolve(`${job}-${answer.subject.slice(inbox.length + 1)}`);
      };
      const probe = () => {
        if (performance.now() - beganMs > WAIT_MS_MAX) {
          reject(new Error(`nothing was acknowledged within ${WAIT_MS_MAX / 1_000} s of the loss of the leader`));
          return;
        }
        const body = JSON.stringify(echoJob(`${job}-${probes}`, '@every 24h'));
        connection.publish(servers.putSubject, body, { reply: `${inbox}.${probes}` });
        probes += 1;
      };
      probe();
      timer = setInterval(probe, PROBE_MS);
    });
  } finally {
    clearInterval(timer);
    subscription.unsubscribe();
  }
}
