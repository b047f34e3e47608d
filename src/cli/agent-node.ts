/** Starts the node of `carillon agent`: it only executes. With an HTTP address it shows its probes and metrics there. */
import { systemTurns } from '../actors/system-turns.ts';
import { createPinoLog } from '../base/pino-log.ts';
import { createPromMetrics } from '../base/prom-metrics.ts';
import { SystemClock } from '../base/system-clock.ts';
import { LoopDelay } from '../base/system-loop-delay.ts';
import { createIntlZones } from '../jobs/intl-zones.ts';
import { openWorkWires } from '../nats-wires.ts';
import { type RunningNode, startNode } from '../node.ts';
import type { NodeSettings } from '../settings-table.ts';
import { joinAsMember, mint, presenceCheck } from './cluster-member.ts';
import { type ClusterNode, clusterConfig } from './cluster-node.ts';
import { hearStopSignals } from './dev-signals.ts';
import { advertisedAddress, makeExecutors, stopProcessWith, takeAddress } from './node-parts.ts';
import type { Secrets } from './secrets.ts';

const GRACE_MS = 1_000;

/** Null: a signal came before the cluster was found. */
export async function startAgentNode(
  settings: NodeSettings,
  secrets: Secrets,
  version: string,
): Promise<ClusterNode | null> {
  const log = createPinoLog({ level: settings.logLevel });
  for (const warning of secrets.warnings) log.warn(warning);
  const address = settings.http === null ? null : await takeAddress(settings.http);
  const stopAsked = hearStopSignals(settings.drainMs, log);
  const metrics = createPromMetrics({ process: true });
  const onStopProcess = stopProcessWith(log);
  const nodeLog = log.with({ node: settings.nodeName });
  let running: RunningNode | undefined;
  const onVoters = ({ voters }: { readonly voters: readonly string[] }) => running?.setServers(voters);
  const joining = { settings, secrets, isServer: false, log: nodeLog, metrics, onStopProcess, stopAsked, onVoters };
  const member = await joinAsMember(joining);
  if (member === null) return null;
  const { directory, disk, way } = member;
  const clock = new SystemClock();
  const loopDelay = new LoopDelay('main');
  const node = await startNode(
    {
      ...clusterConfig(settings, member, version),
      isServer: false,
      address: address === null ? '' : advertisedAddress(settings, address),
    },
    {
      clock,
      random: Math.random,
      turns: systemTurns,
      log,
      metrics,
      disk,
      zones: createIntlZones(),
      executors: makeExecutors(settings, log),
      mint,
      connect: (self) => openWorkWires(way, self, { clock, log: nodeLog, metrics }, { ...member, hearsAll: false }),
      onStopProcess,
    },
  );
  running = node;
  let isDraining = false;
  const checks = () => [
    { name: 'nats', isOk: member.connections.status === 'connected', detail: member.connections.status },
    { name: 'not-draining', isOk: !isDraining, detail: isDraining ? 'the node is about to stop' : '' },
    presenceCheck(member),
  ];
  // An agent without HTTP does not carry the code of a door.
  const http =
    address === null
      ? null
      : (await import('../api/fastify-http.ts')).createProbeDoor({
          context: {
            backend: {
              health: () => Promise.resolve({ checks: checks() }),
              metrics: () => {
                node.system.sample();
                loopDelay.sample(metrics);
                return metrics.text();
              },
            },
            clock,
            log,
            metrics,
          },
          nodeName: settings.nodeName,
          apiToken: secrets.apiToken,
        });
  address?.release();
  const url = http === null || address === null ? '' : await http.listen(address);
  const close = async () => {
    isDraining = true;
    if (!(await node.drain(settings.drainMs))) {
      log.warn(`work still runs after ${settings.drainMs} ms: it is ended, and recorded as lost`);
    }
    await http?.close(GRACE_MS);
    await node.stop();
    await member.close();
  };
  return { url, directory, ended: stopAsked.then(close) };
}
