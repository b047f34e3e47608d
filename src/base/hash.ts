import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** CRC-32 of bytes, an unsigned 32-bit integer. */
export function crc32Of(bytes: Uint8Array, seed = 0): number {
  return crc32(bytes, seed) >>> 0;
}

/** Murmur3's finaliser: spreads 32 bits so that sums of hashes do not inherit the linearity of the CRC. */
export function mix32(value: number): number {
  let mixed = value >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
