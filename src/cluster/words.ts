import { decodeEnvelope, type EnvelopeRefusal, encodeEnvelope, NOBODY } from './envelope.ts';
import type { Word } from './hall.ts';

/** Who speaks in a hall, in this life. */
export interface Speaker {
  readonly nodeId: string;
  readonly boot: number;
  /** The cluster key; empty: no proof is asked for, and none is accepted. */
  readonly key: Uint8Array;
}

export type HeardWord =
  | { readonly type: 'word'; readonly word: Word }
  | { readonly type: 'refused'; readonly reason: EnvelopeRefusal };

export function sealWord({ nodeId: from, boot: fromBoot, key }: Speaker, body: Uint8Array): Uint8Array {
  const fields = {
    channel: 'alive',
    thread: 'main',
    group: 0,
    cluster: NOBODY,
    to: NOBODY,
    toBoot: 0,
    count: 0,
  } as const;
  return encodeEnvelope({ ...fields, from, fromBoot, body }, key);
}

/**
 * Words of earlier boots pass: a clone or a disk that was rolled back is noticed by what is said here. And words are not
 * counted: a copy of a directory would count as its original does, and must be heard. Whoever listens knows that a word
 * may be old (`presence-rules.ts`, `formation-rules.ts`).
 */
export function openWord({ nodeId, boot, key }: Speaker, frame: Uint8Array): HeardWord {
  const decoded = decodeEnvelope(frame, 'alive', { cluster: NOBODY, nodeId, boot, key });
  if (decoded.type === 'refused') return decoded;
  const { from, fromBoot, body } = decoded.envelope;
  return { type: 'word', word: { from, fromBoot, body } };
}
