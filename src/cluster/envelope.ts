import { strict as assert } from 'node:assert';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { crc32Of } from '../base/hash.ts';
import type { Channel } from './transport.ts';

/**
 * The envelope of every frame between nodes; big endian. What it is not addressed to, or cannot prove, is refused
 * before anybody looks at the body.
 *
 *     version u8 · flags u8 · channel u8 · thread u8 · group u16 · cluster 16
 *     from 16 · from boot u32 · to 16 · to boot u32 · count u48 · body · MAC 16 · CRC-32 u32
 *
 * The MAC (HMAC-SHA-256 of all before it, cut to 16 bytes) proves that the sender has the cluster key; the CRC, over
 * all before it, tells a damaged frame from a forged one. The count tells a frame from one that is sent again: no two
 * frames of a thread in one life have the same (`seen-frames.ts`).
 */
export interface Envelope {
  readonly channel: Channel;
  /** Of the sender. */
  readonly thread: Thread;
  /** Raft group, 0 to 65,535. */
  readonly group: number;
  /** Cluster uuid; `NOBODY` before genesis. */
  readonly cluster: string;
  readonly from: string;
  readonly fromBoot: number;
  /** nodeId, or `NOBODY` for every node. */
  readonly to: string;
  /** Boot counter of the receiver, or 0 for whichever it is in. */
  readonly toBoot: number;
  /** From 1 up; 0 in the hall, where frames are not counted. */
  readonly count: number;
  readonly body: Uint8Array;
}

/** Who counts: threads share nothing, so each that sends counts for itself. */
export type Thread = 'main' | 'consensus';

/** What a receiver compares frames with. */
export interface Addressee {
  readonly cluster: string;
  readonly nodeId: string;
  readonly boot: number;
  /** Empty: no proof is asked for, and none is accepted, so that a node without the key is noticed on both sides. */
  readonly key: Uint8Array;
}

/**
 * `channel`: a good frame where it does not belong, say one that was caught and sent anew to another subject. `replay`:
 * a good frame that has come already, or much too late. Whoever keeps the counts says that, `decodeEnvelope` does not.
 */
export type EnvelopeRefusal =
  | 'short'
  | 'version'
  | 'crc'
  | 'mac'
  | 'cluster'
  | 'channel'
  | 'addressee'
  | 'boot'
  | 'replay';

export type Decoded =
  | { readonly type: 'envelope'; readonly envelope: Envelope }
  | { readonly type: 'refused'; readonly reason: EnvelopeRefusal };

/** The id of no node and no cluster. Node and cluster ids are 16 bytes, written as 32 lower-case hex characters. */
export const NOBODY = '0'.repeat(32);

/** What an envelope adds to its body. */
export const ENVELOPE_BYTES = 68 + 20;

export function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

export function encodeEnvelope(envelope: Envelope, key: Uint8Array): Uint8Array {
  const { channel, thread, group, cluster, from, fromBoot, to, toBoot, count, body } = envelope;
  const macAt = BODY_AT + body.byteLength;
  const frame = Buffer.allocUnsafe(macAt + MAC_BYTES + CRC_BYTES);
  frame[0] = VERSION;
  frame[1] = FLAGS;
  frame[2] = CHANNELS.indexOf(channel);
  frame[3] = THREADS.indexOf(thread);
  frame.writeUInt16BE(group, GROUP_AT);
  writeId(frame, cluster, CLUSTER_AT);
  writeId(frame, from, FROM_AT);
  frame.writeUInt32BE(fromBoot, FROM_AT + ID_BYTES);
  writeId(frame, to, TO_AT);
  frame.writeUInt32BE(toBoot, TO_AT + ID_BYTES);
  frame.writeUIntBE(count, COUNT_AT, COUNT_BYTES);
  frame.set(body, BODY_AT);
  frame.set(macOf(frame.subarray(0, macAt), key), macAt);
  frame.writeUInt32BE(crc32Of(frame.subarray(0, macAt + MAC_BYTES)), macAt + MAC_BYTES);
  return frame;
}

/** `on` is the channel that it came by. Never throws, whatever the bytes are. The body is a view into the frame. */
export function decodeEnvelope(bytes: Uint8Array, on: Channel, addressee: Addressee): Decoded {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The version decides how the rest is read, so it comes first, even in a frame that is too short for ours.
  if (frame.byteLength > 0 && frame[0] !== VERSION) return refused('version');
  if (frame.byteLength < ENVELOPE_BYTES) return refused('short');
  const crcAt = frame.byteLength - CRC_BYTES;
  const macAt = crcAt - MAC_BYTES;
  if (frame.readUInt32BE(crcAt) !== crc32Of(frame.subarray(0, crcAt))) return refused('crc');
  const channel = CHANNELS[frame[2] ?? CHANNELS.length];
  const thread = THREADS[frame[3] ?? THREADS.length];
  if (frame[1] !== FLAGS || channel === undefined || thread === undefined) return refused('version');
  const cluster = readId(frame, CLUSTER_AT);
  if (cluster !== addressee.cluster) return refused('cluster');
  if (!timingSafeEqual(frame.subarray(macAt, crcAt), macOf(frame.subarray(0, macAt), addressee.key))) {
    return refused('mac');
  }
  if (channel !== on) return refused('channel');
  const to = readId(frame, TO_AT);
  const toBoot = frame.readUInt32BE(TO_AT + ID_BYTES);
  if (to !== NOBODY && to !== addressee.nodeId) return refused('addressee');
  if (toBoot !== 0 && toBoot !== addressee.boot) return refused('boot');
  const envelope: Envelope = {
    channel,
    thread,
    group: frame.readUInt16BE(GROUP_AT),
    cluster,
    from: readId(frame, FROM_AT),
    fromBoot: frame.readUInt32BE(FROM_AT + ID_BYTES),
    to,
    toBoot,
    count: frame.readUIntBE(COUNT_AT, COUNT_BYTES),
    body: frame.subarray(BODY_AT, macAt),
  };
  return { type: 'envelope', envelope };
}

const VERSION = 2;
/** None yet. A frame with a flag that we do not know may mean something else than we would read. */
const FLAGS = 0;
/** The place of a channel, or of a thread, is its number on the wire: only ever append. */
const CHANNELS: readonly Channel[] = ['raft', 'bulk', 'exec', 'alive', 'leader', 'forward', 'report'];
const THREADS: readonly Thread[] = ['main', 'consensus'];
const ID_BYTES = 16;
const COUNT_BYTES = 6;
const GROUP_AT = 4;
const CLUSTER_AT = GROUP_AT + 2;
const FROM_AT = CLUSTER_AT + ID_BYTES;
const TO_AT = FROM_AT + ID_BYTES + 4;
const COUNT_AT = TO_AT + ID_BYTES + 4;
const BODY_AT = COUNT_AT + COUNT_BYTES;
const MAC_BYTES = 16;
const CRC_BYTES = 4;
const NO_MAC = new Uint8Array(MAC_BYTES);

function macOf(content: Uint8Array, key: Uint8Array): Uint8Array {
  if (key.byteLength === 0) return NO_MAC;
  return createHmac('sha256', key).update(content).digest().subarray(0, MAC_BYTES);
}

function writeId(frame: Buffer, id: string, at: number): void {
  assert(frame.write(id, at, ID_BYTES, 'hex') === ID_BYTES && id.length === 2 * ID_BYTES, `not an id: ${id}`);
}

function readId(frame: Buffer, at: number): string {
  return frame.toString('hex', at, at + ID_BYTES);
}

function refused(reason: EnvelopeRefusal): Decoded {
  return { type: 'refused', reason };
}
