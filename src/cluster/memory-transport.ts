import { strict as assert } from 'node:assert';
import type { Clock } from '../base/time.ts';
import { type EnvelopeRefusal, NOBODY } from './envelope.ts';
import type { Hall } from './hall.ts';
import { Endpoint } from './memory-endpoint.ts';
import { MemoryHall } from './memory-hall.ts';
import type { Channel, Transport } from './transport.ts';

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
  /**
   * One delay in ms per copy that arrives: none drops the frame; two are its sender saying it twice, as those do who
   * were not answered, so both are heard. A frame that only the network doubles (`inject`) is refused. Default: one at
   * once.
   */
  readonly judge?: (passage: Passage) => readonly number[];
  /** Larger frames are dropped. Default 1 MiB, as in NATS. */
  readonly frameBytesMax?: number;
}

export interface AttachOptions {
  /** Servers hear every channel; agents only `exec` and `leader`. Default true. */
  readonly isServer?: boolean;
  /** Instead of the network's. */
  readonly cluster?: string;
  readonly key?: Uint8Array;
}

/** What became of frames so far. */
export interface NetworkCounts {
  sent: number;
  arrived: number;
  /** By a verdict, a cut, because nobody was there or the network was down. */
  lost: number;
  oversized: number;
  readonly refused: Record<EnvelopeRefusal, number>;
}

/**
 * A network in memory: whole envelopes between nodes in one thread, in an order that only clock and verdicts decide.
 * What a node sends to itself always arrives, as on a loopback device; broadcasts and words reach their sender too.
 */
export class MemoryNetwork {
  readonly counts: NetworkCounts = {
    sent: 0,
    arrived: 0,
    lost: 0,
    oversized: 0,
    refused: { short: 0, version: 0, crc: 0, mac: 0, cluster: 0, channel: 0, addressee: 0, boot: 0, replay: 0 },
  };
  readonly #clock: Clock;
  readonly #cluster: string;
  readonly #key: Uint8Array;
  readonly #judge: (passage: Passage) => readonly number[];
  readonly #frameBytesMax: number;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #halls = new Map<string, MemoryHall>();
  /** Cuts by sender: which receivers it does not reach. */
  readonly #cuts = new Map<string, Set<string>>();
  #isDown = false;
  /** How often it went down: what was on its way then is lost. */
  #downs = 0;

  constructor(options: MemoryNetworkOptions) {
    const { clock, cluster = NOBODY, key = NO_KEY, judge = atOnce, frameBytesMax = FRAME_BYTES_MAX } = options;
    this.#clock = clock;
    this.#cluster = cluster;
    this.#key = key;
    this.#judge = judge;
    this.#frameBytesMax = frameBytesMax;
  }

  /** Connects a life of a node. Its former life must be detached. */
  attach(nodeId: string, boot: number, options: AttachOptions = {}): Transport {
    assert(!this.#endpoints.has(nodeId), `node ${nodeId} is attached already`);
    const { isServer = true, cluster = this.#cluster, key = this.#key } = options;
    const endpoint = new Endpoint({ nodeId, boot, cluster, key }, isServer, {
      clock: this.#clock,
      send: (frame, to, channel, again) => this.#send(endpoint, frame, to, channel, again),
      broadcast: (frame, channel, again) => {
        for (const to of this.#endpoints.keys()) this.#send(endpoint, frame, to, channel, again);
      },
      leave: () => {
        if (this.#endpoints.get(nodeId) === endpoint) this.#endpoints.delete(nodeId);
      },
    });
    this.#endpoints.set(nodeId, endpoint);
    return endpoint;
  }

  /** Lets a life of a node into the hall of this network. */
  enterHall(nodeId: string, boot: number, { key = this.#key }: Pick<AttachOptions, 'key'> = {}): Hall {
    assert(!this.#halls.has(nodeId), `node ${nodeId} is in the hall already`);
    const hall = new MemoryHall(
      { nodeId, boot, key },
      {
        say: (frame) => {
          for (const to of this.#halls.keys()) this.#send(hall, frame, to, 'alive');
        },
        isUp: () => !this.#isDown,
        leave: () => {
          if (this.#halls.get(nodeId) === hall) this.#halls.delete(nodeId);
        },
      },
    );
    this.#halls.set(nodeId, hall);
    return hall;
  }

  /** The node has crashed or left: what is on its way to it is lost, and it sends no more. */
  detach(nodeId: string): void {
    this.#endpoints.get(nodeId)?.leave();
    this.#halls.get(nodeId)?.leave();
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

  /** As when NATS is killed: everything is lost, what is on its way too, until `comeUp`. */
  goDown(): void {
    this.#isDown = true;
    this.#downs += 1;
  }

  comeUp(): void {
    this.#isDown = false;
  }

  /** Bytes that a stranger, or somebody who caught a frame, puts on the network. `NOBODY`: to all who listen. */
  inject(channel: Channel, to: string, frame: Uint8Array): void {
    const receivers = to !== NOBODY ? [to] : [...(channel === 'alive' ? this.#halls : this.#endpoints).keys()];
    for (const receiver of receivers) this.#send(STRANGER, frame, receiver, channel);
  }

  #send(sender: Sender, frame: Uint8Array, to: string, channel: Channel, again = () => frame): void {
    const from = sender.nodeId;
    this.counts.sent += 1;
    if (frame.byteLength > this.#frameBytesMax) {
      this.counts.oversized += 1;
      return;
    }
    const passage: Passage = { from, to, channel, sizeBytes: frame.byteLength };
    const isLost = this.#isDown || this.#isCut(from, to);
    const delaysMs = isLost ? [] : from === to ? AT_ONCE : this.#judge(passage);
    if (delaysMs.length === 0) this.counts.lost += 1;
    const downs = this.#downs;
    for (const [place, delayMs] of delaysMs.entries()) {
      const copy = place === 0 ? frame : again();
      this.#clock.after(delayMs, () => {
        if (downs === this.#downs && !this.#isCut(from, to)) this.#arrive(sender, copy, to, channel);
        else this.counts.lost += 1;
      });
    }
  }

  #arrive(sender: Sender, frame: Uint8Array, to: string, channel: Channel): void {
    const receiver = channel === 'alive' ? this.#halls.get(to) : this.#endpoints.get(to);
    if (receiver === undefined || !receiver.hears(channel)) {
      this.counts.lost += 1;
      if (channel === 'raft') this.#hint(sender, to);
      return;
    }
    const refusal = receiver.arrive(frame, channel);
    if (refusal === undefined) this.counts.arrived += 1;
    else this.counts.refused[refusal] += 1;
  }

  #hint(sender: Sender, to: string): void {
    if (sender.wantsHints !== true) return;
    const downs = this.#downs;
    this.#clock.after(HINT_MS, () => {
      if (downs === this.#downs) sender.hint?.(to);
    });
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.get(from)?.has(to) === true;
  }
}

interface Sender {
  readonly nodeId: string;
  readonly wantsHints?: boolean;
  hint?(nodeId: string): void;
}

const STRANGER: Sender = { nodeId: NOBODY };
const NO_KEY = new Uint8Array(0);
const FRAME_BYTES_MAX = 1024 * 1024;
/** How long the word takes that nobody listened: one more way through NATS. */
const HINT_MS = 1;
const AT_ONCE: readonly number[] = [0];

function atOnce(): readonly number[] {
  return AT_ONCE;
}
