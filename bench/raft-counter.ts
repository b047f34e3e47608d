/**
 * The state machine of the Raft host: it counts commands, and answers each one that it was asked for once that one is
 * committed and counted. What it has counted is durable from time to time, so that the log is compacted as a node's is.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Actor, ActorContext, ActorRef, AskOutcome } from '../src/actors/actor.ts';
import type { RaftMessage } from '../src/raft/raft-actor.ts';
import type { RaftAnswer, RaftEvent, SnapshotMeta } from '../src/raft/raft-protocol.ts';
import type { Storage } from '../src/store/storage.ts';

/** A proposal and the way back to whoever made it. */
export interface ServedRequest {
  readonly data: Uint8Array;
  respond(answer: Uint8Array): unknown;
}

/** What the host's main thread asks. With `isFresh` the histogram of delays begins anew after the answer. */
export interface LookMessage {
  readonly type: 'look';
  readonly isFresh: boolean;
}

export interface LookAnswer {
  readonly role: 'follower' | 'candidate' | 'leader';
  /** It leads, and all of earlier terms is committed and counted. */
  readonly isReady: boolean;
  readonly term: number;
  readonly count: number;
  readonly loopDelayP999Ms: number;
  readonly loopDelayMaxMs: number;
}

export type CounterMessage =
  | RaftEvent
  | LookMessage
  | { readonly type: 'asked'; readonly request: ServedRequest }
  | { readonly type: 'proposed'; readonly request: ServedRequest; readonly outcome: AskOutcome<RaftAnswer> }
  | { readonly type: 'stored'; readonly index: number; readonly error: Error | null };

export interface Counted extends SnapshotMeta {
  readonly count: number;
}

/** The first byte of an answer that says why there is no count. */
export const REFUSAL = 0x21;

export function readCounted(storage: Storage): Counted {
  const bytes = storage.get(COUNT_KEY);
  if (bytes === undefined) return { index: 0, term: 0, count: 0 };
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Counted;
}

export function createCounter(options: {
  readonly storage: Storage;
  readonly counted: Counted;
  readonly raft: () => ActorRef<RaftMessage, RaftAnswer>;
}): (context: ActorContext<CounterMessage, LookAnswer>) => Actor<CounterMessage, LookAnswer> {
  return (context) => {
    const { storage, raft } = options;
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delay.enable();
    const pending = new Map<number, { readonly term: number; readonly request: ServedRequest }>();
    let { index, term, count } = options.counted;
    let storedIndex = index;
    let isStoring = false;
    let role: LookAnswer['role'] = 'follower';
    let roleTerm = 0;
    let isReady = false;

    const store = (): void => {
      isStoring = true;
      const at = index;
      const value = Buffer.from(JSON.stringify({ index, term, count } satisfies Counted));
      storage.write([{ type: 'put', key: COUNT_KEY, value }], (error) =>
        context.self.send({ type: 'stored', index: at, error }),
      );
    };

    return {
      receive(message, reply) {
        switch (message.type) {
          case 'asked': {
            const { request } = message;
            if (pending.size >= PENDING_MAX) return void request.respond(refusal('overloaded'));
            const proposal = { type: 'propose', data: request.data, class: 'client' } as const;
            context.ask(raft(), proposal, PROPOSE_MS, (outcome) => ({ type: 'proposed', request, outcome }));
            return;
          }
          case 'proposed': {
            const { request, outcome } = message;
            if (outcome.type === 'failed') return void request.respond(refusal(outcome.code));
            const { answer } = outcome;
            if (answer.type === 'accepted') pending.set(answer.index, { term: answer.term, request });
            else request.respond(refusal(answer.type === 'refused' ? answer.code : answer.type));
            return;
          }
          case 'committed': {
            for (const entry of message.entries) {
              ({ index, term } = entry);
              if (entry.kind === 'command') count += 1;
              const asked = pending.get(entry.index);
              if (asked === undefined) continue;
              pending.delete(entry.index);
              asked.request.respond(asked.term === entry.term ? Buffer.from(String(count)) : refusal('replaced'));
            }
            raft().send({ type: 'applied', index });
            if (!isStoring && index - storedIndex >= STORE_EVERY) store();
            return;
          }
          case 'stored':
            if (message.error !== null) throw message.error;
            isStoring = false;
            storedIndex = message.index;
            raft().send({ type: 'stored', index: storedIndex });
            return;
          case 'role':
            ({ role, term: roleTerm, isReady } = message);
            return;
          case 'installed':
            throw new Error('the bench sends no snapshots');
          case 'configuration':
            return;
          case 'look':
            reply({ role, term: roleTerm, isReady, count, ...readDelay(delay) });
            if (message.isFresh) delay.reset();
            return;
        }
      },
      stop() {
        delay.disable();
      },
    };
  };
}

const COUNT_KEY = 'count';
const STORE_EVERY = 4_096;
const PROPOSE_MS = 10_000;
const PENDING_MAX = 20_000;
const RESOLUTION_MS = 5;

/** The histogram counts the whole interval of its timer. */
function readDelay(delay: IntervalHistogram): Pick<LookAnswer, 'loopDelayP999Ms' | 'loopDelayMaxMs'> {
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  return { loopDelayP999Ms: late(delay.percentile(99.9)), loopDelayMaxMs: late(delay.max) };
}

function refusal(code: string): Uint8Array {
  return Buffer.from(`${String.fromCharCode(REFUSAL)}${code}`);
}
