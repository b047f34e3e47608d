import { crc32Of } from '../base/hash.ts';
import type { OutputChunk } from './protocol.ts';

/** Below the payload that NATS takes by default, with room for the envelope. */
export const OUTPUT_CHUNK_BYTES = 256 * 1024;

/** A full tail as the messages that carry it. */
export function chunksOf(execution: string, bytes: Uint8Array): readonly OutputChunk[] {
  const crc = crc32Of(bytes);
  const chunks: OutputChunk[] = [];
  for (let offset = 0; offset < bytes.length; offset += OUTPUT_CHUNK_BYTES) {
    const part = bytes.subarray(offset, offset + OUTPUT_CHUNK_BYTES);
    chunks.push({ type: 'output', execution, offset, totalBytes: bytes.length, crc, bytes: part });
  }
  return chunks;
}
