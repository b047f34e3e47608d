import { strict as assert } from 'node:assert';
import type { Clock } from '../base/time.ts';
import { type Addressee, decodeEnvelope, type EnvelopeRefusal, encodeEnvelope, NOBODY } from './envelope.ts';
import type { Arrival, Channel, Transport } from './transport.ts';

/** A frame on its way, for whoever judges it. */
export interface Passage {
  readonly from: string;
  readonly to: string;
  readonly channel: Channel;
  readonly sizeBytes: number;
}

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** Default `NOBODY`: a cluster before its genesis. */
  readonly cluster?: string;
  /** Default empty: no MAC. */
  readonly key?: Uint8Array;
  /** One delay in ms per copy that arrives: none drops the frame, two double it. Default: one at once. */
  readonly judge?: (passage: Passage) => readonly number[];
}

export interface AttachOptions {
  /** Servers hear `alive`; agents do not. Default true. */
  readonly isServer?: boolean;
  /** Instead of the network's. */
  readonly cluster?: string;
  readonly key?: Uint8Array;
}

/** What became of frames so far. */
export interface NetworkCounts {
  sent: number;
  arrived: number;
  /** By a verdict, a cut, or because nobody was there. */
  lost: number;
  readonly refused: Record<EnvelopeRefusal, number>;
}

/**
 * A network in memory: whole envelopes between nodes in one thread, in an order that only clock and verdicts decide.
 * What a node sends to itself always arrives, as on a loopback device; broadcasts reach their sender too.
 */
export class MemoryNetwork {
  readonly counts: NetworkCounts = {
    sent: 0,
    arrived: 0,
    lost: 0,
    refused: { short: 0, version: 0, crc: 0, mac: 0, cluster: 0, addressee: 0, boot: 0 },
  };
  readonly #clock: Clock;
  readonly #cluster: string;
  readonly #key: Uint8Array;
  readonly #judge: (passage: Passage) => readonly number[];
  readonly #endpoints = new Map<string, Endpoint>();
  /** Cuts by sender: which receivers it does not reach. */
  readonly #cuts = new Map<string, Set<string>>();

  constructor({ clock, cluster = NOBODY, key = NO_KEY, judge = atOnce }: MemoryNetworkOptions) {
    this.#clock = clock;
    this.#cluster = cluster;
    this.#key = key;
    this.#judge = judge;
  }

  /** Connects a life of a node. Its former life must be detached. */
  attach(nodeId: string, boot: number, options: AttachOptions = {}): Transport {
    assert(!this.#endpoints.has(nodeId), `node ${nodeId} is attached already`);
    const { isServer = true, cluster = this.#cluster, key = this.#key } = options;
    const endpoint = new Endpoint(
      { nodeId, boot, cluster, key },
      {
        isServer,
        send: (frame, to, channel) => this.#send(endpoint, frame, to, channel),
        receivers: (channel) => this.#receivers(channel),
        detach: () => {
          if (this.#endpoints.get(nodeId) === endpoint) this.#endpoints.delete(nodeId);
        },
      },
    );
    this.#endpoints.set(nodeId, endpoint);
    return endpoint;
  }

  /** The node has crashed or left: what is on its way to it is lost, and it sends no more. */
  detach(nodeId: string): void {
    this.#endpoints.get(nodeId)?.leave();
  }

  /** From now on nothing gets from one to the other, what is on its way included. One direction only. */
  cut(from: string, to: string): void {
    const receivers = this.#cuts.get(from);
    if (receivers === undefined) this.#cuts.set(from, new Set([to]));
    else receivers.add(to);
  }

  /** Only nodes of one group reach one another. Replaces all cuts. */
  partition(groups: readonly (readonly string[])[]): void {
    this.heal();
    for (const group of groups) {
      for (const other of groups) {
        if (other === group) continue;
        for (const from of group) for (const to of other) this.cut(from, to);
      }
    }
  }

  heal(): void {
    this.#cuts.clear();
  }

  #receivers(channel: Channel): string[] {
    const nodeIds: string[] = [];
    for (const [nodeId, endpoint] of this.#endpoints) {
      if (channel !== 'alive' || endpoint.isServer) nodeIds.push(nodeId);
    }
    return nodeIds;
  }

  #send(sender: Endpoint, frame: Uint8Array, to: string, channel: Channel): void {
    const from = sender.nodeId;
    this.counts.sent += 1;
    const passage: Passage = { from, to, channel, sizeBytes: frame.byteLength };
    const delaysMs = from === to ? AT_ONCE : this.#isCut(from, to) ? [] : this.#judge(passage);
    if (delaysMs.length === 0) this.counts.lost += 1;
    for (const delayMs of delaysMs) this.#clock.after(delayMs, () => this.#arrive(from, to, frame));
  }

  #arrive(from: string, to: string, frame: Uint8Array): void {
    const receiver = this.#endpoints.get(to);
    if (receiver === undefined || this.#isCut(from, to)) {
      this.counts.lost += 1;
      return;
    }
    const refusal = receiver.arrive(frame);
    if (refusal === undefined) this.counts.arrived += 1;
    else this.counts.refused[refusal] += 1;
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.get(from)?.has(to) === true;
  }
}

