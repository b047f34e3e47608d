/**
 * A node's connections to NATS, and what each of its threads hears on them. What must not queue behind another thing
 * has a connection of its own: raft frames leave and arrive alone, snapshots and large lists share the second one.
 *
 *   consensus thread   raft │ bulk: snapshots, reports and forwarded calls in; orders and the beacon out
 *   main thread        exec: orders, the beacon and output in; reports and output out; the hall
 *                      api:  clients, events (api/nats-service.ts)
 */
import type { Self } from './assembly.ts';
import type { Log, Metrics } from './base/telemetry.ts';
import type { Clock } from './base/time.ts';
import { type NatsConnections, openNatsConnections } from './cluster/nats-connections.ts';
import type { NatsDoor } from './cluster/nats-door.ts';
import { openNatsTransport } from './cluster/nats-transport.ts';
import type { PeerBoots } from './cluster/peer-boots.ts';
import type { Channel, Transport } from './cluster/transport.ts';

/** How a node gets to NATS; plain data, for its other thread too. */
export interface NatsWay {
  readonly door: NatsDoor;
  /** Of the cluster; empty where frames prove nothing. */
  readonly key: Uint8Array;
  readonly nodeName: string;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

type Heard = Exclude<Channel, 'alive'>;

const CONSENSUS_HEARS: readonly Heard[] = ['raft', 'bulk', 'report', 'forward'];
const WORK_HEARS: readonly Heard[] = ['exec', 'leader'];

/** What raft, dispatcher and submission speak through, on the thread where they live. */
export function openConsensusWires(
  way: NatsWay,
  self: Self,
  surroundings: Surroundings,
): { readonly transport: Transport; close(): Promise<void> } {
  const connections = connectTo(way, ['raft', 'bulk'], surroundings);
  const transport = openNatsTransport({
    ...addressed(way, self, surroundings),
    thread: 'consensus',
    hears: CONSENSUS_HEARS,
    connectionOf: (channel) => connections.get(channel === 'raft' ? 'raft' : 'bulk'),
  });
  return { transport, close: () => closeBoth(transport, connections) };
}

/** The connection that a node has from its first moment on: it listens in the hall before it belongs to a cluster. */
export function openWorkConnections(way: NatsWay, surroundings: Surroundings): NatsConnections {
  return connectTo(way, ['exec'], surroundings);
}

/** What executor and output speak through. With `hearsAll` also the consensus side, where it lives on this thread. */
export function openWorkWires(
  way: NatsWay,
  self: Self,
  surroundings: Surroundings,
  options: { readonly connections: NatsConnections; readonly boots: PeerBoots; readonly hearsAll: boolean },
): Transport {
  const { connections, boots, hearsAll } = options;
  return openNatsTransport({
    ...addressed(way, self, surroundings),
    hears: hearsAll ? [...CONSENSUS_HEARS, ...WORK_HEARS] : WORK_HEARS,
    connectionOf: () => connections.get('exec'),
    boots,
  });
}

function connectTo({ door, nodeName }: NatsWay, purposes: readonly string[], surroundings: Surroundings) {
  return openNatsConnections({ door, nodeName, purposes, ...surroundings });
}

function addressed({ key }: NatsWay, { node, boot, clusterUuid, cluster }: Self, surroundings: Surroundings) {
  return { self: { nodeId: node, boot, cluster: clusterUuid, key }, clusterName: cluster, ...surroundings };
}

async function closeBoth(transport: Transport, connections: NatsConnections): Promise<void> {
  await transport.close();
  await connections.close();
}
