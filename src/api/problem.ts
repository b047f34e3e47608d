/** Failures as clients see them: one table from code to status, problem+json (RFC 9457) as the body. */
import { CodedError, type ErrorCode, type Fault } from '../base/errors.ts';
import type { Answer } from './answer.ts';
import type { Failed } from './backend.ts';
import { type JsonOut, shorten, shortenValue } from './json-text.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

interface Row {
  readonly status: number;
  readonly title: string;
  /** When a client may try again, s; only where trying again helps. */
  readonly retryAfterSeconds?: number;
}

const TABLE: Readonly<Record<ErrorCode, Row>> = {
  invalid: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A token is needed' },
  'not-found': { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'In conflict with what is stored' },
  'too-large': { status: 413, title: 'Too large' },
  'request-id-reused': { status: 422, title: 'The request id was used with another body' },
  overloaded: { status: 429, title: 'Too much work at once', retryAfterSeconds: 1 },
  'no-leader': { status: 503, title: 'The cluster has no leader now', retryAfterSeconds: 1 },
  'not-leader': { status: 503, title: 'The leader has changed', retryAfterSeconds: 1 },
  'outcome-unknown': { status: 504, title: 'The outcome is unknown' },
  deadline: { status: 504, title: 'It took too long' },
  stopped: { status: 503, title: 'The node is stopping', retryAfterSeconds: 1 },
  'thread-died': { status: 503, title: 'A part of the node is restarting', retryAfterSeconds: 1 },
  'mailbox-full': { status: 429, title: 'Too much work at once', retryAfterSeconds: 1 },
  settings: { status: 400, title: 'A setting is not valid' },
  'address-in-use': { status: 500, title: 'Internal error' },
  'foreign-directory': { status: 500, title: 'Internal error' },
  'newer-directory': { status: 500, title: 'Internal error' },
  'directory-unusable': { status: 500, title: 'Internal error' },
  'storage-failed': { status: 503, title: 'Storage failed' },
  internal: { status: 500, title: 'Internal error' },
};

/** An unknown error becomes `internal`, and its text stays in the log. */
export function problemOf(error: unknown): Answer {
  if (error instanceof CodedError) return problem(error.code, error.message, { faults: error.faults });
  return problem('internal', 'something went wrong in the node; its log says what');
}

export function failedAnswer(failed: Failed): Answer {
  return problem(
    failed.code,
    failed.message,
    failed.retryAfterMs === undefined ? {} : { retryAfterMs: failed.retryAfterMs },
  );
}

export function problem(
  code: ErrorCode,
  detail: string,
  options: { readonly faults?: readonly Fault[]; readonly retryAfterMs?: number; readonly status?: number } = {},
): Answer {
  const row = TABLE[code];
  const status = options.status ?? row.status;
  const retryAfterSeconds =
    options.retryAfterMs === undefined ? row.retryAfterSeconds : Math.max(1, Math.ceil(options.retryAfterMs / 1_000));
  const errors = (options.faults ?? []).map((fault): JsonOut => ({ ...fault, value: shortenValue(fault.value) }));
  return {
    status,
    headers: retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) },
    isProblem: true,
    body: {
      type: `urn:carillon:problem:${code}`,
      title: row.title,
      status,
      code,
      detail: shorten(detail, 1_000),
      ...(errors.length === 0 ? {} : { errors }),
    },
  };
}
