/** Lists by node, and their division into messages and entries that are not too large. */
import type { ExecuteItem } from '../executors/protocol.ts';
import type { Finish } from '../jobs/finish.ts';

export const EXECUTES_PER_MESSAGE = 200;
export const ACKNOWLEDGES_PER_MESSAGE = 2_000;
/** Well below the 1 MiB that NATS carries; a single item never comes near it. */
const EXECUTE_BYTES_PER_MESSAGE = 256 * 1024;
const FINISHES_PER_COMMAND = 500;
const FINISH_BYTES_PER_COMMAND = 256 * 1024;

export function add<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

export function chunks<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
  const parts: (readonly Item[])[] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}

export function executeBatches(items: readonly ExecuteItem[]): readonly (readonly ExecuteItem[])[] {
  const size = ({ config }: ExecuteItem) => 600 + Buffer.byteLength(JSON.stringify(config));
  return batches(items, size, { countMax: EXECUTES_PER_MESSAGE, bytesMax: EXECUTE_BYTES_PER_MESSAGE });
}

export function finishBatches(finishes: Iterable<Finish>): readonly (readonly Finish[])[] {
  const size = ({ outputTail, result, reason }: Finish) =>
    400 + jsonBytes(outputTail) + jsonBytes(result ?? '') + jsonBytes(reason);
  return batches(finishes, size, { countMax: FINISHES_PER_COMMAND, bytesMax: FINISH_BYTES_PER_COMMAND });
}

function batches<Item>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  { countMax, bytesMax }: { readonly countMax: number; readonly bytesMax: number },
): Item[][] {
  const parts: Item[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    const last = parts.at(-1);
    if (last === undefined || last.length >= countMax || bytes + size > bytesMax) {
      parts.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return parts;
}

/** As it will stand in the log: one control character takes six bytes there. */
function jsonBytes(text: string): number {
  return text === '' ? 0 : Buffer.byteLength(JSON.stringify(text));
}
