/**
 * A process that has of a server only what agrees: the consensus thread of `raft-host.worker.ts`. The bench starts three
 * with their config as JSON, asks them by IPC, and they end with it.
 */
import { askPromise } from '../src/actors/ask.ts';
import { ActorSystem } from '../src/actors/system.ts';
import { systemTurns } from '../src/actors/system-turns.ts';
import { WorkerThread } from '../src/actors/worker-thread.ts';
import { createPinoLog } from '../src/base/pino-log.ts';
import { SystemClock } from '../src/base/system-clock.ts';
import { noMetrics } from '../src/base/telemetry.ts';
import type { LookAnswer, LookMessage } from './raft-counter.ts';
import type { FromHost, RaftHostConfig, ToHost } from './raft-host-protocol.ts';

const LOOK_MS = 5_000;

async function runHost(config: RaftHostConfig): Promise<void> {
  const log = createPinoLog({ level: 'warn' });
  const end = (error: unknown, where: string) => {
    process.stderr.write(`${where}: ${error instanceof Error ? error.stack : error}\n`);
    process.exit(1);
  };
  const system = new ActorSystem({
    thread: 'main',
    clock: new SystemClock(),
    random: Math.random,
    log,
    metrics: noMetrics,
    turns: systemTurns,
    onStopProcess: end,
  });
  const thread = new WorkerThread<RaftHostConfig>({
    name: 'consensus',
    entry: new URL('./raft-host.worker.js', import.meta.url),
    config,
    system,
    supervision: { type: 'stop-process' },
    onStopProcess: end,
  });
  const tell = (message: FromHost) => process.send?.(message);
  // The bench is gone, however it ended.
  process.once('disconnect', () => process.exit(1));
  await thread.start();
  const counter = thread.link.ref<LookMessage, LookAnswer>('counter');
  process.on('message', (message: ToHost) => {
    if (message.type === 'stop') {
      // A profiler writes its file at an orderly end.
      void thread.stop().then(() => process.exit(0));
      return;
    }
    const { number, isFresh } = message;
    void askPromise(counter, { type: 'look', isFresh }, LOOK_MS).then((outcome) =>
      tell({ type: 'seen', number, seen: outcome.type === 'answer' ? outcome.answer : null }),
    );
  });
  tell({ type: 'up' });
}

await runHost(JSON.parse(process.argv[2] ?? '') as RaftHostConfig);
