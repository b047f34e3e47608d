import { chainEntry } from './chain.ts';
import { encodeConfiguration } from './configuration.ts';
import type { LogEntry } from './types.ts';

/** Entry 1 of every cluster: who votes. The same bytes on each member, whatever the order they were named in. */
export function bootstrapEntry(voters: readonly string[]): LogEntry {
  return chainEntry(0, 1, 1, 'configuration', encodeConfiguration({ voters, outgoing: [], learners: [] }));
}
