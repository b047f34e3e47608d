/**
 * The consensus thread of a Raft host: raft actor, log on the disk, transport over NATS as on a server, and a state
 * machine that only counts. Proposals come by NATS on a connection of their own. What of `src/raft` the bench uses, it
 * uses here.
 */
import { connect } from 'nats';
import { serveThread } from '../src/actors/thread-entry.ts';
import { createPinoLog } from '../src/base/pino-log.ts';
import { createPromMetrics } from '../src/base/prom-metrics.ts';
import { openNatsConnections } from '../src/cluster/nats-connections.ts';
import { clientOptions } from '../src/cluster/nats-door.ts';
import { openNatsTransport } from '../src/cluster/nats-transport.ts';
import { ballotFileOn } from '../src/raft/ballot.ts';
import { bootstrapLog, openLogStore } from '../src/raft/log-open.ts';
import { createRaftActor, type RaftMessage } from '../src/raft/raft-actor.ts';
import type { RaftAnswer, SnapshotPort } from '../src/raft/raft-protocol.ts';
import type { Disk } from '../src/store/disk.ts';
import type { Journal } from '../src/store/journal.ts';
import { openSystemDisk } from '../src/store/system-disk.ts';
import { type CounterMessage, createCounter, type LookAnswer, readCounted } from './raft-counter.ts';
import { proposalSubject, type RaftHostConfig } from './raft-host-protocol.ts';

const CLUSTER = 'bench';
/** As a server gives its actors: their senders bound what waits. */
const UNREFUSED = { capacity: 1_000_000, whenFull: 'refuse' } as const;
const NO_SNAPSHOTS: SnapshotPort = {
  open: (done) => done(new Error('the bench sends no snapshots'), null),
  receive: (_meta, done) => done(new Error('the bench takes no snapshots'), null),
};

const log = createPinoLog({ level: 'warn' });
const metrics = createPromMetrics();
let disk: Disk | undefined;
let stopActors: () => Promise<void> = () => Promise.resolve();

serveThread<RaftHostConfig>({
  log,
  metrics,
  async start({ node, voters, clusterUuid, key, directory, natsPort, natsToken, syncDelayMs }, system) {
    const opened = await openSystemDisk(directory);
    disk = opened;
    const journal = delayed(await opened.openJournal('log'), syncDelayMs);
    const ballot = ballotFileOn(opened);
    await bootstrapLog(journal, ballot, clusterUuid, voters);
    const counterStorage = await opened.openStorage('count');
    const counted = readCounted(counterStorage);
    const logStore = await openLogStore({ journal, ballot, clusterUuid, state: counted });
    const refs: { raft?: ReturnType<typeof spawnRaft> } = {};
    const raftRef = () => refs.raft ?? fail('the raft actor is not there yet');

    const door = { servers: [`127.0.0.1:${natsPort}`], token: natsToken };
    const connections = openNatsConnections({
      door,
      nodeName: node,
      purposes: ['raft', 'bulk'],
      clock: system.clock,
      log,
      metrics,
    });
    const transport = openNatsTransport({
      self: { nodeId: node, boot: 1, cluster: clusterUuid, key: Buffer.from(key, 'hex') },
      clusterName: CLUSTER,
      thread: 'consensus',
      hears: ['raft', 'bulk'],
      connectionOf: (channel) => connections.get(channel === 'raft' ? 'raft' : 'bulk'),
      clock: system.clock,
      log,
      metrics,
    });
    const counter = system.spawn<CounterMessage, LookAnswer>({
      name: 'counter',
      supervision: { type: 'stop-process' },
      mailbox: UNREFUSED,
      create: createCounter({ storage: counterStorage, counted, raft: raftRef }),
    });
    const spawnRaft = () =>
      system.spawn<RaftMessage, RaftAnswer>({
        name: 'raft',
        supervision: { type: 'stop-process' },
        mailbox: UNREFUSED,
        create: createRaftActor({
          nodeId: node,
          logStore,
          appliedIndex: counted.index,
          send: (to, channel, body) => transport.send(to, channel, body),
          listener: counter,
          snapshotPort: NO_SNAPSHOTS,
          metrics,
          log,
        }),
      });
    const raft = spawnRaft();
    refs.raft = raft;
    transport.onArrival(({ channel, from, body }) => {
      if (channel === 'raft' || channel === 'bulk') raft.send({ type: 'frame', from, channel, body });
    });
    transport.onUnreachable((unreachable) => raft.send({ type: 'unreachable', node: unreachable }));

    const api = await connect(clientOptions(door, `${node}/api`));
    api.subscribe(proposalSubject(node), {
      callback: (error, request) => {
        if (error === null) counter.send({ type: 'asked', request });
      },
    });
    stopActors = async () => {
      system.stopAll();
      await api.close();
      await transport.close();
      await connections.close();
    };
  },
  async stop() {
    await stopActors();
    await disk?.close();
  },
});

/** A disk whose syncs take so much longer. */
function delayed(storage: Journal, milliseconds: number): Journal {
  if (milliseconds === 0) return storage;
  return {
    damage: storage.damage,
    get: (key) => storage.get(key),
    scan: (range, done) => storage.scan(range, done),
    snapshot: () => storage.snapshot(),
    close: () => storage.close(),
    // The log writes one batch at a time, so the order of batches stays.
    write: (batch, done) => void setTimeout(() => storage.write(batch, done), milliseconds),
  };
}

function fail(message: string): never {
  throw new Error(message);
}
