/**
 * The consensus side on a worker thread: this file is the main thread's end, `consensus.worker.ts` the other. Raft,
 * state, scheduler and dispatcher live there, so that nothing that clients or runs do here holds up a heartbeat.
 */
import type { ActorRef } from './actors/actor.ts';
import { askPromise } from './actors/ask.ts';
import { WorkerThread } from './actors/worker-thread.ts';
import type { Self, Timing } from './assembly.ts';
import { mergePromTexts } from './base/prom-metrics.ts';
import { untilNoNativeWork } from './base/system-native-work.ts';
import type { NatsWay } from './nats-wires.ts';
import { type PlacedConsensus, type Platform, transferLeadership } from './node.ts';
import { openCurrentState } from './scheduler/snapshot.ts';
import type { Disk } from './store/disk.ts';
import type { Storage } from './store/storage.ts';

export interface ConsensusThreadConfig {
  readonly self: Self;
  readonly timing: Timing;
  readonly directory: string;
  /** Null on a node that is a cluster of its own. */
  readonly nats: NatsWay | null;
}

/** Names of the actors that the two sides look each other up by. */
export const THREAD = 'consensus';

const METRICS_MS = 1_000;

export type MetricsMessage = { readonly type: 'text' };

export interface ConsensusThread {
  readonly place: NonNullable<Platform['placeConsensus']>;
  /** Both threads' texts; a thread that does not answer shows as `carillon_thread_up 0`. */
  metricsText(mainText: () => Promise<string>): Promise<string>;
}

export function consensusThread(options: {
  readonly directory: string;
  readonly disk: Disk;
  readonly nats: NatsWay | null;
  readonly onStopProcess: (error: unknown, actor: string) => void;
}): ConsensusThread {
  let metrics: ActorRef<MetricsMessage, string> | null = null;
  return {
    async place({ self, timing, system }) {
      const thread = new WorkerThread<ConsensusThreadConfig>({
        name: THREAD,
        entry: new URL('./consensus.worker.js', import.meta.url),
        config: { self, timing, directory: options.directory, nats: options.nats },
        system,
        supervision: { type: 'stop-process' },
        onStopProcess: options.onStopProcess,
      });
      await thread.start();
      metrics = thread.link.ref('metrics');
      const reader = await openReader(options);
      return {
        raft: null,
        state: null,
        stateActor: thread.link.ref('state'),
        submission: thread.link.ref('submission'),
        dispatcher: thread.link.ref('dispatcher'),
        membership: thread.link.ref('membership'),
        reader: reader.storage,
        follow: (progress) => reader.follow(progress.storageName),
        transfer: (timeoutMs) => transferLeadership(thread.link.ref('raft'), timeoutMs),
        async stop() {
          // What this thread reads with belongs to the other one.
          await untilNoNativeWork();
          await thread.stop();
        },
      } satisfies PlacedConsensus;
    },
    async metricsText(mainText) {
      const outcome = metrics === null ? null : await askPromise(metrics, { type: 'text' }, METRICS_MS);
      const isUp = outcome?.type === 'answer';
      const up = [
        '# HELP carillon_thread_up Whether the thread answered in time.',
        '# TYPE carillon_thread_up gauge',
        'carillon_thread_up{thread="main"} 1',
        `carillon_thread_up{thread="${THREAD}"} ${isUp ? 1 : 0}`,
        '',
      ].join('\n');
      const texts = new Map([['main', await mainText()]]);
      if (isUp) texts.set(THREAD, outcome.answer);
      return up + mergePromTexts(texts);
    },
  };
}

/** A second handle on the state; when a snapshot has moved it, the new place is opened and the old one closed. */
async function openReader({
  disk,
  onStopProcess,
}: {
  readonly disk: Disk;
  readonly onStopProcess: (error: unknown, actor: string) => void;
}): Promise<{ storage: () => Storage; follow: (name: string) => void }> {
  const opened = await openCurrentState(disk);
  let name = opened.name;
  let storage = opened.storage;
  /** Moves happen one after another. */
  let following = Promise.resolve();
  return {
    storage: () => storage,
    follow(newName) {
      if (newName === name) return;
      name = newName;
      following = following
        .then(async () => {
          const old = storage;
          storage = await disk.openStorage(newName);
          await old.close();
        })
        .catch((error: unknown) => onStopProcess(error, 'reader'));
    },
  };
}
