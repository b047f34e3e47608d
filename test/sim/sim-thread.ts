/**
 * The thread of consensus of a simulated node: as in production the two sides know each other by a `ThreadLink` only,
 * but its port is virtual. Each batch takes a while, those of one direction in order. When the thread dies the other
 * side learns of it after all that was posted before, and then the process has to end.
 */
import type { LinkBatch, LinkPort } from '../../src/actors/link-protocol.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { ThreadLink } from '../../src/actors/thread-link.ts';
import { type ConsensusProbes, routeArrival, startConsensus } from '../../src/assembly.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { type Log, noMetrics } from '../../src/base/telemetry.ts';
import type { Arrival, Channel, Transport } from '../../src/cluster/transport.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import { type PlacedConsensus, type Platform, transferLeadership } from '../../src/node.ts';
import type { Disk } from '../../src/store/disk.ts';
import type { Life, Thread } from './life.ts';

export interface SimThreadOptions {
  readonly life: Life;
  readonly random: Random;
  readonly log: Log;
  readonly disk: Disk;
  readonly zones: Zones;
  readonly probes: ConsensusProbes;
  /** Of this life of the node; what consensus says and hears goes by it. */
  readonly transport: () => SharedTransport;
  /** How long the next batch takes from one thread to the other. */
  readonly hopMs: () => number;
  readonly onSystem: (system: ActorSystem) => void;
  readonly onStopProcess: (error: unknown, actor: string) => void;
}

export function placeOnThread(options: SimThreadOptions): NonNullable<Platform['placeConsensus']> {
  const { life, random, log, disk, zones, probes, hopMs, onStopProcess } = options;
  return async ({ self, timing, system: mainSystem }) => {
    const mainPort = new VirtualPort(life.main, hopMs);
    const ownPort = new VirtualPort(life.consensus, hopMs);
    mainPort.other = ownPort;
    ownPort.other = mainPort;
    const mainLink = new ThreadLink({ system: mainSystem, peer: THREAD });
    mainLink.attach(mainPort);
    mainLink.listen();
    /** Whatever ended the thread, its death comes to the main thread behind its last words. */
    const die = (error: unknown, actor: string): void => {
      life.consensus.end();
      mainPort.deliver(() => {
        mainLink.detach('the thread ended');
        onStopProcess(error, actor);
      });
    };
    const system = new ActorSystem({
      thread: THREAD,
      clock: life.consensus.clock,
      random,
      log: log.with({ node: self.name }),
      metrics: noMetrics,
      turns: life.consensus,
      onStopProcess: die,
    });
    options.onSystem(system);
    life.killThread = () => die(new CodedError('thread-died', 'the thread of consensus was ended'), THREAD);
    const link = new ThreadLink({ system, peer: mainSystem.thread });
    link.attach(ownPort);
    const transport = options.transport().ofConsensus;
    const consensus = await startConsensus({
      self,
      timing,
      system,
      disk,
      zones,
      transport,
      executor: link.ref('executor'),
      backend: link.ref('backend'),
      probes,
    });
    const { raft, dispatcher, submission, membership, state } = consensus;
    transport.onArrival((arrival) =>
      routeArrival({ raft, dispatcher, submission, membership, executor: null, output: null }, arrival),
    );
    transport.onUnreachable((node) => raft.send({ type: 'unreachable', node }));
    link.listen();
    return {
      raft: null,
      state,
      stateActor: mainLink.ref('state'),
      submission: mainLink.ref('submission'),
      dispatcher: mainLink.ref('dispatcher'),
      membership: mainLink.ref('membership'),
      reader: () => state.storage,
      follow: () => {},
      transfer: (timeoutMs) => transferLeadership(mainLink.ref('raft'), timeoutMs),
      async stop() {
        system.stopAll();
        await consensus.stop();
        mainLink.detach('the thread has stopped');
      },
    } satisfies PlacedConsensus;
  };
}

/** One transport for both threads: each hears the channels that are its own in production. */
export class SharedTransport {
  readonly ofMain: Transport;
  readonly ofConsensus: Transport;
  #mainHears: ((arrival: Arrival) => void) | undefined;
  #consensusHears: ((arrival: Arrival) => void) | undefined;

  constructor(transport: Transport) {
    transport.onArrival((arrival) => {
      if (CONSENSUS_HEARS.has(arrival.channel)) this.#consensusHears?.(arrival);
      else this.#mainHears?.(arrival);
    });
    const shared = {
      send: transport.send.bind(transport),
      broadcast: transport.broadcast.bind(transport),
      close: () => transport.close(),
    };
    this.ofMain = {
      ...shared,
      onArrival: (listener) => {
        this.#mainHears = listener;
      },
      onUnreachable: () => {},
    };
    this.ofConsensus = {
      ...shared,
      onArrival: (listener) => {
        this.#consensusHears = listener;
      },
      onUnreachable: (listener) => transport.onUnreachable(listener),
    };
  }
}

/** One end. What is posted at it arrives at the other, in order. */
class VirtualPort implements LinkPort {
  other: VirtualPort | undefined;
  readonly #thread: Thread;
  readonly #hopMs: () => number;
  #listener: ((batch: LinkBatch) => void) | undefined;
  /** What came before anybody listened. */
  #waiting: LinkBatch[] = [];
  #lastDueMs = 0;
  #isClosed = false;

  /** `thread` is where this end is. */
  constructor(thread: Thread, hopMs: () => number) {
    this.#thread = thread;
    this.#hopMs = hopMs;
  }

  postMessage(batch: LinkBatch): void {
    if (this.#isClosed) return;
    const { other } = this;
    other?.deliver(() => other.#take(batch));
  }

  on(_event: 'message', listener: (batch: LinkBatch) => void): void {
    this.#listener = listener;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const batch of waiting) listener(batch);
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Runs it on the thread of this end, behind all that is on its way there. */
  deliver(run: () => void): void {
    const nowMs = this.#thread.clock.monotonic();
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + this.#hopMs());
    this.#thread.clock.after(this.#lastDueMs - nowMs, run);
  }

  #take(batch: LinkBatch): void {
    if (this.#isClosed) return;
    if (this.#listener === undefined) this.#waiting.push(batch);
    else this.#listener(batch);
  }
}

const THREAD = 'consensus';
const CONSENSUS_HEARS: ReadonlySet<Channel> = new Set<Channel>(['raft', 'bulk', 'report', 'forward']);
