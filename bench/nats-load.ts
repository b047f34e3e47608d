/**
 * Load by NATS request and reply from one connection: so many requests are in flight, and each answer is followed by the
 * next request. Every request has a reply subject of its own under one inbox, as the client's own requests have; what
 * leaves in one turn of the event loop leaves in one write, which is the client's own doing too.
 */
import { connect, createInbox, type Msg, type NatsConnection } from 'nats';
import type { Figure } from './figure.ts';
import { type Target, watchCosts } from './harness.ts';
import { Latencies } from './latencies.ts';

export interface NatsLoad {
  /** Asked before each request: who leads may change. */
  readonly subject: () => string;
  readonly inFlight: number;
  readonly seconds: number;
  readonly payload: () => Uint8Array;
  /** False: not now, so it is asked again soon, and the wait counts. Throws where the answer is not one that is wanted. */
  readonly check: (answer: Msg) => boolean;
}

/** Longer than any answer takes that is not lost. */
const ANSWER_MS_MAX = 15_000;
const WATCH_MS = 500;
const AGAIN_MS = 20;

export function connectClient(nats: { readonly port: number; readonly token: string }): Promise<NatsConnection> {
  return connect({ servers: [`127.0.0.1:${nats.port}`], token: nats.token, name: 'bench' });
}

/** Before the time begins there is a settling of a tenth of it that is not counted. */
export async function natsLoop(
  connection: NatsConnection,
  target: Target,
  load: NatsLoad,
): Promise<Figure['measures'] & { readonly count: number; readonly perSecond: number }> {
  await request(connection, load, load.seconds * 100);
  const costs = watchCosts(target);
  const beganMs = performance.now();
  const latencies = await request(connection, load, load.seconds * 1_000);
  const tookMs = performance.now() - beganMs;
  const { count } = latencies;
  return { perSecond: (1_000 * count) / tookMs, ...latencies.measures(), count, ...costs(count) };
}

/** What is in flight at the end of the time is waited for and counted. */
export async function request(
  connection: NatsConnection,
  { subject, inFlight, payload, check }: NatsLoad,
  milliseconds: number,
): Promise<Latencies> {
  const latencies = new Latencies();
  const inbox = createInbox();
  const sentMs = new Float64Array(inFlight);
  const replies = Array.from({ length: inFlight }, (_none, lane) => ({ reply: `${inbox}.${lane}` }));
  const endMs = performance.now() + milliseconds;
  let open = inFlight;
  let watch: NodeJS.Timeout | undefined;
  let take: (error: Error | null, answer: Msg) => void = () => {};
  const subscription = connection.subscribe(`${inbox}.*`, { callback: (error, answer) => take(error, answer) });
  try {
    await new Promise<void>((resolve, reject) => {
      const send = (lane: number) => connection.publish(subject(), payload(), replies[lane]);
      take = (error, answer) => {
        const lane = Number(answer.subject?.slice(inbox.length + 1));
        try {
          if (error !== null) throw error;
          if (answer.headers?.status === '503') throw new Error(`${subject()}: nobody listens`);
          if (!check(answer)) return void setTimeout(send, AGAIN_MS, lane);
        } catch (failure) {
          reject(failure);
          subscription.unsubscribe();
          return;
        }
        const nowMs = performance.now();
        latencies.add(nowMs - (sentMs[lane] ?? nowMs));
        sentMs[lane] = nowMs < endMs ? nowMs : Number.POSITIVE_INFINITY;
        if (nowMs < endMs) return send(lane);
        open -= 1;
        if (open === 0) resolve();
      };
      watch = setInterval(() => {
        const oldestMs = Math.min(...sentMs);
        if (performance.now() - oldestMs > ANSWER_MS_MAX) reject(new Error(`${subject()}: an answer was lost`));
      }, WATCH_MS);
      for (let lane = 0; lane < inFlight; lane += 1) {
        sentMs[lane] = performance.now();
        send(lane);
      }
    });
  } finally {
    clearInterval(watch);
    subscription.unsubscribe();
  }
  return latencies;
}
