import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../base/errors.ts';
import { SystemClock } from '../base/system-clock.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import { describeError } from './ask.ts';
import { exposeThreadControls } from './comlink-control.ts';
import { ActorSystem } from './system.ts';
import { systemTurns } from './system-turns.ts';
import { ThreadLink } from './thread-link.ts';

/** What a thread gets with it into the world. */
export interface ThreadData {
  readonly thread: string;
  /** The thread that started this one. */
  readonly peer: string;
  readonly linkPort: MessagePort;
  readonly controlPort: MessagePort;
}

/** The last words of a thread whose actor asked for the end of the process. */
export interface StopProcessNotice {
  readonly type: 'stop-process';
  readonly address: string;
  readonly code: CodedError['code'];
  readonly message: string;
}

export interface ThreadHandlers<Config> {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Spawns the thread's actors. Messages for them wait until this is done; what it throws is what `start` gives. */
  start(config: Config, system: ActorSystem, link: ThreadLink): void | Promise<void>;
  /** Called before the actors are stopped. */
  stop(): void | Promise<void>;
}

/** Makes this worker thread one that `WorkerThread` can start, ask and stop. A `.worker.ts` file calls it once. */
export function serveThread<Config>(handlers: ThreadHandlers<Config>): void {
  const data = workerData as ThreadData | undefined;
  const parent = parentPort;
  if (parent === null || data?.linkPort === undefined) {
    throw new Error('serveThread runs in a thread that WorkerThread started; this is none');
  }
  const system = new ActorSystem({
    thread: data.thread,
    clock: new SystemClock(),
    random: Math.random,
    log: handlers.log,
    metrics: handlers.metrics,
    turns: systemTurns,
    onStopProcess: (error, address) => {
      const code = error instanceof CodedError ? error.code : 'internal';
      parent.postMessage({
        type: 'stop-process',
        address,
        code,
        message: describeError(error),
      } satisfies StopProcessNotice);
      // The thread that started this one ends the process. This one stays, halted, for what it has opened may be in use
      // there; unless nobody ends it.
      setTimeout(() => process.exit(1), LINGER_MS);
    },
  });
  const link = new ThreadLink({ system, peer: data.peer });
  link.attach(data.linkPort);
  exposeThreadControls<Config>(
    {
      start: async (config) => {
        await handlers.start(config, system, link);
        link.listen();
      },
      stop: async () => {
        await handlers.stop();
        system.stopAll();
        // After this turn the answers that were still owed are posted, and nothing keeps the thread alive.
        system.atTurnEnd(() => {
          link.detach(`thread ${data.thread} has stopped`);
          data.controlPort.close();
        });
      },
      inspect: () => system.inspect(),
    },
    data.controlPort,
  );
}

/** Longer than the other thread takes to end the process. */
const LINGER_MS = 2_500;
