import type { Clock } from '../base/time.ts';
import { type Addressee, decodeEnvelope, type EnvelopeRefusal, encodeEnvelope, type Thread } from './envelope.ts';
import type { PeerBoots } from './peer-boots.ts';
import { SeenFrames } from './seen-frames.ts';
import type { Arrival, Channel } from './transport.ts';

export interface FramesOptions {
  readonly self: Addressee;
  /** The only one of this life that seals frames. */
  readonly thread: Thread;
  readonly boots: PeerBoots;
  readonly clock: Clock;
}

export type Opened =
  | { readonly type: 'arrival'; readonly arrival: Arrival }
  | { readonly type: 'refused'; readonly reason: EnvelopeRefusal };

/** What every transport does with frames, whatever carries them: seals what this life says, opens what it hears. */
export class Frames {
  readonly #self: Addressee;
  readonly #thread: Thread;
  readonly #boots: PeerBoots;
  readonly #clock: Clock;
  readonly #seen = new SeenFrames();
  #count = 0;

  constructor({ self, thread, boots, clock }: FramesOptions) {
    this.#self = self;
    this.#thread = thread;
    this.#boots = boots;
    this.#clock = clock;
  }

  /** For the life that the peer was last heard in; `NOBODY` is every node. */
  seal(channel: Channel, to: string, body: Uint8Array): Uint8Array {
    const { cluster, nodeId: from, boot: fromBoot, key } = this.#self;
    const toBoot = this.#boots.of(to);
    this.#count += 1;
    const counted = { thread: this.#thread, count: this.#count };
    return encodeEnvelope({ channel, ...counted, group: GROUP, cluster, from, fromBoot, to, toBoot, body }, key);
  }

  open(frame: Uint8Array, channel: Channel): Opened {
    const decoded = decodeEnvelope(frame, channel, this.#self);
    if (decoded.type === 'refused') return decoded;
    const { group, from, fromBoot, body } = decoded.envelope;
    if (group !== GROUP) return { type: 'refused', reason: 'addressee' };
    if (!this.#boots.hear(from, fromBoot)) return { type: 'refused', reason: 'boot' };
    // Last: what is refused for another reason has no say in what counts as seen.
    if (!this.#seen.take(decoded.envelope, this.#clock.monotonic())) return { type: 'refused', reason: 'replay' };
    return { type: 'arrival', arrival: { channel, from, fromBoot, body } };
  }
}

/** The one Raft group of today. */
const GROUP = 0;
