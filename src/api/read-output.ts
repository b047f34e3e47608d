/** The outputs of executions as answers show them: from their rows, from the output store here, or on other servers. */
import type { Clock } from '../base/time.ts';
import { FINISH_TAIL_BYTES } from '../executors/finishes.ts';
import type { ExecutionView } from '../scheduler/views.ts';
import type { OutputSearch } from './backend.ts';
import type { ApiContext } from './call.ts';
import type { OutputText } from './run-json.ts';
import { shareOutput } from './share-output.ts';

/** Dkron's limit on one output, four times over. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
/** Of outputs in one answer. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** For all that one answer asks of other servers. */
const SEARCH_MS = 1_000;
/** An output may come later than the result that it belongs to. */
export const ARRIVAL_MS = 250;

export interface WithOutput {
  readonly view: ExecutionView;
  readonly output: OutputText;
}

/** `bytesMax` of each at most, from its end. `waitMs`: what is missing may be about to arrive. */
export async function readOutputs(
  context: ApiContext,
  views: readonly ExecutionView[],
  bytesMax: number | null,
  waitMs = 0,
): Promise<readonly WithOutput[]> {
  const wantedMax = Math.min(bytesMax ?? OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX);
  const sizes = views.map(({ outputTail, storedBytes }) => {
    const tailBytes = Buffer.byteLength(outputTail, 'utf8');
    return { tailBytes, wantedBytes: Math.min(wantedMax, Math.max(tailBytes, storedBytes)) };
  });
  const shares = shareOutput(sizes, ANSWER_BYTES_MAX);
  const searchNow = searchFrom(context.clock, waitMs);
  const read: WithOutput[] = [];
  for (const [index, view] of views.entries()) {
    read.push({ view, output: await readOutput(context, view, shares[index] ?? 0, searchNow) });
  }
  return read;
}

/** What the row holds, without a look into the store. */
export function tailOf(view: ExecutionView): OutputText {
  return endOf(Buffer.from(view.outputTail, 'utf8'), OUTPUT_BYTES_MAX, isMoreThanTail(view));
}

async function readOutput(
  { backend }: ApiContext,
  view: ExecutionView,
  bytesMax: number,
  searchNow: () => OutputSearch,
): Promise<OutputText> {
  const tail = Buffer.from(view.outputTail, 'utf8');
  // Of bytes, a row holds no more than that, however long they are as text.
  const tailBytes = Math.min(tail.byteLength, FINISH_TAIL_BYTES);
  if (view.storedBytes > FINISH_TAIL_BYTES && bytesMax > tailBytes) {
    const stored = await backend.output(view.id, bytesMax, searchNow());
    if (stored !== undefined) return endOf(stored, bytesMax, view.outputBytes > stored.byteLength);
  }
  return endOf(tail, bytesMax, isMoreThanTail(view));
}

/** The text of a tail can be longer than its bytes were: what is not UTF-8 grows. */
function isMoreThanTail({ outputBytes, outputTail }: ExecutionView): boolean {
  return outputBytes > FINISH_TAIL_BYTES || outputBytes > Buffer.byteLength(outputTail, 'utf8');
}

function endOf(bytes: Uint8Array, bytesMax: number, isCutAlready: boolean): OutputText {
  const isTruncated = isCutAlready || bytes.byteLength > bytesMax;
  const kept = bytes.subarray(Math.max(0, bytes.byteLength - bytesMax));
  return { text: LOSSY.decode(isTruncated ? wholeCharacters(kept) : kept), isTruncated };
}

/** Without the rest of a character whose beginning was cut off. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (first < 3 && first < bytes.byteLength && ((bytes[first] as number) & 0xc0) === 0x80) first += 1;
  return bytes.subarray(first);
}

/** What is left, at each call, of the time for an answer. */
function searchFrom(clock: Clock, waitMs: number): () => OutputSearch {
  const fromMs = clock.monotonic();
  return () => {
    const spentMs = clock.monotonic() - fromMs;
    return { forMs: Math.max(0, SEARCH_MS - spentMs), waitMs: Math.max(0, waitMs - spentMs) };
  };
}

const LOSSY = new TextDecoder('utf-8', { ignoreBOM: true });
