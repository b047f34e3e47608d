/** What `server` and `agent` do alike before their node runs: directory, identity, NATS, and a place in the cluster. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { KnownServer } from '../api/backend.ts';
import { CodedError } from '../base/errors.ts';
import { SystemClock } from '../base/system-clock.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import { type Formation, formOrJoin } from '../cluster/formation.ts';
import { type Identity, openIdentity } from '../cluster/identity.ts';
import type { NatsConnections } from '../cluster/nats-connections.ts';
import { openNatsHall } from '../cluster/nats-hall.ts';
import { PeerBoots } from '../cluster/peer-boots.ts';
import type { Presence } from '../cluster/presence.ts';
import { type NatsWay, openWorkConnections } from '../nats-wires.ts';
import type { NodeSettings } from '../settings-table.ts';
import type { Disk } from '../store/disk.ts';
import { openSystemDisk } from '../store/system-disk.ts';
import type { StopProcess } from './node-parts.ts';
import type { Secrets } from './secrets.ts';

export interface Member {
  readonly directory: string;
  readonly disk: Disk;
  readonly identity: Identity;
  readonly formation: Formation;
  readonly presence: Presence;
  readonly way: NatsWay;
  readonly connections: NatsConnections;
  readonly boots: PeerBoots;
  /** After the node: leaves the hall and NATS. */
  close(): Promise<void>;
}

export interface Joining {
  readonly settings: NodeSettings;
  readonly secrets: Secrets;
  readonly isServer: boolean;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onStopProcess: StopProcess;
  readonly stopAsked: Promise<void>;
  /** On an agent: other servers vote by now. */
  readonly onVoters?: (formation: Formation) => void;
}

/** Null: a signal came while it waited for the others. */
export async function joinAsMember(joining: Joining): Promise<Member | null> {
  const { settings, secrets, log, isServer, metrics, stopAsked, onStopProcess } = joining;
  const clock = new SystemClock();
  const surroundings = { clock, log, metrics };
  const directory = resolve(settings.dataDir);
  const disk = await openSystemDisk(directory);
  const way: NatsWay = { door: secrets.nats, key: secrets.clusterKey, nodeName: settings.nodeName };
  const connections = openWorkConnections(way, surroundings);
  const boots = new PeerBoots();
  const stopping = new AbortController();
  void stopAsked.then(() => stopping.abort(STOPPED));
  try {
    const opened = await openIdentity(disk, {
      clusterName: settings.cluster,
      nodeName: settings.nodeName,
      mint,
    });
    const hall = openNatsHall({
      ...surroundings,
      speaker: { nodeId: opened.nodeId, boot: opened.boot, key: secrets.clusterKey },
      clusterName: settings.cluster,
      connection: connections.get('exec'),
    });
    const { identity, formation, presence } = await formOrJoin({
      hall,
      identity: opened,
      files: disk,
      isServer,
      expect: settings.bootstrapExpect,
      clock,
      log,
      mint,
      signal: stopping.signal,
      ...(joining.onVoters && { onVoters: joining.onVoters }),
      onMustStop: (error) => onStopProcess(error, 'presence'),
      // Only of lives past their start: a copy that is refused must not cut off the one that runs.
      onLife: (nodeId, boot) => void boots.hear(nodeId, boot),
    });
    const close = async () => {
      presence.close();
      await hall.close();
      await connections.close();
    };
    return { directory, disk, identity, formation, presence, way, connections, boots, close };
  } catch (error) {
    await connections.close();
    await disk.close();
    if (error === STOPPED) return null;
    throw error;
  }
}

export function mint(): string {
  return randomBytes(16).toString('hex');
}

/** Servers that were heard a moment ago and belong to no cluster: they can be added to this one. */
export function waitingServers({ presence }: Pick<Member, 'presence'>, nowMs: number): readonly KnownServer[] {
  return presence.peers
    .heardWithin(WAITING_HEARD_MS, nowMs)
    .filter(({ here }) => here.isServer && here.stage === 'forming' && here.clusterUuid === null)
    .map(({ nodeId, here }) => ({ node: nodeId, name: here.name }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** They speak four times a second. */
const WAITING_HEARD_MS = 3_000;

/** Two nodes of one name, or two clusters: an operator must act. */
export function presenceCheck({ presence }: Pick<Member, 'presence'>) {
  const conflicts = presence.conflicts();
  return { name: 'presence', isOk: conflicts.length === 0, detail: conflicts.join('; ') };
}

const STOPPED = new CodedError('stopped', 'a signal came before the cluster was found');
