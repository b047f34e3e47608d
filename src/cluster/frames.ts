import { type Addressee, decodeEnvelope, type EnvelopeRefusal, encodeEnvelope } from './envelope.ts';
import type { PeerBoots } from './peer-boots.ts';
import type { Arrival, Channel } from './transport.ts';

export type Opened =
  | { readonly type: 'arrival'; readonly arrival: Arrival }
  | { readonly type: 'refused'; readonly reason: EnvelopeRefusal };

/** What every transport does with frames, whatever carries them: seals what this life says, opens what it hears. */
export class Frames {
  readonly #self: Addressee;
  readonly #boots: PeerBoots;

  constructor(self: Addressee, boots: PeerBoots) {
    this.#self = self;
    this.#boots = boots;
  }

  /** For the life that the peer was last heard in; `NOBODY` is every node. */
  seal(channel: Channel, to: string, body: Uint8Array): Uint8Array {
    const { cluster, nodeId: from, boot: fromBoot, key } = this.#self;
    const toBoot = this.#boots.of(to);
    return encodeEnvelope({ channel, group: GROUP, cluster, from, fromBoot, to, toBoot, body }, key);
  }

  open(frame: Uint8Array, channel: Channel): Opened {
    const decoded = decodeEnvelope(frame, channel, this.#self);
    if (decoded.type === 'refused') return decoded;
    const { group, from, fromBoot, body } = decoded.envelope;
    if (group !== GROUP) return { type: 'refused', reason: 'addressee' };
    if (!this.#boots.hear(from, fromBoot)) return { type: 'refused', reason: 'boot' };
    return { type: 'arrival', arrival: { channel, from, fromBoot, body } };
  }
}

/** The one Raft group of today. */
const GROUP = 0;
