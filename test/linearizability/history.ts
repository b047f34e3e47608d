/**
 * What clients did and what they were told, by one monotonic clock. An operation whose outcome nobody knows (a time-out,
 * `outcome-unknown`, a connection that broke) has no result: it may take effect at any time after it was begun, or never.
 * One that was refused for certain has had no effect and is no part of a history.
 */

export type Action =
  /** Values are used once per history, so that a read says which write it saw. */
  { readonly type: 'put'; readonly value: string } | { readonly type: 'get' } | { readonly type: 'delete' };

export type Result =
  | { readonly type: 'stored' }
  /** Null: there is none. */
  | { readonly type: 'read'; readonly value: string | null }
  /** Whether there was one to delete. */
  | { readonly type: 'deleted'; readonly wasThere: boolean };

export interface Operation {
  readonly client: string;
  /** Whom the client asked, and in which of its lives: `s1#2`. Sessions are told by it, linearizability is not. */
  readonly server: string;
  /** Operations on different keys do not touch each other. */
  readonly key: string;
  readonly action: Action;
  readonly invokedMs: number;
  /** Infinity while the outcome is unknown. */
  readonly respondedMs: number;
  /** Null: unknown. */
  readonly result: Result | null;
  /** Where the answer told it: the log index of the write that made, or last changed, what was stored or read. */
  readonly version?: number;
}

/** Takes operations as they end, in any order. */
export class History {
  readonly #nowMs: () => number;
  readonly #operations: Operation[] = [];
  readonly #open = new Set<Begun>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  begin(what: Pick<Operation, 'client' | 'server' | 'key' | 'action'>): Begun {
    const begun = { ...what, invokedMs: this.#nowMs() };
    this.#open.add(begun);
    return begun;
  }

  /** `server` is the one that answered, where several were asked. */
  end(begun: Begun, result: Result, told: { readonly server?: string; readonly version?: number } = {}): void {
    if (this.#open.delete(begun)) this.#operations.push({ ...begun, ...told, respondedMs: this.#nowMs(), result });
  }

  /** It is certain that nothing was done. */
  refuse(begun: Begun): void {
    this.#open.delete(begun);
  }

  /** All of them by their beginning; those that have not ended have no result. */
  operations(): readonly Operation[] {
    const open = [...this.#open].map((begun) => ({
      ...begun,
      respondedMs: Number.POSITIVE_INFINITY,
      result: null,
    }));
    return [...this.#operations, ...open].sort((left, right) => left.invokedMs - right.invokedMs);
  }
}

export type Begun = Pick<Operation, 'client' | 'server' | 'key' | 'action' | 'invokedMs'>;

/** One operation a line. JSON has no Infinity: a missing response is null. */
export function writeHistory(operations: readonly Operation[]): string {
  return operations
    .map((operation) => {
      const respondedMs = Number.isFinite(operation.respondedMs) ? operation.respondedMs : null;
      return `${JSON.stringify({ ...operation, respondedMs })}\n`;
    })
    .join('');
}

export function readHistory(text: string): readonly Operation[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const read = JSON.parse(line) as Operation & { readonly respondedMs: number | null };
      return { ...read, respondedMs: read.respondedMs ?? Number.POSITIVE_INFINITY };
    });
}

export function describeOperation(operation: Operation): string {
  const { client, server, action, invokedMs, respondedMs, result, version } = operation;
  const asked = action.type === 'put' ? `put ${action.value}` : action.type;
  const until = Number.isFinite(respondedMs) ? respondedMs.toFixed(1) : '…';
  const at = version === undefined ? '' : ` at index ${version}`;
  return `[${invokedMs.toFixed(1)}, ${until}] ${client} at ${server}: ${asked} -> ${describeResult(result)}${at}`;
}

function describeResult(result: Result | null): string {
  if (result === null) return 'unknown';
  switch (result.type) {
    case 'stored':
      return 'stored';
    case 'read':
      return result.value ?? 'absent';
    case 'deleted':
      return result.wasThere ? 'deleted' : 'was absent';
  }
}
