/**
 * The transport over NATS. Raft frames carry a reply subject that ends in the peer's nodeId: where nobody listens for
 * the peer, NATS answers there with status 503, which is the hint of `onUnreachable`.
 */
import { strict as assert } from 'node:assert';
import { createInbox, type Msg } from 'nats';
import { type Addressee, NOBODY, type Thread } from './envelope.ts';
import { Frames } from './frames.ts';
import type { NatsConnection } from './nats-connection.ts';
import { PeerBoots } from './peer-boots.ts';
import { RefusedFrames, type RefusedFramesOptions } from './refused-frames.ts';
import { Subjects } from './subjects.ts';
import type { Arrival, Channel, Transport } from './transport.ts';

export interface NatsTransportOptions extends RefusedFramesOptions {
  /** This life of the node, and its cluster: uuid and key. */
  readonly self: Addressee;
  readonly clusterName: string;
  /** Where it lives: one transport per thread. Default `main`. */
  readonly thread?: Thread;
  /** On other channels this transport only sends. */
  readonly hears: readonly Exclude<Channel, 'alive'>[];
  /** Which connection carries a channel, both ways. They stay open when the transport closes. */
  readonly connectionOf: (channel: Channel) => NatsConnection;
  /** Shared with what else hears peers on this thread. */
  readonly boots?: PeerBoots;
}

export function openNatsTransport(options: NatsTransportOptions): Transport {
  return new NatsTransport(options);
}

class NatsTransport implements Transport {
  readonly #connectionOf: NatsTransportOptions['connectionOf'];
  readonly #subjects: Subjects;
  readonly #frames: Frames;
  readonly #refused: RefusedFrames;
  readonly #subscriptions: (() => void)[] = [];
  #listener: ((arrival: Arrival) => void) | undefined;
  /** Where NATS tells that nobody listens; undefined while nobody wants to know. */
  #inbox: string | undefined;
  #isClosed = false;

  constructor(options: NatsTransportOptions) {
    const { self, clusterName, thread = 'main', hears, connectionOf, clock, boots = new PeerBoots() } = options;
    this.#connectionOf = connectionOf;
    this.#subjects = new Subjects(clusterName);
    this.#frames = new Frames({ self, thread, boots, clock });
    this.#refused = new RefusedFrames(options);
    for (const channel of hears) {
      const subject = this.#subjects.of(channel, self.nodeId);
      const unsubscribe = connectionOf(channel).subscribe(subject, ({ data }) => this.#arrive(channel, data));
      this.#subscriptions.push(unsubscribe);
    }
  }

  send(to: string, channel: Channel, body: Uint8Array): void {
    if (this.#isClosed) return;
    const reply = channel === 'raft' && this.#inbox !== undefined ? `${this.#inbox}.${to}` : undefined;
    this.#publish(to, channel, body, reply);
  }

  broadcast(channel: 'leader', body: Uint8Array): void {
    if (!this.#isClosed) this.#publish(NOBODY, channel, body, undefined);
  }

  onArrival(listener: (arrival: Arrival) => void): void {
    assert(this.#listener === undefined, 'a transport has one listener');
    this.#listener = listener;
  }

  onUnreachable(listener: (nodeId: string) => void): void {
    assert(this.#inbox === undefined, 'a transport has one listener for hints');
    const inbox = createInbox(this.#subjects.unheard);
    this.#inbox = inbox;
    const unsubscribe = this.#connectionOf('raft').subscribe(`${inbox}.*`, (message) => {
      if (isNoResponders(message)) listener(message.subject.slice(inbox.length + 1));
    });
    this.#subscriptions.push(unsubscribe);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions.length = 0;
    return Promise.resolve();
  }

  #publish(to: string, channel: Channel, body: Uint8Array, reply: string | undefined): void {
    const frame = this.#frames.seal(channel, to, body);
    this.#connectionOf(channel).publish(this.#subjects.of(channel, to), frame, reply);
  }

  #arrive(channel: Channel, frame: Uint8Array): void {
    const opened = this.#frames.open(frame, channel);
    if (opened.type === 'refused') this.#refused.note(opened.reason, channel);
    else this.#listener?.(opened.arrival);
  }
}

function isNoResponders(message: Msg): boolean {
  return message.data.byteLength === 0 && message.headers?.status === '503';
}
