/** Frames as a stranger on the network would make them, and whom the tests of transports are about. */
import { crc32Of } from '../../src/base/hash.ts';
import { type Envelope, encodeEnvelope, NOBODY } from '../../src/cluster/envelope.ts';
import type { Channel } from '../../src/cluster/transport.ts';

export const CLUSTER = '1'.repeat(32);
export const KEY = new TextEncoder().encode('the key of cluster 1');
export const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string];

export const STRANGE: readonly {
  readonly title: string;
  readonly reason: string;
  readonly frame: () => Uint8Array;
  readonly channel?: Channel;
}[] = [
  { title: 'nothing', reason: 'short', frame: () => new Uint8Array(0) },
  { title: 'a frame cut in its header', reason: 'short', frame: () => seal({}).subarray(0, 40) },
  { title: 'a frame cut in its body', reason: 'crc', frame: () => seal({ body: say('cut') }).subarray(0, 89) },
  { title: 'a flipped bit', reason: 'crc', frame: () => damaged(70) },
  { title: 'a later version', reason: 'version', frame: () => damaged(0) },
  { title: 'text', reason: 'version', frame: () => say('{"hello": "world"}') },
  { title: 'another cluster', reason: 'cluster', frame: () => seal({ cluster: '2'.repeat(32) }) },
  { title: 'no cluster', reason: 'cluster', frame: () => seal({ cluster: NOBODY }) },
  { title: 'another key', reason: 'mac', frame: () => seal({}, say('another key')) },
  { title: 'no key', reason: 'mac', frame: () => seal({}, new Uint8Array(0)) },
  { title: 'a forged body under a right CRC', reason: 'mac', frame: () => withCrc(damaged(69)) },
  { title: 'a good frame of another channel', reason: 'channel', frame: () => seal({}), channel: 'exec' },
  { title: 'a frame for another node', reason: 'addressee', frame: () => seal({ to: C }) },
  { title: 'a frame of another Raft group', reason: 'addressee', frame: () => seal({ group: 1 }) },
  { title: 'a frame without a count', reason: 'replay', frame: () => seal({ count: 0 }) },
  { title: 'a frame for a later life', reason: 'boot', frame: () => seal({ toBoot: 9 }) },
];

/** From A in boot 1 to B in any. */
export function seal(envelope: Partial<Envelope>, key: Uint8Array = KEY): Uint8Array {
  const fields: Envelope = {
    channel: 'raft',
    thread: 'consensus',
    group: 0,
    cluster: CLUSTER,
    from: A,
    fromBoot: 1,
    to: B,
    toBoot: 0,
    count: 1,
    body: say('a body'),
  };
  return encodeEnvelope({ ...fields, ...envelope }, key);
}

function damaged(at: number): Buffer {
  const frame = Buffer.from(seal({}));
  frame[at] = (frame[at] ?? 0) ^ 4;
  return frame;
}

function withCrc(frame: Buffer): Buffer {
  frame.writeUInt32BE(crc32Of(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}

export function say(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}