interface EndpointNetwork {
  readonly isServer: boolean;
  readonly send: (frame: Uint8Array, to: string, channel: Channel) => void;
  readonly receivers: (channel: Channel) => string[];
  readonly detach: () => void;
}

class Endpoint implements Transport {
  readonly isServer: boolean;
  readonly #self: Addressee;
  readonly #network: EndpointNetwork;
  /**
   * The boot last heard of each peer: what is meant for that life must not reach the next. Before a peer was heard,
   * frames go to whichever life it is in. As many entries as the network has nodes.
   */
  readonly #peerBoots = new Map<string, number>();
  #listener: ((arrival: Arrival) => void) | undefined;
  #isAttached = true;

  constructor(self: Addressee, network: EndpointNetwork) {
    this.isServer = network.isServer;
    this.#self = self;
    this.#network = network;
  }

  get nodeId(): string {
    return this.#self.nodeId;
  }

  send(to: string, channel: Channel, body: Uint8Array): void {
    if (!this.#isAttached) return;
    this.#network.send(this.#envelope(to, this.#peerBoots.get(to) ?? 0, channel, body), to, channel);
  }

  broadcast(channel: 'alive' | 'leader', body: Uint8Array): void {
    if (!this.#isAttached) return;
    const frame = this.#envelope(NOBODY, 0, channel, body);
    for (const to of this.#network.receivers(channel)) this.#network.send(frame, to, channel);
  }

  onArrival(listener: (arrival: Arrival) => void): void {
    assert(this.#listener === undefined, 'a transport has one listener');
    this.#listener = listener;
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  leave(): void {
    this.#isAttached = false;
    this.#network.detach();
  }

  arrive(frame: Uint8Array): EnvelopeRefusal | undefined {
    const decoded = decodeEnvelope(frame, this.#self);
    if (decoded.type === 'refused') return decoded.reason;
    const { channel, from, fromBoot, body } = decoded.envelope;
    if (fromBoot > (this.#peerBoots.get(from) ?? 0)) this.#peerBoots.set(from, fromBoot);
    this.#listener?.({ channel, from, fromBoot, body });
    return undefined;
  }

  #envelope(to: string, toBoot: number, channel: Channel, body: Uint8Array): Uint8Array {
    const { cluster, nodeId: from, boot: fromBoot, key } = this.#self;
    return encodeEnvelope({ channel, group: 0, cluster, from, fromBoot, to, toBoot, body }, key);
  }
}

const NO_KEY = new Uint8Array(0);
const AT_ONCE: readonly number[] = [0];

function atOnce(): readonly number[] {
  return AT_ONCE;
}
