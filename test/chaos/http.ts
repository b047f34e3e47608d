/** Calls to one server. No answer is an answer too: then nobody knows what became of the call. */
import type { NodeProcess } from './node-process.ts';

export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

export interface HttpCall {
  readonly body?: unknown;
  /** The idempotency key. */
  readonly requestId?: string;
  readonly timeoutMs?: number;
}

/** Longer than the 5 s for which a server waits for a leader. */
const TIMEOUT_MS = 8_000;

/** Undefined: none came within the time. */
export async function call(
  node: Pick<NodeProcess, 'spec'>,
  method: string,
  path: string,
  { body, requestId, timeoutMs = TIMEOUT_MS }: HttpCall = {},
): Promise<HttpReply | undefined> {
  try {
    const response = await fetch(new URL(path, node.spec.url), {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(requestId === undefined ? {} : { 'Idempotency-Key': requestId }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    const { status, headers } = response;
    return { status, headers, text, json: isJson ? JSON.parse(text) : undefined };
  } catch {
    // Refused, broken off or too late: the process was killed or stopped, or something between us was cut.
    return undefined;
  }
}

export type Fate = 'done' | 'refused' | 'unknown';

/** What an answer says of a write. `refused` is certain: these codes promise that nothing was written. */
export function fateOf(reply: HttpReply | undefined): Fate {
  if (reply === undefined) return 'unknown';
  if (reply.status < 300) return 'done';
  const { code = '' } = (reply.json ?? {}) as { readonly code?: string };
  return REFUSALS.has(code) ? 'refused' : 'unknown';
}

const REFUSALS = new Set(['no-leader', 'not-leader', 'overloaded', 'mailbox-full', 'storage-low']);
