import { strict as assert } from 'node:assert';
import type { Clock } from '../base/time.ts';
import { type Addressee, type EnvelopeRefusal, NOBODY } from './envelope.ts';
import { Frames } from './frames.ts';
import { PeerBoots } from './peer-boots.ts';
import type { Arrival, Channel, Transport } from './transport.ts';

/** What an endpoint needs of its network. */
export interface EndpointNetwork {
  readonly clock: Clock;
  /** `again` seals the same body once more. */
  send(frame: Uint8Array, to: string, channel: Channel, again: () => Uint8Array): void;
  broadcast(frame: Uint8Array, channel: Channel, again: () => Uint8Array): void;
  leave(): void;
}

/** One life of a node on a `MemoryNetwork`. */
export class Endpoint implements Transport {
  readonly nodeId: string;
  readonly #isServer: boolean;
  readonly #frames: Frames;
  readonly #network: EndpointNetwork;
  #listener: ((arrival: Arrival) => void) | undefined;
  #unreachable: ((nodeId: string) => void) | undefined;
  #isAttached = true;

  constructor(self: Addressee, isServer: boolean, network: EndpointNetwork) {
    this.nodeId = self.nodeId;
    this.#isServer = isServer;
    this.#frames = new Frames({ self, thread: 'main', boots: new PeerBoots(), clock: network.clock });
    this.#network = network;
  }

  send(to: string, channel: Channel, body: Uint8Array): void {
    if (!this.#isAttached) return;
    const seal = () => this.#frames.seal(channel, to, body);
    this.#network.send(seal(), to, channel, seal);
  }

  broadcast(channel: 'leader', body: Uint8Array): void {
    if (!this.#isAttached) return;
    const seal = () => this.#frames.seal(channel, NOBODY, body);
    this.#network.broadcast(seal(), channel, seal);
  }

  onArrival(listener: (arrival: Arrival) => void): void {
    assert(this.#listener === undefined, 'a transport has one listener');
    this.#listener = listener;
  }

  onUnreachable(listener: (nodeId: string) => void): void {
    assert(this.#unreachable === undefined, 'a transport has one listener for hints');
    this.#unreachable = listener;
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  leave(): void {
    this.#isAttached = false;
    this.#network.leave();
  }

  hears(channel: Channel): boolean {
    return this.#isServer || channel === 'exec' || channel === 'leader';
  }

  arrive(frame: Uint8Array, channel: Channel): EnvelopeRefusal | undefined {
    const opened = this.#frames.open(frame, channel);
    if (opened.type === 'refused') return opened.reason;
    this.#listener?.(opened.arrival);
    return undefined;
  }

  get wantsHints(): boolean {
    return this.#isAttached && this.#unreachable !== undefined;
  }

  hint(nodeId: string): void {
    if (this.#isAttached) this.#unreachable?.(nodeId);
  }
}
