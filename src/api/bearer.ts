/** The one token that opens HTTP where the operator has set one. It is never shown, and never logged. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { rateLimited } from '../base/rate-limited.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';

export interface BearerOptions {
  readonly token: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface Caller {
  /** The header as it came. */
  readonly authorization: string | undefined;
  /** The address at the other end of the connection. */
  readonly peer: string | undefined;
}

/** Says why a request is refused, or undefined. Refused ones are counted, and logged with where they came from. */
export function createBearerGuard(options: BearerOptions): (caller: Caller) => string | undefined {
  const { clock, metrics } = options;
  const log = rateLimited(options.log, clock, LINES_PER_MINUTE);
  const expected = digestOf(options.token);
  return ({ authorization, peer }) => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    // How long it takes says nothing about the token: digests are compared, which all have one length.
    if (given !== undefined && timingSafeEqual(digestOf(given), expected)) return undefined;
    metrics.count('carillon_http_unauthorized_total');
    const reason = given === undefined ? 'it has no token' : 'its token is another one';
    log.warn('a request was refused', { peer: peer ?? 'unknown', reason });
    return REFUSAL;
  };
}

/** Without a difference between none and a wrong one: whoever sent it knows which it was. */
const REFUSAL = 'this node asks for its API token: send it as "Authorization: Bearer <token>"';
const LINES_PER_MINUTE = 10;

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
