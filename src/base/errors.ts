/**
 * Every failure that a caller can act on has a code. Code is the contract, message is for people: it says what
 * happened, to what, and what to do. The HTTP status and the exit code of each stand in one table of `api/` and `cli/`.
 */
export type ErrorCode =
  // The request is at fault.
  | 'invalid'
  | 'unauthorized'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'request-id-reused'
  | 'overloaded'
  // The cluster cannot answer now.
  | 'no-leader'
  | 'not-leader'
  | 'outcome-unknown'
  // An actor or a thread is gone, full or slow.
  | 'deadline'
  | 'stopped'
  | 'thread-died'
  | 'mailbox-full'
  // A node cannot start or go on.
  | 'settings'
  | 'address-in-use'
  | 'foreign-directory'
  | 'newer-directory'
  | 'directory-unusable'
  | 'storage-failed'
  | 'internal';

/** Which field of a request was wrong, what it was, and what is allowed there. */
export interface Fault {
  readonly field: string;
  readonly value: unknown;
  readonly allowed: string;
  /** What is wrong, in words, without field and value. */
  readonly message: string;
}

/** The one error class of Carillon. Crosses threads and wires as `{ code, message, faults }`. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly faults?: readonly Fault[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CodedError';
    this.code = code;
    this.faults = options.faults ?? [];
  }
}

/** The default branch of an exhaustive `switch`: a new variant fails to compile here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
