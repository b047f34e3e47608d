import { chainEntry } from './chain.ts';
import type { LogEntry } from './types.ts';

/** Entry 1 of every cluster: who votes. The same bytes on each member, whatever the order they were named in. */
export function bootstrapEntry(voters: readonly string[]): LogEntry {
  return chainEntry(0, 1, 1, 'configuration', encodeVoters(voters));
}

/** `u8 version │ u8 count │ per voter: u8 length │ UTF-8`. */
export function encodeVoters(voters: readonly string[]): Uint8Array {
  const names = [...voters].sort().map((voter) => Buffer.from(voter, 'utf8'));
  const parts = names.flatMap((name) => [Buffer.from([name.length]), name]);
  return Buffer.concat([Buffer.from([1, names.length]), ...parts]);
}

export function decodeVoters(data: Uint8Array): readonly string[] | undefined {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (buffer[0] !== 1) return undefined;
  const voters: string[] = [];
  let offset = 2;
  for (let position = 0; position < (buffer[1] ?? 0); position += 1) {
    const end = offset + 1 + (buffer[offset] ?? buffer.length);
    if (end > buffer.length) return undefined;
    voters.push(buffer.toString('utf8', offset + 1, end));
    offset = end;
  }
  return offset === buffer.length ? voters : undefined;
}
