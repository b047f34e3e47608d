/** Entry of the consensus thread; see `consensus-thread.ts`. */
import { serveThread } from './actors/thread-entry.ts';
import { routeArrival, startConsensus } from './assembly.ts';
import { createPinoLog, type LogLevel } from './base/pino-log.ts';
import { createPromMetrics } from './base/prom-metrics.ts';
import { LoopDelay } from './base/system-loop-delay.ts';
import { type ConsensusThreadConfig, type MetricsMessage, THREAD } from './consensus-thread.ts';
import { createIntlZones } from './jobs/intl-zones.ts';
import { openConsensusWires } from './nats-wires.ts';
import type { Disk } from './store/disk.ts';
import { openSystemDisk } from './store/system-disk.ts';

const metrics = createPromMetrics();
const loopDelay = new LoopDelay(THREAD);
let disk: Disk | undefined;
let stopActors: () => Promise<void> = () => Promise.resolve();

serveThread<ConsensusThreadConfig>({
  log: createPinoLog({ level: (process.env['CARILLON_LOG_LEVEL'] ?? 'info') as LogLevel }).with({
    node: process.env['CARILLON_NODE_NAME'],
  }),
  metrics,
  async start({ self, timing, directory, nats }, system, link) {
    disk = await openSystemDisk(directory, { lock: 'shared' });
    system.spawn<MetricsMessage, string>({
      name: 'metrics',
      supervision: { type: 'stop' },
      create: () => ({
        receive: (_message, reply) => {
          system.sample();
          loopDelay.sample(metrics);
          void metrics.text().then(reply);
        },
      }),
    });
    const surroundings = { clock: system.clock, log: system.log, metrics };
    const wires = nats === null ? null : openConsensusWires(nats, self, surroundings);
    const consensus = await startConsensus({
      self,
      timing,
      system,
      disk,
      zones: createIntlZones(),
      transport: wires?.transport ?? null,
      executor: link.ref('executor'),
      backend: link.ref('backend'),
    });
    const { raft, dispatcher, submission, membership } = consensus;
    const doors = { raft, dispatcher, submission, membership, executor: null, output: null };
    wires?.transport.onArrival((arrival) => routeArrival(doors, arrival));
    wires?.transport.onUnreachable((node) => raft.send({ type: 'unreachable', node }));
    stopActors = async () => {
      system.stopAll();
      await consensus.stop();
      await wires?.close();
    };
  },
  async stop() {
    // Nothing may write to a storage that is being closed.
    await stopActors();
    await disk?.close();
  },
});
