/** A client of the API with one way to call, over HTTP or over NATS. */
import { CodedError } from '../base/errors.ts';

export interface ClientOptions {
  readonly url: string;
  /** For nats:// only. */
  readonly cluster: string;
  readonly token?: string;
  readonly natsCreds?: Uint8Array;
}

export const CALL_TIMEOUT_MS = 30_000;

export type ClientOperation =
  | 'put'
  | 'get'
  | 'list'
  | 'delete'
  | 'toggle'
  | 'run'
  | 'run-get'
  | 'executions'
  | 'execution'
  | 'fires'
  | 'busy'
  | 'members'
  | 'leader'
  | 'health'
  | 'cluster'
  | 'server-add'
  | 'server-promote'
  | 'server-replace'
  | 'server-remove'
  | 'transfer'
  /** By HTTP the text of `/readyz?verbose`, which needs no token; by NATS the same as `health`. */
  | 'ready';

export interface ClientCall {
  readonly operation: ClientOperation;
  readonly name?: string;
  readonly id?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Of `put`. */
  readonly body?: string;
  /** How long the answer may take, ms. Default 30 s. */
  readonly timeoutMs?: number;
}

export interface ClientReply {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** As it came: numbers beyond 2^53 are exact only here. */
  readonly text: string;
}

export interface Client {
  readonly url: string;
  /** Throws where no answer came; an answer that says no is a reply. */
  call(call: ClientCall): Promise<ClientReply>;
  close(): Promise<void>;
}

export interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string; readonly allowed: string }[];
}

/** Throws for an answer that says no, with all that it says. */
export function accepted(reply: ClientReply): ClientReply {
  if (reply.status < 400) return reply;
  const problem = readProblem(reply.text);
  const lines = [problem.detail ?? `the server answered ${reply.status}`];
  if (reply.status === 401) lines.push('name the file that holds it with --token-file, or set CARILLON_TOKEN to it');
  const errors = problem.errors ?? [];
  if (errors.length > 1) {
    for (const { field, message, allowed } of errors) lines.push(`  ${field}: ${message}; allowed: ${allowed}`);
  }
  throw new CodedError('invalid', lines.join('\n'));
}

function readProblem(text: string): Problem {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Problem) : {};
  } catch {
    // Something between us and the server answered in its own words.
    return {};
  }
}

/** One clear line: what, which address, what to try. */
export function unreachable(url: string, cause: unknown, timeoutMs: number): CodedError {
  const { code, name, message } = cause as NodeJS.ErrnoException;
  const reason =
    name === 'AbortError' || name === 'TimeoutError'
      ? `no answer within ${timeoutMs / 1_000} s`
      : (REASONS.get(code ?? '') ?? (message || code || 'the connection failed'));
  const advice = 'is a node running there? Set --url or CARILLON_URL';
  return new CodedError('no-leader', `cannot reach ${withoutSecrets(url)}: ${reason}; ${advice}`, { cause });
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'the host name is not known'],
  ['EAI_AGAIN', 'the host name cannot be looked up now'],
  ['ECONNRESET', 'the connection was closed before the answer'],
  ['EHOSTUNREACH', 'there is no way to that host'],
]);

export function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/g, '//');
}
